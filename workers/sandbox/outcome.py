"""How a child ended, and what to tell the person whose job it was."""

import signal
from dataclasses import dataclass
from typing import Literal

from workers.errors import Problem
from workers.sandbox.inside import DONE, FAILED, OUT_OF_MEMORY_WORDS, STOPPED
from workers.ticket import GIB, Limits

OutcomeKind = Literal["done", "failed", "crashed", "out-of-memory", "wall-clock", "flood", "killed", "stopped"]
NEAR_THE_LIMIT = 0.9
KILLED = Problem(
    fault="ours", code="child.killed", message="The process doing the work was ended by somebody else on its host."
)
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
    kind, problem = _reason(end)
    return Outcome(kind, problem, end.peak_memory_bytes)


def _reason(end: End) -> tuple[OutcomeKind, Problem]:
    number = -end.status
    near = end.peak_memory_bytes >= NEAR_THE_LIMIT * end.limits.memory_bytes
    if number == signal.SIGKILL and near:
        return "out-of-memory", needed_more_memory(end.limits)
    if number == signal.SIGKILL and end.kernel_killed:
        return "out-of-memory", needed_more_than_the_host_had(end.peak_memory_bytes)
    if number in (signal.SIGKILL, signal.SIGTERM) or end.status == STOPPED:
        return "killed", KILLED
    if number == signal.SIGXCPU:
        return "wall-clock", took_too_long(end.limits)
    if number in (signal.SIGABRT, signal.SIGSEGV) and (near or OUT_OF_MEMORY_WORDS.search(end.stderr)):
        return "out-of-memory", needed_more_memory(end.limits)
    return "crashed", _crashed(end)


def _crashed(end: End) -> Problem:
    try:
        how = NAMES.get(signal.Signals(-end.status), f"was ended by signal {-end.status}")
    except ValueError:
        how = f"ended with status {end.status} and no reason"
    return Problem(
        fault="yours",
        code="child.crashed",
        message=f"The process doing the work {how}.",
        hint="The model file may be damaged or use an operator the runtime cannot handle; export it again, "
        "or leave out the last step.",
    )


def needed_more_memory(limits: Limits) -> Problem:
    message = f"The work needed over {limits.memory_bytes / GIB:.3g} GiB of memory, which is its limit."
    return Problem(fault="yours", code="limits.memory", message=message, hint=MEMORY_HINT)


def needed_more_than_the_host_had(peak_bytes: int) -> Problem:
    message = f"The work needed over {peak_bytes / GIB:.3g} GiB of memory, more than this worker had left."
    return Problem(fault="yours", code="limits.memory", message=message, hint=MEMORY_HINT)


def timed_too_long(limits: Limits) -> Problem:
    return Problem(
        fault="yours",
        code="limits.alone",
        message=f"Timing the networks took over {limits.alone_seconds / 60:g} minutes, and other jobs waited for it.",
        hint="Use a smaller network, or time it on a worker that serves this job alone.",
    )


def took_too_long(limits: Limits) -> Problem:
    return Problem(
        fault="yours",
        code="limits.time",
        message=f"The work took longer than the {_duration(limits.wall_seconds)} it may take.",
        hint="Use fewer samples or steps, or allow the job more time.",
    )


def said_too_much(how: str) -> Problem:
    return Problem(
        fault="ours",
        code="limits.output",
        message=f"The work was ended because it wrote {how}.",
        hint="A model or library that floods its output cannot be used here.",
    )


def too_many_processes(found: int) -> Problem:
    return Problem(
        fault="ours",
        code="limits.processes",
        message=f"The work was ended because it had started {found} processes.",
        hint="Report this with the model that caused it.",
    )


def filled_the_disk(limits: Limits) -> Problem:
    return Problem(
        fault="yours",
        code="limits.disk",
        message=f"The work wrote over {limits.disk_bytes / GIB:.3g} GiB to disk, or far too many files.",
        hint="Use a smaller model or allow the job more disk.",
    )


def spoke_garbled(how: str) -> Problem:
    return Problem(
        fault="ours",
        code="child.garbled",
        message=f"The process doing the work said something that makes no sense: {how}",
        hint="Run it again; if it happens again, report it.",
    )


def _duration(seconds: int) -> str:
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds} seconds"
