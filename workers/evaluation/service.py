"""Service time with every core busy: what a request takes on a loaded host, not on an idle one."""

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from workers.errors import OursToFix, YoursToFix
from workers.evaluation import probe
from workers.evaluation.sessions import Feed, feeds_for, open_session, run
from workers.numerics.bootstrap import Floats
from workers.report import Service

ROUNDS = 5
SECONDS = 0.3  # the rest of a round's bounds are also per round
FEWEST_RUNS = 4
MOST_SECONDS = 6.0
MOST_RUNS = 4_000
MOST_PROCESSES = 16  # each holds about 70 MB besides the network
READY, GO, COUNT = b"ready\n", b"go\n", struct.Struct("<q")


def study_services(networks: Sequence[tuple[Path, Feed]], *, workers: int) -> tuple[Service, ...]:
    """Batch 1 on ``workers`` sessions of one thread each, all busy at once, one network after the other.

    The sessions are spread over processes, as on a server: in one process they would wait for each
    other's Python. A time is what the session spent on a core, waiting for memory included: on a host that
    also does something else, a preemption of 4 ms would otherwise pass for a network's own 0.05 ms. The
    networks take turns, five rounds of 0.3 s each, longer for slow ones (20 runs in all, at most about 30 s
    and ten runs), and a figure is the median of its rounds, so that what else happens falls on all alike.

    Args:
        networks: ONNX files, each with one sample as a batch of one, by input name.
        workers: how many sessions, usually the cores of the host.

    Returns:
        For each network mean, 95th percentile and squared coefficient of variation (variance over squared
        mean) of single runs.

    Raises:
        YoursToFix: if ``workers`` is not positive, or a network does not take its sample.
        OursToFix: if a process dies, for example for want of memory.
    """
    if workers < 1:
        raise YoursToFix(
            f"Expected at least one worker, found {workers}.", hint="Give the number of cores.", code="service.workers"
        )
    for network in networks:
        Server(*network)  # a misfit is told here, in our words
    with ExitStack() as ends:
        try:
            groups = [[_begin(ends, *network, each) for each in shares(workers)] for network in networks]
        except OSError:  # no process may be started here
            turns = [[serve_together(*network, workers) for network in networks] for _ in range(ROUNDS)]
        else:
            turns = [[_round(group) for group in groups] for _ in range(ROUNDS)]
    return tuple(summarize(rounds, workers=workers) for rounds in zip(*turns, strict=True))


def _begin(ends: ExitStack, model: Path, sample: Feed, sessions: int) -> "Remote":
    server = Remote(model, sample, sessions)
    ends.callback(server.end)
    return server


def _round(group: "list[Remote]") -> Floats:
    """One turn of one network: its service times in seconds."""
    for server in group:
        server.wait_until_ready()
    for server in group:
        server.go()
    return np.concatenate([server.seconds() for server in group])


def shares(workers: int) -> list[int]:
    """How many sessions each process holds: as evenly as possible over at most 16 processes."""
    processes = min(workers, MOST_PROCESSES)
    return [workers // processes + (position < workers % processes) for position in range(processes)]


def summarize(rounds: Sequence[Floats], *, workers: int) -> Service:
    """The figures of a queueing model from single service times in seconds, shape (n,) for each round."""
    means = [seconds.mean() for seconds in rounds]
    spreads = [seconds.var() / mean**2 for seconds, mean in zip(rounds, means, strict=True)]
    tails = [np.quantile(seconds, 0.95) for seconds in rounds]
    mean, tail, spread = (float(np.median(each)) for each in (means, tails, spreads))
    return Service(workers=workers, mean_ms=mean * 1000, p95_ms=tail * 1000, cv2=spread)


class Remote:
    """A process with some sessions; it says when they are ready, and serves when told to."""

    def __init__(self, model: Path, sample: Feed, sessions: int) -> None:
        command = probe.command(__name__, str(model), str(sessions))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.sample = probe.packed(sample)

    def wait_until_ready(self) -> None:
        if self.sample:
            self._tell(str(len(self.sample)).encode() + b"\n" + self.sample)
            self.sample = b""
            if self._heard(len(READY)) != READY:
                raise self._death()

    def go(self) -> None:
        self._tell(GO)

    def seconds(self) -> Floats:
        """The service times of its last turn; waits until it has finished."""
        (count,) = COUNT.unpack(self._heard(COUNT.size))
        return np.frombuffer(self._heard(count * 8), dtype=np.float64)

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

    def _heard(self, size: int) -> bytes:
        assert self.process.stdout is not None
        content = self.process.stdout.read(size)
        if len(content) != size:
            raise self._death()
        return content

    def _death(self) -> OursToFix:
        said = self.process.communicate()[1]
        return OursToFix(
            f"Expected the network to serve in a process of its own, but that process ended: "
            f"{probe.last_words(said, self.process.returncode)}",
            hint="Choose a host with more memory, or fewer cores.",
            code="service.process-died",
        )


def main(model: str, sessions: str) -> None:
    """In a process of its own: read the sample, get ready, serve at each word and write the times (count, float64)."""
    size = int(sys.stdin.buffer.readline())
    sample = probe.unpacked(sys.stdin.buffer.read(size))
    servers = [Server(Path(model), sample) for _ in range(int(sessions))]
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    while sys.stdin.buffer.readline() == GO:
        seconds = busy(servers)
        sys.stdout.buffer.write(COUNT.pack(len(seconds)) + seconds.tobytes())
        sys.stdout.buffer.flush()


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
    """One session, warmed up, and the service times of its last turn."""

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
        call, feed = self.session.run, self.feed
        seconds: list[float] = []
        call(None, feed)  # not counted: the others are only starting
        begin = time.perf_counter()
        while goes_on(time.perf_counter() - begin, len(seconds)):
            start = time.thread_time()
            call(None, feed)
            seconds.append(time.thread_time() - start)
        self.seconds = seconds


def goes_on(elapsed: float, runs: int) -> bool:
    """Whether to serve on after this many seconds and runs."""
    if runs >= MOST_RUNS or elapsed >= MOST_SECONDS:
        return False
    return elapsed < SECONDS or runs < FEWEST_RUNS
