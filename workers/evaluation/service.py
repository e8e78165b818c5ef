"""Service time with every core busy: what a request takes on a loaded host, not on an idle one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from workers.errors import YoursToFix
from workers.evaluation.sessions import Feed, feeds_for, open_session, run
from workers.report import Service

SECONDS = 1.5
FEWEST_RUNS = 20
MOST_SECONDS = 30.0
MOST_RUNS = 20_000


def study_service(model: Path, sample: Feed, *, workers: int) -> Service:
    """Batch 1 on ``workers`` sessions of one thread each, all busy at once.

    Every session has a thread that calls it without pause; ONNX Runtime lets go of Python's lock
    while it computes, but networks under about 0.1 ms wait for that lock and read high. Takes 1.5 s,
    longer for slow networks (20 runs each), at most about 30 s and one run.

    Args:
        model: an ONNX file.
        sample: one sample as a batch of one, by input name.
        workers: how many sessions, usually the cores of the host.

    Returns:
        Mean, 95th percentile and squared coefficient of variation (variance over squared mean) of single runs.

    Raises:
        YoursToFix: if ``workers`` is not positive.
    """
    if workers < 1:
        raise YoursToFix(
            f"Expected at least one worker, found {workers}.", hint="Give the number of cores.", code="service.workers"
        )
    servers = [_Server(model, sample) for _ in range(workers)]
    gate = threading.Barrier(workers)
    threads = [
        threading.Thread(target=server.serve, args=(gate,), name=f"service-{position}")
        for position, server in enumerate(servers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        if server.fault is not None:
            raise server.fault
    return summarize(np.concatenate([server.seconds for server in servers]), workers=workers)


def summarize(seconds: np.ndarray, *, workers: int) -> Service:
    """The figures of a queueing model from single service times in seconds, shape (n,)."""
    mean = float(seconds.mean())
    return Service(
        workers=workers,
        mean_ms=mean * 1000,
        p95_ms=float(np.quantile(seconds, 0.95)) * 1000,
        cv2=float(seconds.var() / mean**2),
    )


class _Server:
    """One session and the service times it saw."""

    def __init__(self, model: Path, sample: Feed) -> None:
        self.session = open_session(model, threads=1)
        self.feed = feeds_for(self.session, sample, 1)[0]
        run(self.session, self.feed)
        self.seconds: list[float] = []
        self.fault: BaseException | None = None

    def serve(self, gate: threading.Barrier) -> None:
        try:
            gate.wait(timeout=MOST_SECONDS)
            self._work()
        except BaseException as fault:  # handed to the caller, who raises it
            self.fault = fault

    def _work(self) -> None:
        call, feed, seconds = self.session.run, self.feed, self.seconds
        call(None, feed)  # not counted: the others are only starting
        begin = last = time.perf_counter()
        while _goes_on(last - begin, len(seconds)):
            start = time.perf_counter()
            call(None, feed)
            last = time.perf_counter()
            seconds.append(last - start)


def _goes_on(elapsed: float, runs: int) -> bool:
    if runs >= MOST_RUNS or elapsed >= MOST_SECONDS:
        return False
    return elapsed < SECONDS or runs < FEWEST_RUNS
