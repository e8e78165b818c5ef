"""In the child that runs under a device's memory: load a network, run it, and see what it takes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers import evaluation
from workers.evaluation.sessions import feeds_for, run
from workers.events import Emulated
from workers.shop import Shop
from workers.ticket import SAMPLE_FILE

STATUS = Path("/proc/self/status")
LOOK_SECONDS = 0.002
RUNS = 3
INPUT = "input__"


@dataclass
class Peaks:
    """The most anonymous and the most file-backed memory seen in this process, in bytes; None where /proc is closed."""

    anonymous_bytes: int | None = None
    file_bytes: int | None = None

    def look(self) -> None:
        try:
            lines = STATUS.read_text().splitlines()
        except OSError:
            return
        held = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
        self.anonymous_bytes = max(self.anonymous_bytes or 0, held.get("RssAnon", 0))
        self.file_bytes = max(self.file_bytes or 0, held.get("RssFile", 0))


@contextmanager
def watched() -> Iterator[Peaks]:
    """Look every two milliseconds, beside the work."""
    peaks, over = Peaks(), threading.Event()

    def keep_looking() -> None:
        while not over.wait(LOOK_SECONDS):
            peaks.look()

    thread = threading.Thread(target=keep_looking, name="memory", daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()
        peaks.look()


def emulate(shop: Shop) -> None:
    """Load and run the order's network on the judge's sample; a network too large ends this process instead."""
    import numpy as np

    with np.load(Path("out") / SAMPLE_FILE, allow_pickle=False) as arrays:
        sample = {name.removeprefix(INPUT): arrays[name] for name in arrays.files if name.startswith(INPUT)}
    with watched() as peaks:
        session = evaluation.open_session(shop.model, threads=shop.order.threads)
        for feed in feeds_for(session, sample, 1) * RUNS:
            run(session, feed)
    shop.emit(Emulated(anonymous_bytes=peaks.anonymous_bytes, file_bytes=peaks.file_bytes))
