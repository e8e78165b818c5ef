"""How a child ended, and what to tell the person whose job it was."""

import signal
from dataclasses import dataclass
from typing import Literal

from workers.errors import Problem
from workers.sandbox.inside import DONE, FAILED, OUT_OF_MEMORY_WORDS
from workers.ticket import GIB, Limits

OutcomeKind = Literal["done", "failed", "crashed", "out-of-memory", "wall-clock", "flood", "killed", "stopped"]
NEAR_THE_LIMIT = 0.9
MEMORY_HINT = "Try a smaller model, fewer calibration samples or smaller batches, or a worker with more memory."
NAMES = {
    signal.SIGSEGV: "touched memory that is not its own (segmentation fault)",
    signal.SIGABRT: "gave up (abort)",
    signal.SIGILL: "met an instruction this processor does not have",
    signal.SIGFPE: "divided by zero in native code",
    signal.SIGBUS: "lost a file it had mapped into memory (bus error)",
    signal.SIGSYS: "asked the kernel for something the sandbox forbids",
}


@dataclass(frozen=True)
class Outcome:
    """How it ended. ``killed`` is the only kind that counts as a lost attempt; ``problem`` says why, for people."""

    kind: OutcomeKind
    problem: Problem | None = None
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class End:
    """What is known once the process is gone: its status (negative for a signal) and what led there."""

    status: int
    limits: Limits
    reported: Problem | None = None
    cut_short: Outcome | None = None
    stop_asked: bool = False
    peak_memory_bytes: int = 0
    kernel_killed: bool = False
    stderr: str = ""


def judge(end: End) -> Outcome:
    """Decide how a child ended. A finish that arrives before the stop wins."""
    if end.status == DONE and end.reported is None and end.cut_short is None:
        return Outcome("done", None, end.peak_memory_bytes)
    if end.cut_short is not None:
        return Outcome(end.cut_short.kind, end.cut_short.problem, end.peak_memory_bytes)
    if end.reported is not None and end.status == FAILED:
        return _reported(end, end.reported)
    if end.stop_asked:
        return Outcome("stopped", None, end.peak_memory_bytes)
    return _by_status(end)


def _reported(end: End, problem: Problem) -> Outcome:
    if problem.code == "limits.memory":
        return Outcome("out-of-memory", needed_more_memory(end.limits), end.peak_memory_bytes)
    return Outcome("failed", problem, end.peak_memory_bytes)


def _by_status(end: End) -> Outcome:
    number = -end.status
    near = end.peak_memory_bytes >= NEAR_THE_LIMIT * end.limits.memory_bytes
    if number == signal.SIGKILL:
        if near or end.kernel_killed:
            return Outcome("out-of-memory", needed_more_memory(end.limits, peak=end.peak_memory_bytes, host=not near), end.peak_memory_bytes)
        return Outcome("killed", Problem(fault="ours", code="child.killed", message="The process doing the work was killed from outside."), end.peak_memory_bytes)
    if number == signal.SIGTERM or end.status == 3:
        return Outcome("killed", Problem(fault="ours", code="child.killed", message="The process doing the work was asked to end from outside."), end.peak_memory_bytes)
    if number == signal.SIGXCPU:
        return Outcome("wall-clock", took_too_long(end.limits), end.peak_memory_bytes)
    if number in (signal.SIGABRT, signal.SIGSEGV) and (near or OUT_OF_MEMORY_WORDS.search(end.stderr)):
        return Outcome("out-of-memory", needed_more_memory(end.limits), end.peak_memory_bytes)
    return Outcome("crashed", _crashed(end), end.peak_memory_bytes)


def _crashed(end: End) -> Problem:
    try:
        how = NAMES.get(signal.Signals(-end.status), f"was ended by signal {-end.status}")
    except ValueError:
        how = f"ended with status {end.status} and no reason"
    return Problem(
        fault="yours", code="child.crashed", message=f"The process doing the work {how}.",
        hint="The model file may be damaged or use an operator the runtime cannot handle; export it again, or leave out the last step.",
    )  # fmt: skip


def needed_more_memory(limits: Limits, *, peak: int = 0, host: bool = False) -> Problem:
    """``host``: the machine ran out before the job's own limit was reached."""
    had = f"over {peak / GIB:.1f} GiB, more than this host had left" if host and peak else f"over {limits.memory_bytes / GIB:.3g} GiB"
    return Problem(fault="yours", code="limits.memory", message=f"The work needed {had}.", hint=MEMORY_HINT)


def took_too_long(limits: Limits) -> Problem:
    return Problem(
        fault="yours", code="limits.time", message=f"The work took longer than the {_duration(limits.wall_seconds)} it may take.",
        hint="Use fewer samples or steps, or allow the job more time.",
    )  # fmt: skip


def said_too_much(how: str) -> Problem:
    return Problem(fault="ours", code="limits.output", message=f"The work was ended because it wrote {how}.", hint="A model or library that floods its output cannot be used here.")


def too_many_processes(found: int) -> Problem:
    return Problem(fault="ours", code="limits.processes", message=f"The work was ended because it had started {found} processes.", hint="Report this with the model that caused it.")


def filled_the_disk(limits: Limits) -> Problem:
    return Problem(
        fault="yours", code="limits.disk", message=f"The work wrote over {limits.disk_bytes / GIB:.3g} GiB to disk, or far too many files.",
        hint="Use a smaller model or allow the job more disk.",
    )  # fmt: skip


def spoke_garbled(how: str) -> Problem:
    return Problem(fault="ours", code="child.garbled", message=f"The process doing the work said something that makes no sense: {how}", hint="Run it again; if it happens again, report it.")


def _duration(seconds: int) -> str:
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds} seconds"
