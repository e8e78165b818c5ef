"""Runs a handful of processes: prefixes their lines, starts the crashed again, stops all in order.

One thread: a selector over their output, a list of times at which something is due.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from compressionhub.env import ROOT
from compressionhub.site.tether import tied

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEALTHY_SECONDS = 30.0
STOP_SECONDS = 10.0
TICK = 0.1
COLOURS = {"web": 36, "relay": 35, "worker": 33, "demo": 32, "site": 34}


@dataclass
class Program:
    """One process to keep alive. ``rank`` says when it is stopped: the lowest first."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    rank: int = 0
    keep: bool = True
    pass_fds: tuple[int, ...] = ()
    on_end: Callable[[int], None] = lambda status: None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float | None = None
    rest: bytes = field(default=b"", repr=False)


class Supervisor:
    """Call ``add`` for each program, then ``run`` until somebody asks to stop."""

    def __init__(self, pid_file: Path, *, out: Callable[[str], None] = print) -> None:
        self.programs: list[Program] = []
        self.pid_file = pid_file
        self.stopping = False
        self._out = out
        self._selector = selectors.DefaultSelector()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def catch_signals(self) -> None:
        """Let Ctrl-C and SIGTERM stop everything in order; a second one at once."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, number: int, frame: object) -> None:
        if self.stopping:
            self._kill_all()
        self.stopping = True

    def add(self, program: Program) -> None:
        """Start a program now and keep it."""
        self.programs.append(program)
        self._start(program)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something once, in a while."""
        self._later.append((time.monotonic() + seconds, action))

    def say(self, name: str, line: str) -> None:
        """Print a line of a program, or of the site itself."""
        label = f"{name:<7}"
        if sys.stdout.isatty():
            label = f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m"
        self._out(f"{label}| {line}")

    def run(self) -> None:
        """Keep everything alive until asked to stop, then stop it."""
        while not self.stopping:
            self.turn(TICK)
        self.stop()

    def turn(self, seconds: float) -> None:
        """Wait at most this long for output, pass it on, and do what is due."""
        self._read(seconds)
        for program in list(self.programs):
            self._look_after(program)
        now = time.monotonic()
        ready = [action for due, action in self._later if due <= now]
        self._later = [(due, action) for due, action in self._later if due > now]
        for action in ready:
            action()

    def _start(self, program: Program) -> None:
        program.process = subprocess.Popen(
            tied(program.command),
            env=dict(program.env),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=program.pass_fds,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the others in order
        )
        program.started, program.due = time.monotonic(), None
        assert program.process.stdout is not None
        os.set_blocking(program.process.stdout.fileno(), False)
        self._selector.register(program.process.stdout, selectors.EVENT_READ, program)
        self._write_pids()

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            else:
                self._pass_on(key.data)

    def _pass_on(self, program: Program) -> None:
        process = program.process
        if process is None or process.stdout is None:
            return
        try:
            part = os.read(process.stdout.fileno(), 65_536)
        except BlockingIOError:
            return
        *lines, program.rest = (program.rest + part).split(b"\n")
        if not part:
            self._selector.unregister(process.stdout)
            process.stdout.close()
            lines, program.rest = ([program.rest] if program.rest else []), b""
        for line in lines:
            self.say(program.name, line.decode(errors="replace").rstrip("\r"))

    def _look_after(self, program: Program) -> None:
        if program.process is None:
            if program.due is not None and time.monotonic() >= program.due:
                self._start(program)
            return
        status = program.process.poll()
        if status is None:
            return
        self._drain(program)
        program.process = None
        if program.keep:
            self._plan_restart(program, status)
        else:
            self.programs.remove(program)
        self._write_pids()
        program.on_end(status)

    def _drain(self, program: Program) -> None:
        while program.process and program.process.stdout and not program.process.stdout.closed:
            before = program.rest
            self._pass_on(program)
            if program.rest == before and not program.process.stdout.closed:
                self._selector.unregister(program.process.stdout)  # somebody it started still holds the pipe
                program.process.stdout.close()

    def _plan_restart(self, program: Program, status: int) -> None:
        if time.monotonic() - program.started > HEALTHY_SECONDS:
            program.pause = FIRST_PAUSE
        program.due = time.monotonic() + program.pause
        self.say("site", f"{program.name} ended ({ending(status)}); it starts again in {program.pause:g} s.")
        program.pause = min(LONGEST_PAUSE, program.pause * 2)

    def stop(self) -> None:
        """Stop everything, rank after rank; whoever does not end within ten seconds is killed."""
        self.stopping = True
        for rank in sorted({program.rank for program in self.programs}):
            self._stop_together([program for program in self.programs if program.rank == rank])
        self.pid_file.unlink(missing_ok=True)

    def _stop_together(self, programs: Sequence[Program]) -> None:
        for program in programs:
            if program.process:
                program.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(_lives(program) for program in programs) and time.monotonic() < deadline:
            self._read(0.05)
        for program in programs:
            if program.process:
                _kill_group(program.process.pid)  # whatever it left behind in its session goes as well
                program.process.wait()
                self._drain(program)
                program.process = None

    def _kill_all(self) -> None:
        for program in self.programs:
            if program.process:
                _kill_group(program.process.pid)

    def _write_pids(self) -> None:
        held = [(program.process.pid, _born(program.process.pid)) for program in self.programs if program.process]
        made = self.pid_file.with_suffix(".new")
        made.write_text(json.dumps([(os.getpid(), _born(os.getpid())), *held]))
        made.replace(self.pid_file)


def clean_up(pid_file: Path) -> int:
    """End what a killed supervisor left running: the processes it wrote down, if they are still the same ones.

    Returns:
        How many there were.
    """
    try:
        noted = json.loads(pid_file.read_text())
    except (OSError, ValueError):
        return 0
    left = [process for pid, born in noted if (process := _same(pid, born))]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=5)[1]:
        _kill_group(process.pid)
    pid_file.unlink(missing_ok=True)
    return len(left)


def ending(status: int) -> str:
    """How a process ended, in words."""
    return f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def _same(pid: int, born: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - born) < 1 and pid != os.getpid() else None
    except psutil.Error:
        return None


def _born(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _lives(program: Program) -> bool:
    return program.process is not None and program.process.poll() is None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
