"""In the child that compares answers: the result here, and the same file under another processor's instructions."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from workers import evaluation
from workers.emulation.emulator import Emulator
from workers.evaluation.sessions import Feed, fixed_batch, run
from workers.events import Compared
from workers.report import SameAnswers
from workers.shop import Shop, given
from workers.ticket import ROWS_FILE

if TYPE_CHECKING:
    import numpy as np

SCRIPT = Path(__file__).parent / "there.py"
CLOSE = 1e-3
MOST_ROWS = 8
MACS_A_SECOND = 40e6  # float32 under QEMU on one core, at the slow end
SECONDS = 60.0
MOST_MACS = 20e9
INPUT = "input__"
TOO_SLOW = "Not compared: one answer of a network this large would take many minutes under QEMU."


def rows_for(macs: int) -> int:
    """How many rows can be answered in about a minute; 0 where even one takes far longer."""
    return 0 if macs > MOST_MACS else max(1, min(MOST_ROWS, int(SECONDS * MACS_A_SECOND / max(macs, 1))))


def answer(shop: Shop) -> None:
    """Answer the judge's rows here and there, and say how far the answers are apart."""
    import numpy as np

    emulator, file = given(shop.order.emulator, "emulator"), Path("out") / ROWS_FILE
    if not file.exists():
        shop.emit(Compared(answers=SameAnswers(same=None, means=emulator.title, why=TOO_SLOW)))
        return
    with np.load(file, allow_pickle=False) as arrays:
        feed = {name.removeprefix(INPUT): arrays[name] for name in arrays.files}
    shop.emit(Compared(answers=_compare(shop, feed, emulator)))


def _compare(shop: Shop, feed: Feed, there: Emulator) -> SameAnswers:
    import numpy as np

    session = evaluation.open_session(shop.model, threads=1)
    if fixed_batch(session) not in (None, 1):
        return SameAnswers(same=None, means=there.title, why="The network has a fixed batch size above one.")
    rows = len(next(iter(feed.values())))
    singles = [run(session, {name: array[row : row + 1] for name, array in feed.items()}) for row in range(rows)]
    here = [np.concatenate(made) for made in zip(*singles, strict=True)]
    out = Path("scratch") / "answers.npz"
    command = [*there.command, str(SCRIPT), there.packages, str(shop.model), str(Path("out") / ROWS_FILE), str(out)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0 or not out.is_file():
        return SameAnswers(same=None, means=there.title, why=f"The emulated process ended: {_last(done)}")
    with np.load(out, allow_pickle=False) as arrays:
        return judged(here, [arrays[f"output__{number}"] for number in range(len(here))], there.title)


def judged(here: "list[np.ndarray]", there: "list[np.ndarray]", means: str) -> SameAnswers:
    """How far two sets of answers to the same rows are apart; each output is (rows, ...)."""
    import numpy as np

    pairs = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(here, there, strict=True)]
    apart = max(float(np.abs(a - b).max(initial=0.0)) / max(float(np.abs(a).max(initial=0.0)), 1e-12) for a, b in pairs)
    first, second = pairs[0]
    classes = first.ndim == 2 and first.shape[1] > 1
    same_class = int((first.argmax(1) == second.argmax(1)).sum()) if classes else None
    return SameAnswers(
        same=apart <= CLOSE,
        samples=len(first),
        identical=apart == 0.0,
        largest_difference=apart,
        same_class=same_class,
        means=means,
    )


def _last(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else f"status {done.returncode}"
