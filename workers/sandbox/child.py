"""The parent's side of one confined process."""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from workers.errors import Problem
from workers.events import Event, Failed
from workers.sandbox import outcome as ends
from workers.sandbox.clock import WallClock
from workers.sandbox.confinement import PACKAGE
from workers.sandbox.outcome import End, Outcome
from workers.sandbox.usage import Meter, folder_bytes, kernel_kills
from workers.sandbox.wire import GO, AloneOver, AloneWanted, Flood, Garbled, Lines, Tick, start_line
from workers.ticket import Limits, Order

log = logging.getLogger(__name__)

Preload = Literal["onnxruntime", "torch", "none"]
PERFORM = "workers.runner:perform"
CHUNK_BYTES = 1 << 16
STDERR_KEPT_BYTES = 64 << 10
STDERR_MOST_BYTES = 64 << 20
MOST_PROCESSES = 64
# ONNX Runtime 1.29 and newer report home unless told otherwise, from a thread that starts with the import.
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}
# Threads that spin while they wait starve each other on busy cores: training was several times slower with two.
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
HANDED_ON = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "TZ")

# The kernel ends a child when the thread that started it ends, not the process: this one thread stays.
_BIRTHS = ThreadPoolExecutor(1, thread_name_prefix="births")


def clean_environment() -> dict[str, str]:
    """What a child may know of its parent's environment.

    One thread until the rules are in force: threads that libraries start earlier would not be bound by them.
    """
    own = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "worker", "PYTHONHASHSEED": "0"}
    handed_on = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    one_thread = dict.fromkeys(THREAD_VARIABLES, "1")
    settings = NO_TELEMETRY | PATIENT_THREADS | one_thread
    return own | {"PYTHONPATH": str(PACKAGE.parent)} | settings | handed_on


