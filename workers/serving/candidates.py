"""Which instances could serve a workload, what each would cost, and why some cannot."""

from __future__ import annotations

from collections.abc import Sequence

from workers.errors import Frozen, YoursToFix
from workers.estimate import Amount
from workers.serving.figures import Figures, figures
from workers.serving.power import CloudPower
from workers.serving.service import ServiceTime
from workers.serving.tables import Tables, tables
from workers.serving.workload import Workload

NOT_MEASURED = "Not measured there and no fitted profile: measure it there or upload a latency file."


class Candidate(Frozen):
    """An instance and how long a request takes there; ``service`` is None where nobody knows, for the reason."""

    instance: str
    service: ServiceTime | None
    workers: int | None = None
    why_not: str = NOT_MEASURED


class Tried(Frozen):
    """What became of a candidate. ``reason`` says why it was not chosen; empty for the one that was."""

    instance: str
    fits: bool
    bill: Amount
    instances: Amount
    p95: Amount
    reason: str = ""

    @property
    def most_usd(self) -> float:
        """The bill at the high end of the service time."""
        return float("inf") if self.bill.high is None else self.bill.high


def try_out(workload: Workload, candidate: Candidate, *, data: Tables | None = None) -> Tried:
    """Judge one instance by the high end of its service time: memory first, then the limit, then the price."""
    if candidate.service is None:
        return _rejected(candidate, candidate.why_not)
    there = workload.model_copy(
        update={"instance": candidate.instance, "workers_per_instance": candidate.workers}
    )  # an override per candidate: the workload's own belongs to its own instance
    try:
        found = figures(there, candidate.service, [], data=data or tables())
    except YoursToFix as fault:
        return _rejected(candidate, fault.message)
    reason = _too_little_memory(found, candidate.service) or _too_slow(found, workload)
    bill = found.amount(found.bill_slug, 0)
    reason = reason or ("" if bill.is_known else bill.reason)
    return Tried(
        instance=candidate.instance, fits=not reason, bill=bill, reason=reason,
        instances=found.amount("instances-at-peak", 0), p95=found.amount("latency-at-peak", 0),
    )  # fmt: skip


def ranked(workload: Workload, candidates: Sequence[Candidate], *, data: Tables | None = None) -> tuple[Tried, ...]:
    """All candidates: those that fit by price, then the others; each but the first with its reason."""
    tried = [try_out(workload, each, data=data) for each in candidates]
    fitting = sorted((each for each in tried if each.fits), key=lambda each: (each.most_usd, each.instance))
    dearer = [each.model_copy(update={"reason": _dearer(each, fitting[0])}) for each in fitting[1:]]
    return (*fitting[:1], *dearer, *(each for each in tried if not each.fits))


def _rejected(candidate: Candidate, reason: str) -> Tried:
    nothing = {unit: Amount.unknown(unit, reason) for unit in ("$/month", "instances", "ms")}
    return Tried(
        instance=candidate.instance, fits=False, reason=reason, bill=nothing["$/month"],
        instances=nothing["instances"], p95=nothing["ms"],
    )  # fmt: skip


def _too_little_memory(found: Figures, service: ServiceTime) -> str:
    machine = found.load.machine
    gpu = machine.power.gpu if isinstance(machine.power, CloudPower) else None
    there = machine.memory_gb if gpu is None else gpu.memory_gb * getattr(machine.power, "gpus", 1)
    needed = service.peak_memory_bytes * machine.workers / 1e9
    if needed <= there:
        return ""
    return f"Memory: {machine.workers} at a time need {needed:.3g} GB, it has {there:.3g} GB."


def _too_slow(found: Figures, workload: Workload) -> str:
    limit, service = workload.sla_p95_s, found.load.services[0]
    if limit is None or service.high_p95_s < limit:
        return ""
    tail = service.high_p95_s * 1000
    end = "" if service.high_p95_s == service.p95_s else ", at its high end,"
    return (
        f"Limit: one request alone takes {tail:.3g} ms{end} at the 95th percentile; the limit is {limit * 1000:.3g} ms."
    )


def _dearer(each: Tried, best: Tried) -> str:
    if each.most_usd == best.most_usd:
        return f"Price: no cheaper than {best.instance}."
    banded = any(one.bill.value != one.bill.high for one in (each, best))
    judged = f" at its high end, ${each.most_usd:,.2f}," if banded else ""
    return f"Price:{judged} ${each.most_usd - best.most_usd:,.2f} a month more than {best.instance}."
