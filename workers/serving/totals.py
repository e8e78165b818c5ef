"""Figures of several networks added up: what a whole team pays, emits and saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workers.errors import Frozen
from workers.estimate import Amount, Grade, InputFact, worst
from workers.serving.figures import figures
from workers.serving.jobs import JobRun
from workers.serving.service import ServiceTime
from workers.serving.tables import Tables
from workers.serving.workload import Workload

MOST_NAMED = 12
SUM = "sum over what is counted; low with low and high with high, as what they share moves together"
MEAN = "sum(figure before * share saved) / sum(figure before)"


class Part(NamedTuple):
    """One figure among those that are added. ``value`` is None where it is not known, an end where there is none."""

    title: str
    value: float | None
    low: float | None
    high: float | None
    grade: Grade | None

    def times(self, factor: float) -> Part:
        """The figure over so many months. ``factor`` is not below zero."""
        value, low, high = (None if each is None else each * factor for each in (self.value, self.low, self.high))
        return Part(self.title, value, low, high, self.grade)


class Spent(Frozen):
    """What making variants took."""

    cost: Amount
    energy: Amount
    carbon: Amount


def total(parts: Sequence[Part], unit: str, *, nothing: str) -> Amount:
    """The sum of the figures that are known; how many are not is said as its reason.

    Args:
        nothing: why there is no figure where there are no parts.
    """
    known = [each for each in parts if each.value is not None]
    if not known:
        return Amount.unknown(unit, nothing if not parts else _left_out(len(parts), len(parts)), method=SUM)
    return Amount(
        value=_sum([each.value for each in known]), low=_sum([each.low for each in known]),
        high=_sum([each.high for each in known]), unit=unit, method=SUM, inputs=_facts(known, unit),
        grade=worst({each.grade for each in known}), reason=_left_out(len(parts) - len(known), len(parts)),
    )  # fmt: skip


def share(saved: Sequence[tuple[Part, Part]], *, nothing: str) -> Amount:
    """What is saved of the whole: each share, weighted by the figure it is a share of.

    One share alone keeps its own class: what it is a share of cancels.

    Args:
        saved: each share with the figure before.
        nothing: why there is no share where there are no parts.
    """
    known = [(part, of) for part, of in saved if part.value is not None and of.value is not None]
    bills = [of.value or 0.0 for _, of in known]
    whole = sum(bills)
    if not whole:
        return Amount.unknown("share", nothing, method=MEAN)
    parts = [part for part, _ in known]

    def mean(ends: list[float | None]) -> float | None:
        weighed = _sum([None if each is None else each * of for each, of in zip(ends, bills, strict=True)])
        return None if weighed is None else weighed / whole

    weights = {of.grade for _, of in known} if len(known) > 1 else set()
    return Amount(
        value=mean([each.value for each in parts]), low=mean([each.low for each in parts]),
        high=mean([each.high for each in parts]), unit="share", method=MEAN, inputs=_facts(parts, "share"),
        reason=_left_out(len(saved) - len(known), len(saved)),
        grade=worst({each.grade for each in parts} | weights),
    )  # fmt: skip


def spent(workload: Workload, run: JobRun, *, data: Tables | None = None) -> Spent:
    """Cost, energy and carbon of jobs, on the grid and in the kind of building of a workload's place.

    Raises:
        YoursToFix: if the workload's machine is in no table.
    """
    anything = ServiceTime(mean_s=1, p95_s=1, cs2=0, workers=1, device="any", source="no network matters here")
    found = figures(workload, anything, [anything], jobs=[run], data=data)
    return Spent(
        cost=found.amount("job-cost", 1), energy=found.amount("job-energy", 1), carbon=found.amount("job-carbon", 1)
    )


def _sum(ends: list[float | None]) -> float | None:
    """None where one of them has no end."""
    known = [each for each in ends if each is not None]
    return sum(known) if len(known) == len(ends) else None


def _left_out(missing: int, count: int) -> str:
    return f"{missing} of {count} are left out, because they are not known." if missing else ""


def _facts(parts: Sequence[Part], unit: str) -> tuple[InputFact, ...]:
    """The largest by name; for sums the rest together."""
    ordered = sorted(parts, key=lambda each: -abs(each.value or 0.0))
    named, rest = ordered[:MOST_NAMED], ordered[MOST_NAMED:]
    facts = [_fact(each, f"part_{at}", unit) for at, each in enumerate(named)]
    if rest and unit != "share":
        together = Part(
            f"{len(rest)} others", _sum([each.value for each in rest]), _sum([each.low for each in rest]),
            _sum([each.high for each in rest]), worst({each.grade for each in rest}),
        )  # fmt: skip
        facts.append(_fact(together, "others", unit))
    return tuple(facts)


def _fact(part: Part, name: str, unit: str) -> InputFact:
    value = part.value or 0.0
    return InputFact(
        name=name, title=part.title, value=value, low=value if part.low is None else part.low,
        high=value if part.high is None else part.high, unit=unit, grade=part.grade or Grade.ASSUMED,
        source="its own page says what it rests on",
    )  # fmt: skip