def _start(preload: Preload, perform: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "workers", "child", "--preload", preload, "--perform", perform]
    command += ["--parent", str(os.getpid())]
    return subprocess.Popen(
        command, cwd="/", env=clean_environment(), start_new_session=True, bufsize=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


class Child:
    """One confined process, preloaded, serving one order.

    Use it in this order: ``spawn``, ``begin``, ``messages`` to its end, ``outcome``. ``stop``, ``suspend`` and
    ``resume`` may be called from other threads.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._changing = threading.RLock()
        self._clock = WallClock()
        self._meter = Meter(process.pid)
        self._lines = Lines()
        self._stderr = bytearray()
        self._stderr_bytes = 0
        self._kernel_kills = kernel_kills()
        self._limits = Limits()
        self._folder: Path | None = None
        self._stop_asked = False
        self._alone_since: float | None = None
        self._cut_short: Outcome | None = None
        self._reported: Problem | None = None

    @classmethod
    def spawn(cls, *, preload: Preload = "onnxruntime", perform: str = PERFORM) -> "Child":
        """Start a process that loads its libraries and waits for ``begin``.

        Args:
            preload: which libraries it loads while it still may read everything.
            perform: ``module:function`` that does the work.
        """
        return cls(_BIRTHS.submit(_start, preload, perform).result())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    @property
    def stderr(self) -> str:
        """The last 64 KiB of what the process and its libraries printed."""
        return self._stderr.decode(errors="replace")

    def begin(self, order: Order, *, folder: Path, readable: Sequence[Path], limits: Limits) -> None:
        """Hand over the one order.

        Args:
            folder: the work's own folder; the child changes into it and may write below it.
            readable: what else it may read.
            limits: memory, disk and wall clock; the clock starts now.
        """
        self._limits, self._folder = limits, folder.resolve()
        self._kernel_kills = kernel_kills()
        self._clock.start()
        line = start_line(order, folder=self._folder, readable=[path.resolve() for path in readable], limits=limits)
        self._write(line)

    def go(self) -> None:
        """Tell the child that it runs alone now."""
        self._clock.resume("waiting")
        self._alone_since = time.monotonic()
        self._write(GO)

    def _write(self, line: bytes) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended; messages() finds out why
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._process.stdin.fileno(), rest) :]

    def messages(self, *, tick: float = 0.5) -> Iterator[Event | AloneWanted | AloneOver | Tick]:
        """What the child says, checked, with a ``Tick`` in between at least every ``tick`` seconds, until it has ended.

        Memory, disk, processes, time and output are watched here; a child beyond a limit is ended.
        A failure the child reports is not passed on: ``outcome`` has it.
        """
        with selectors.DefaultSelector() as selector:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ)
            due = time.monotonic() + tick
            while self._process.poll() is None:
                yield from self._hear(selector, max(0.0, due - time.monotonic()))
                if time.monotonic() >= due:
                    due = time.monotonic() + tick
                    yield self._watch()
            self._kill()
            while self._cut_short is None and any(selector.select(0)):
                yield from self._hear(selector, 0)

    def _hear(self, selector: selectors.BaseSelector, timeout: float) -> Iterator[Event | AloneWanted | AloneOver]:
        """Read once from whichever pipe has something, for at most ``timeout`` seconds."""
        if not selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        for key, _ in selector.select(timeout) if selector.get_map() else ():
            chunk = os.read(key.fd, CHUNK_BYTES)
            if not chunk:
                selector.unregister(key.fileobj)
            elif key.fileobj is self._process.stderr:
                self._keep_stderr(chunk)
            else:
                self._meter.glance()
                yield from self._understand(chunk)

    def _understand(self, chunk: bytes) -> Iterator[Event | AloneWanted | AloneOver]:
        try:
            for message in self._lines.feed(chunk):
                if self._cut_short is not None:
                    return
                if isinstance(message, Failed):
                    self._reported = message.problem
                    continue
                if isinstance(message, AloneWanted):
                    self._clock.pause("waiting")
                elif isinstance(message, AloneOver):
                    self._alone_since = None
                yield message
        except Flood as error:
            self._cut("flood", ends.said_too_much(str(error)))
        except Garbled as error:
            self._cut("crashed", ends.spoke_garbled(str(error)))

    def _keep_stderr(self, chunk: bytes) -> None:
        self._stderr_bytes += len(chunk)
        self._stderr += chunk
        del self._stderr[:-STDERR_KEPT_BYTES]
        if self._stderr_bytes > STDERR_MOST_BYTES:
            self._cut("flood", ends.said_too_much(f"more than {STDERR_MOST_BYTES >> 20} MiB of text"))

    def _watch(self) -> Tick:
        """Compare what is used with what is allowed."""
        usage, share = self._meter.read()
        limits = self._limits
        written = folder_bytes(self._folder) if self._folder else 0
        if usage.processes > MOST_PROCESSES:
            self._cut("flood", ends.too_many_processes(usage.processes))
        elif usage.memory_bytes > limits.memory_bytes:
            self._cut("out-of-memory", ends.needed_more_memory(limits))
        elif written is None or written > limits.disk_bytes:
            self._cut("failed", ends.filled_the_disk(limits))
        elif self._clock.seconds() > limits.wall_seconds:
            self._cut("wall-clock", ends.took_too_long(limits))
        elif self._alone_since is not None and time.monotonic() - self._alone_since > limits.alone_seconds:
            self._cut("wall-clock", ends.timed_too_long(limits))
        return Tick(share, usage.memory_bytes, self._meter.peak_memory_bytes, usage.processes)

    def _cut(self, kind: ends.OutcomeKind, problem: Problem) -> None:
        """End the child because it went beyond a limit; the first reason counts."""
        if self._cut_short is None and not self._stop_asked:
            self._cut_short = Outcome(kind, problem)
        self._kill()

    def stop(self, grace: float = 1.0) -> None:
        """Ask the child to end, and after ``grace`` seconds end it with everything it started.

        It works on a child in a long kernel, one that ignores the wish, and one that stands still.
        """
        with self._changing:
            if self._process.poll() is None:
                self._stop_asked = True
            if grace > 0:
                self._signal(signal.SIGTERM)
                self._signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self._kill()

    def suspend(self) -> None:
        """Make it stand still; this time does not count against its wall clock."""
        with self._changing:
            self._clock.pause("suspended")
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        with self._changing:
            self._signal(signal.SIGCONT)
            self._clock.resume("suspended")

    def _kill(self) -> None:
        """End the whole group, also what outlived its leader, and collect the leader."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def outcome(self) -> Outcome:
        """How it ended; call it after ``messages`` has ended. Closes the pipes."""
        self.close()
        end = End(
            status=self._process.returncode,
            limits=self._limits,
            reported=self._reported,
            cut_short=self._cut_short,
            stop_asked=self._stop_asked,
            peak_memory_bytes=self._meter.peak_memory_bytes,
            kernel_killed=kernel_kills() > self._kernel_kills,
            stderr=self.stderr,
        )
        judged = ends.judge(end)
        if judged.kind not in ("done", "stopped") and end.stderr:
            log.info("a child ended as %s; it had printed: %s", judged.kind, end.stderr)
        return judged

    def close(self) -> None:
        """End it if it lives and close its pipes."""
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
