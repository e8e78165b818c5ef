"""The cheapest instance that keeps the limit, and why each other one was not chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workers.errors import Frozen
from workers.estimate import AboutEstimate, Amount, Estimate
from workers.serving.candidates import Candidate, Tried, ranked
from workers.serving.tables import Tables
from workers.serving.workload import Workload


class Sizing(Frozen):
    """What to rent. ``chosen`` is None where no candidate keeps the limit; ``others`` have their reasons."""

    chosen: Tried | None
    runner_up: Tried | None
    others: tuple[Tried, ...]
    sentence: str


class RightSizing(Estimate):
    """The cheapest instance that keeps the limit, and why each other one was not chosen.

    Instances are judged by the high end of their service time, among those where it was measured or predicted
    with a band.
    """

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Right size", unit="$/month",
        formula="argmin of the bill where p95 <= limit at the high end of S, and k * memory fits",
        legend="p95 response time at peak, S service time, k requests at a time",
        source="List prices; service times measured, or predicted with a band",
        example="c6i.xlarge at $434 rather than c7i.xlarge, whose service time nobody measured",
        compares=False,
    )  # fmt: skip

    @classmethod
    def choose(cls, workload: Workload, candidates: Sequence[Candidate], *, data: Tables | None = None) -> Sizing:
        """Rank candidates; those in the running first, by price."""
        tried = ranked(workload, candidates, data=data)
        fitting = [each for each in tried if each.fits]
        chosen, runner_up = (fitting[0] if fitting else None), (fitting[1] if len(fitting) > 1 else None)
        return Sizing(
            chosen=chosen, runner_up=runner_up, others=tuple(each for each in tried if each is not chosen),
            sentence=_sentence(chosen, runner_up, tried),
        )  # fmt: skip

    @classmethod
    def example(cls) -> Amount:
        from workers.serving.worked_example import INT8, workload

        candidates = [Candidate(instance="c6i.xlarge", service=INT8), Candidate(instance="c7i.xlarge", service=None)]
        chosen = cls.choose(workload(), candidates).chosen
        return Amount.unknown(cls.about.unit, "Nothing fits.") if chosen is None else chosen.bill


def _sentence(chosen: Tried | None, runner_up: Tried | None, tried: tuple[Tried, ...]) -> str:
    if chosen is None:
        return f"None of {len(tried)} instances keeps the limit." if tried else "There is no instance to choose from."
    said = f"{chosen.instance}: {chosen.instances.value:g} at peak, ${chosen.bill.value:,.2f} a month."
    return said if runner_up is None else f"{said} Next is {runner_up.instance}. {runner_up.reason}"
