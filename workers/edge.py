"""The parent's side of edge emulation: run baseline and result as a device would, and add what came of it to a report.

Children run under the device's threads and memory, others as another processor; how long they take is not kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workers.device import DeviceProfile, host
from workers.emulation.emulator import Emulator
from workers.emulation.limits import Cap, Charged, cap
from workers.events import Compared, Emulated
from workers.report import Emulation, MemoryTrial, SameAnswers, Trials
from workers.sandbox import Outcome
from workers.ticket import Limits, Order

ANSWER_SECONDS = 15 * 60


@dataclass(frozen=True)
class Heard:
    """How a child ended and what it found, if it came that far."""

    outcome: Outcome
    event: Emulated | Compared | None = None


class Interrupted(Exception):
    """A child was stopped or taken away: the job ends as its outcome says."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.kind)
        self.outcome = outcome


RunChild = Callable[[Order, Limits, Cap | None], Heard]


def complete(
    emulation: Emulation, order: Order, there: DeviceProfile, *, result: str, limits: Limits, run_child: RunChild,
    why_not: str, say: Callable[[str], None] = lambda text: None,
) -> Emulation:  # fmt: skip
    """Try what the judge could not: does it fit, and does it answer the same?

    Args:
        emulation: what the judge wrote.
        order: its ``model`` is the baseline; ``result`` is the path of the artifact.
        run_child: carries out one order under limits and, if given, a cap.
        why_not: why answers cannot be compared, where ``order.emulator`` is None.
        say: tells whoever watches what is being tried.

    Raises:
        Interrupted: if a child was stopped or killed from outside.
    """
    say(f"Trying both networks with the memory and threads of {there.title}.")
    paths = (order.model or "", result)
    baseline, outcome = (_trial(order.model_copy(update={"model": path}), there, limits, run_child) for path in paths)
    answers = SameAnswers(same=None, why=why_not)
    if order.emulator is not None:
        say(f"Comparing answers under {order.emulator.title}; how long that takes says nothing.")
        asked = order.model_copy(update={"kind": "answer", "model": result})
        answers = _answers(asked, order.emulator, limits, run_child)
    return emulation.model_copy(update={"fits": Trials(baseline=baseline, result=outcome), "answers": answers})


def _trial(order: Order, there: DeviceProfile, limits: Limits, run_child: RunChild) -> MemoryTrial:
    if not there.runs_onnxruntime or not there.memory_bytes:
        return MemoryTrial(fits=None, cap_bytes=there.memory_bytes, why=_not_tried(there))
    order = order.model_copy(update={"kind": "emulate", "threads": there.threads})
    with cap(there.memory_bytes) as group:
        try:
            return _under(group, order, limits, run_child)
        except OSError:  # the kernel made the group and will not let this process into it
            return _under(Cap(means="RLIMIT_DATA", bytes=group.bytes), order, limits, run_child)


def _under(group: Cap, order: Order, limits: Limits, run_child: RunChild) -> MemoryTrial:
    guard = group.bytes if group.folder is None else max(limits.memory_bytes, 2 * group.bytes)
    heard = run_child(order, limits.model_copy(update={"memory_bytes": guard}), group)
    charged = group.charged()
    _see_it_was_not_interrupted(heard.outcome, charged)
    return _judged(heard, group, charged)


def _not_tried(there: DeviceProfile) -> str:
    if not there.memory_bytes:
        return f"The memory of {there.title} is not known."
    return f"{there.title} runs {there.runtime}, not ONNX Runtime on a CPU: a run here says nothing of it."


def _judged(heard: Heard, group: Cap, charged: Charged | None) -> MemoryTrial:
    event = heard.event if isinstance(heard.event, Emulated) else None
    peak = charged.peak_bytes if charged else event.anonymous_bytes if event else None
    file_bytes = max((event.file_bytes or 0) if event else 0, charged.file_bytes if charged else 0)
    trial = MemoryTrial(
        fits=True, cap_bytes=group.bytes, peak_bytes=peak, file_bytes=file_bytes or None, means=group.means
    )
    if heard.outcome.kind == "done":
        return trial
    if heard.outcome.kind == "out-of-memory" or (charged is not None and charged.killed):
        return trial.model_copy(update=_too_large(group))
    problem = heard.outcome.problem
    return trial.model_copy(update={"fits": None, "why": problem.message if problem else "The process ended early."})


def _too_large(group: Cap) -> dict[str, object]:
    if host().memory_bytes < group.bytes:
        return {"fits": None, "why": "It needs more memory than this worker has, which is less than the device's."}
    if group.folder is None:
        return {"fits": False, "why": "Its process reserves more memory than the device has."}
    return {"fits": False, "why": "It needs more memory than the device has."}


def _answers(order: Order, emulator: Emulator, limits: Limits, run_child: RunChild) -> SameAnswers:
    heard = run_child(order, limits.model_copy(update={"wall_seconds": ANSWER_SECONDS}), None)
    _see_it_was_not_interrupted(heard.outcome, None)
    if isinstance(heard.event, Compared):
        return heard.event.answers
    problem = heard.outcome.problem
    why = problem.message if problem else "The process that compares ended early."
    return SameAnswers(same=None, means=emulator.title, why=why)


def _see_it_was_not_interrupted(outcome: Outcome, charged: Charged | None) -> None:
    if outcome.kind == "stopped" or (outcome.kind == "killed" and not (charged and charged.killed)):
        raise Interrupted(outcome)
