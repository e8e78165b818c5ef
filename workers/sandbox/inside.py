"""The child's own side: preload, wait for the order, give rights up, work, and end with its parent."""

import argparse
import contextlib
import ctypes
import errno
import importlib
import math
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from workers.errors import EngineError, OursToFix, Problem, Stopped
from workers.events import EVENT, Event, Failed, Log, Point
from workers.sandbox.confinement import confine
from workers.sandbox.wire import ALONE_OVER, ALONE_WANTED, GO, Start

DONE, FAILED, STOPPED, ORPHANED = 0, 1, 3, 4
ONNX = ("numpy", "onnx", "onnxruntime")
# The first optimizer that is made loads torch._dynamo, which takes as long as torch itself.
PRELOADS = {"none": (), "onnxruntime": ONNX, "torch": (*ONNX, "torch", "torch._dynamo", "workers.training")}
SET_PARENT_DEATH_SIGNAL = 1
OUT_OF_MEMORY_WORDS = re.compile(r"bad_?alloc|allocate memory|start new thread", re.IGNORECASE)
A_PATH = re.compile(r"(?<![\w.])/(?:[\w.@+~-]+/)+")

Perform = Callable[..., None]


def child_main(argv: Sequence[str]) -> int:
    """``python -m workers child``: serve one order, then end.

    Args:
        argv: ``--preload`` names the libraries to load before any right is given up; ``--perform`` is
            the dotted name of the function that does the work; ``--parent`` the process to end with.
    """
    options = _parser().parse_args(argv)
    if not _die_with(options.parent):
        return ORPHANED
    voice = Voice(_take_over_stdout())
    for module in PRELOADS[options.preload]:
        importlib.import_module(module)
    perform = _find(options.perform)
    line = _first_line()
    if not line:
        return ORPHANED
    sys.stdout.flush()
    os._exit(_serve(Start.model_validate_json(line), perform, voice))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers child", description="Serve one order from stdin.")
    parser.add_argument("--preload", choices=PRELOADS, default="onnxruntime")
    parser.add_argument("--perform", default="workers.runner:perform")
    parser.add_argument("--parent", type=int, default=os.getppid())
    return parser


def _find(dotted: str) -> Perform:
    module, _, name = dotted.partition(":")
    found: Perform = getattr(importlib.import_module(module), name)
    return found


def _die_with(parent: int) -> bool:
    """Let the kernel end this process with its parent; says whether the parent still lived then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def _take_over_stdout() -> int:
    """Keep the pipe to the parent for events; what libraries print goes to stderr."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    return pipe


def _first_line() -> bytes:
    """The order; empty if the parent is gone. The parent sends nothing after it until it is asked."""
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            return b""
        line += chunk
    return bytes(line)


class Voice:
    """Writes lines to the parent, whole ones only, from any thread."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Send an event.

        Raises:
            OursToFix: if it does not survive the way through JSON; the parent would refuse it.
        """
        if isinstance(event, Point) and not (math.isfinite(event.x) and math.isfinite(event.y)):
            return  # JSON has no word for it, and a curve has no place
        line = event.model_dump_json().encode()
        try:
            EVENT.validate_json(line)
        except ValueError as error:
            said = " ".join(str(error).splitlines()[1:3])
            message = f"Expected a {event.type} event of plain finite values, found {said}"
            raise OursToFix(message, code="engine.unsayable") from None
        self.say(line)

    def say(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with self._lock:
            while rest:
                rest = rest[os.write(self._pipe, rest) :]


class Ears:
    """Listens to the parent: its permission to time alone, its wish to stop, its end."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._stop = threading.Event()
        self._go = threading.Semaphore(0)

    def open(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        threading.Thread(target=self._listen, name="ears", daemon=True).start()

    def _listen(self) -> NoReturn:
        while True:
            said = os.read(0, 1024)
            if not said:
                os._exit(ORPHANED)
            for _ in range(said.count(GO)):
                self._go.release()

    def should_stop(self) -> bool:
        return self._stop.is_set()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other job of this host computes, and say when that is no longer needed."""
        self._voice.say(ALONE_WANTED)
        while not self._go.acquire(timeout=0.2):
            if self.should_stop():
                raise Stopped()
        try:
            yield
        finally:
            self._voice.say(ALONE_OVER)


def _serve(start: Start, perform: Perform, voice: Voice) -> int:
    """Confine this process, do the work, and report how it went; returns the exit status."""
    try:
        _settle_in(start.folder)
        said = confine(folder=start.folder, readable=start.readable, limits=start.limits)
        ears = Ears(voice)
        ears.open()
        for sentence in said:
            voice.emit(Log(text=f"Confinement is not complete on this host. {sentence}", level="warning"))
        perform(start.order, emit=voice.emit, alone=ears.alone, should_stop=ears.should_stop)
    except Stopped:
        return STOPPED
    except BaseException as error:  # whatever it is, the parent must hear of it
        return _report(error, voice)
    return DONE


def _settle_in(folder: Path) -> None:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    os.chdir(folder)
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch))
    tempfile.tempdir = None


def _report(error: BaseException, voice: Voice) -> int:
    """Send the error up as a problem, and the whole traceback to stderr for the worker's log."""
    problem = describe(error)
    if not isinstance(error, EngineError):
        with contextlib.suppress(BaseException):
            traceback.print_exception(error, file=sys.stderr)
    voice.emit(Failed(problem=problem))
    return FAILED


def describe(error: BaseException) -> Problem:
    """Say what went wrong without naming a path of this machine."""
    if isinstance(error, EngineError):
        return error.as_problem()
    text = without_paths(_last_line(error))
    if isinstance(error, MemoryError) or OUT_OF_MEMORY_WORDS.search(text):
        return Problem(fault="yours", code="limits.memory", message=f"The work ran out of memory: {text}")
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return Problem(
            fault="yours",
            code="limits.disk",
            message="The work wrote more to disk than it may.",
            hint="Use a smaller model or allow the job more disk.",
        )
    return Problem(
        fault="ours",
        code="engine.crashed",
        message=f"Expected the work to end normally, found {text}",
        hint="Run it again; if it happens again, report it with this message.",
    )


def _last_line(error: BaseException) -> str:
    lines: list[str] = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return (lines[-1] if lines else type(error).__name__)[:500]


def without_paths(text: str) -> str:
    """Shorten every absolute path to its last part."""
    return A_PATH.sub("", text)
