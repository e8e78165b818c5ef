"""Service time with every core busy: what a request takes on a loaded host, not on an idle one."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from workers.errors import OursToFix, YoursToFix
from workers.evaluation import probe
from workers.evaluation.sessions import Feed, feeds_for, open_session, run
from workers.numerics.bootstrap import Floats
from workers.report import Service

SECONDS = 1.5
FEWEST_RUNS = 20
MOST_SECONDS = 30.0
MOST_RUNS = 20_000
MOST_PROCESSES = 16  # each holds about 70 MB besides the network
READY, GO = b"ready\n", b"go\n"


def study_service(model: Path, sample: Feed, *, workers: int) -> Service:
    """Batch 1 on ``workers`` sessions of one thread each, all busy at once.

    The sessions are spread over processes, as on a server: in one process they would wait for each
    other's Python. They are called without pause for 1.5 s, longer for slow networks (20 runs each),
    at most about 30 s and one run.

    Args:
        model: an ONNX file.
        sample: one sample as a batch of one, by input name.
        workers: how many sessions, usually the cores of the host.

    Returns:
        Mean, 95th percentile and squared coefficient of variation (variance over squared mean) of single runs.

    Raises:
        YoursToFix: if ``workers`` is not positive, or the network does not take the sample.
        OursToFix: if a process dies, for example for want of memory.
    """
    if workers < 1:
        raise YoursToFix(
            f"Expected at least one worker, found {workers}.", hint="Give the number of cores.", code="service.workers"
        )
    Server(model, sample)  # a misfit is told here, in our words
    try:
        servers = [Remote(model, sample, sessions) for sessions in shares(workers)]
    except OSError:  # no process may be started here
        return summarize(serve_together(model, sample, workers), workers=workers)
    try:
        for server in servers:
            server.wait_until_ready()
        for server in servers:
            server.go()
        seconds = np.concatenate([server.seconds() for server in servers])
    finally:
        for server in servers:
            server.end()
    return summarize(seconds, workers=workers)


def shares(workers: int) -> list[int]:
    """How many sessions each process holds: as evenly as possible over at most 16 processes."""
    processes = min(workers, MOST_PROCESSES)
    return [workers // processes + (position < workers % processes) for position in range(processes)]


def summarize(seconds: Floats, *, workers: int) -> Service:
    """The figures of a queueing model from single service times in seconds, shape (n,)."""
    mean = float(seconds.mean())
    p95 = float(np.quantile(seconds, 0.95))
    return Service(workers=workers, mean_ms=mean * 1000, p95_ms=p95 * 1000, cv2=float(seconds.var() / mean**2))


class Remote:
    """A process with some sessions; it says when they are ready, and serves when told to."""

    def __init__(self, model: Path, sample: Feed, sessions: int) -> None:
        command = probe.command(__name__, str(model), str(sessions))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.sample = probe.packed(sample)

    def wait_until_ready(self) -> None:
        self._tell(str(len(self.sample)).encode() + b"\n" + self.sample)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != READY:
            raise self._death()

    def go(self) -> None:
        self._tell(GO)

    def seconds(self) -> Floats:
        """The service times it saw; waits until it has finished."""
        said, errors = self.process.communicate()
        if self.process.returncode:
            raise self._death(errors)
        return np.frombuffer(said, dtype=np.float64)

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _tell(self, content: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(content)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._death() from None

    def _death(self, errors: bytes | None = None) -> OursToFix:
        said = self.process.communicate()[1] if errors is None else errors
        return OursToFix(
            f"Expected the network to serve in a process of its own, but that process ended: "
            f"{probe.last_words(said, self.process.returncode)}",
            hint="Choose a host with more memory, or fewer cores.",
            code="service.process-died",
        )


def main(model: str, sessions: str) -> None:
    """In a process of its own: read the sample, get ready, wait for the word, serve, write the times (float64)."""
    size = int(sys.stdin.buffer.readline())
    sample = probe.unpacked(sys.stdin.buffer.read(size))
    servers = [Server(Path(model), sample) for _ in range(int(sessions))]
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    if sys.stdin.buffer.readline() == GO:
        sys.stdout.buffer.write(busy(servers).tobytes())


def serve_together(model: Path, sample: Feed, workers: int) -> Floats:
    """Service times of ``workers`` sessions in this process."""
    return busy([Server(model, sample) for _ in range(workers)])


def busy(servers: list["Server"]) -> Floats:
    """Keep sessions busy at once, a thread each, and return all their service times in seconds."""
    gate = threading.Barrier(len(servers))
    threads = [threading.Thread(target=server.serve, args=(gate,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        if server.fault is not None:
            raise server.fault
    return np.concatenate([server.seconds for server in servers])


class Server:
    """One session, warmed up, and the service times it saw."""

    def __init__(self, model: Path, sample: Feed) -> None:
        self.session = open_session(model, threads=1)
        self.feed = feeds_for(self.session, sample, 1)[0]
        self.seconds: list[float] = []
        self.fault: BaseException | None = None
        run(self.session, self.feed)

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
        while goes_on(last - begin, len(seconds)):
            start = time.perf_counter()
            call(None, feed)
            last = time.perf_counter()
            seconds.append(last - start)


def goes_on(elapsed: float, runs: int) -> bool:
    """Whether to serve on after this many seconds and runs."""
    if runs >= MOST_RUNS or elapsed >= MOST_SECONDS:
        return False
    return elapsed < SECONDS or runs < FEWEST_RUNS
