"""Whether CPUs can take over from a GPU: the cheapest CPU instance that keeps the limit the GPU kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workers.errors import Frozen
from workers.estimate import AboutEstimate, Amount, Estimate, InputFact
from workers.serving.candidates import Candidate, Tried, ranked, try_out
from workers.serving.tables import Tables
from workers.serving.workload import Workload


class Replacement(Frozen):
    """The answer as a sentence, with the bill before, the bill after and what lies between; all None if it is no."""

    sentence: str
    gpu: Tried
    cpu: Tried | None
    saving: Amount
    relative_saving: Amount
    others: tuple[Tried, ...] = ()


class GpuToCpu(Estimate):
    """Whether CPUs can take over from a GPU: the cheapest CPU instance that keeps the limit the GPU kept.

    The two run on different machines, so nothing cancels: the saving is the difference of two independent ranges.
    """

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="GPU replaced by CPU", unit="$/month",
        formula="bill on the GPU - least bill on CPUs where p95 <= limit",
        legend="p95 response time at peak, both by the high end of the service time",
        source="List prices; service times measured, or predicted with a band",
        example="int8 on c6i.xlarge in place of fp32 at 6 ms on g4dn.xlarge",
        lower_is_better=False, compares=False,
    )  # fmt: skip

    @classmethod
    def replace(
        cls, workload: Workload, gpu: Candidate, cpus: Sequence[Candidate], *, data: Tables | None = None
    ) -> Replacement:
        """Compare what runs on a GPU with what could run on CPUs.

        Args:
            gpu: the network that runs now, on its GPU instance.
            cpus: the smaller network on CPU instances.
        """
        now = try_out(workload, gpu, data=data)
        if workload.sla_p95_ms is None:
            return _no("The workload sets no limit, so there is nothing the CPUs have to keep.", now)
        if not now.fits:
            return _no(f"{now.instance} does not keep the limit itself. {now.reason}", now)
        tried = ranked(workload, cpus, data=data)
        best = next((each for each in tried if each.fits), None)
        if best is None:
            limit = workload.sla_p95_ms
            return _no(f"No CPU instance keeps the limit of {limit:g} ms that {now.instance} keeps.", now, tried)
        others = tuple(each for each in tried if each is not best)
        return Replacement(
            sentence=_sentence(now, best, workload.sla_p95_ms), gpu=now, cpu=best, saving=_saving(now, best),
            relative_saving=_share(now, best), others=others,
        )  # fmt: skip

    @classmethod
    def example(cls) -> Amount:
        from workers.serving.worked_example import FP32, INT8, workload

        on_gpu = FP32.model_copy(update={"mean_s": 0.006, "p95_s": 0.007, "workers": 1, "device": "g4dn.xlarge"})
        gpu = Candidate(instance="g4dn.xlarge", service=on_gpu)
        return cls.replace(workload(), gpu, [Candidate(instance="c6i.xlarge", service=INT8)]).saving


def _no(reason: str, gpu: Tried, others: tuple[Tried, ...] = ()) -> Replacement:
    unknown = {unit: Amount.unknown(unit, reason, method=GpuToCpu.about.formula) for unit in ("$/month", "share")}
    return Replacement(
        sentence=reason, gpu=gpu, cpu=None, saving=unknown["$/month"], relative_saving=unknown["share"], others=others
    )


def _ends(amount: Amount) -> tuple[float, float, float]:
    high = float("inf") if amount.high is None else amount.high
    return amount.low or 0.0, amount.value or 0.0, high


def _facts(gpu: Tried, cpu: Tried) -> tuple[InputFact, ...]:
    """The data of both, told apart by where they stand; choices are the same for both."""
    told = [
        fact.model_copy(update={"name": f"{side}_{fact.name}", "title": f"{fact.title} ({tried.instance})"})
        for side, tried in (("gpu", gpu), ("cpu", cpu))
        for fact in tried.bill.data()
    ]
    return (*told, *gpu.bill.choices())


def _saving(gpu: Tried, cpu: Tried) -> Amount:
    (low, value, high), (least, middle, most) = _ends(gpu.bill), _ends(cpu.bill)
    return Amount.of(
        value - middle, low - most, high - least, "$/month", method=GpuToCpu.about.formula, inputs=_facts(gpu, cpu)
    )


def _share(gpu: Tried, cpu: Tried) -> Amount:
    (low, value, high), (least, middle, most) = _ends(gpu.bill), _ends(cpu.bill)
    method = f"({GpuToCpu.about.formula}) / bill on the GPU"
    if low == 0:
        return Amount.unknown("share", "The GPU costs nothing: there is no share of it to save.", method=method)
    return Amount.of(
        1 - middle / value, 1 - most / low, 1 - least / high, "share", method=method, inputs=_facts(gpu, cpu)
    )


def _sentence(gpu: Tried, cpu: Tried, limit_ms: float) -> str:
    before, after = _ends(gpu.bill)[1], _ends(cpu.bill)[1]
    kept = (
        f"{cpu.instances.value:g} × {cpu.instance} at peak keeps the limit of {limit_ms:g} ms that "
        f"{gpu.instances.value:g} × {gpu.instance} keeps now"
    )
    if after < before:
        return f"{kept}, for ${after:,.0f} a month instead of ${before:,.0f}: no GPU is needed."
    return f"{kept}, but it costs no less: ${after:,.0f} a month, ${before:,.0f} now."
