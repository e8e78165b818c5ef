"""Figures of several networks added up: what a whole team pays, emits and saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.errors import Frozen
from workers.estimate import Amount, Grade, InputFact, worst
from workers.numerics.queueing import Floats
from workers.serving.figures import figures
from workers.serving.jobs import JobRun
from workers.serving.service import ServiceTime
from workers.serving.tables import Tables
from workers.serving.workload import Workload

MOST_NAMED = 12
GRADES: Final[tuple[Grade | None, ...]] = (None, *Grade)  # a worse class stands further on
SUM = "sum over what is counted; low with low and high with high, as what they share moves together"
MEAN = "sum(figure before * share saved) / sum(figure before)"


class Part(NamedTuple):
    """One figure among those that are added. ``value`` is None where it is not known, an end where there is none."""

    title: str
    value: float | None
    low: float | None
    high: float | None
    grade: Grade | None


@dataclass(frozen=True)
class Parts:
    """Many of them. Not-a-number stands for what is not known and for an end that there is not.

    ``figures`` is (n, 4): value, low, high, and the class as its place among ``GRADES``, 0 for none.
    """

    titles: Sequence[str]
    figures: Floats

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Parts:
        rows = [row_of(each.value, each.low, each.high, each.grade) for each in parts]
        return cls([each.title for each in parts], np.array(rows, dtype=np.float64).reshape(-1, 4))

    def times(self, factors: Floats) -> Parts:
        """The figures over so many months each, (n,). No factor is below zero."""
        return Parts(self.titles, self.figures * np.column_stack([factors, factors, factors, np.ones_like(factors)]))

    @property
    def are_known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.figures[:, 0])

    def among(self, chosen: NDArray[np.bool_]) -> Parts:
        return Parts([title for title, one in zip(self.titles, chosen, strict=True) if one], self.figures[chosen])

    @property
    def worst(self) -> Grade | None:
        return GRADES[int(self.figures[:, 3].max(initial=0))]


def row_of(value: float | None, low: float | None, high: float | None, grade: Grade | None) -> tuple[float, ...]:
    """A figure as a row of ``Parts``."""
    return (*(math.nan if each is None else each for each in (value, low, high)), float(GRADES.index(grade)))


def part_of(title: str, row: Sequence[float] | Floats) -> Part:
    """The figure of a row."""
    value, low, high, grade = (float(each) for each in row)
    return Part(title, _known(value), _known(low), _known(high), GRADES[int(grade)])


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


class Spent(Frozen):
    """What making variants took."""

    cost: Amount
    energy: Amount
    carbon: Amount


def total(parts: Parts, unit: str, *, nothing: str) -> Amount:
    """The sum of the figures that are known; how many are not is said as its reason.

    Args:
        nothing: why there is no figure where there are no parts.
    """
    count, known = len(parts.titles), parts.among(parts.are_known)
    found = len(known.titles)
    if not found:
        return Amount.unknown(unit, nothing if not count else _left_out(count, count), method=SUM)
    value, low, high = (float(each) for each in known.figures[:, :3].sum(axis=0))
    return Amount(
        value=value, low=_known(low), high=_known(high), unit=unit, method=SUM, inputs=_facts(known, unit),
        grade=known.worst, reason=_left_out(count - found, count),
    )  # fmt: skip


def share(shares: Parts, of: Parts, *, nothing: str) -> Amount:
    """What is saved of the whole: each share, weighted by the figure it is a share of.

    One share alone keeps its own class: what it is a share of cancels.

    Args:
        of: the figure before of each share.
        nothing: why there is no share where there are no parts.
    """
    both = shares.are_known & of.are_known
    parts, wholes = shares.among(both), of.among(both)
    bills = wholes.figures[:, 0]
    whole = float(bills.sum())
    if not whole:
        return Amount.unknown("share", nothing, method=MEAN)
    value, low, high = (float(each) for each in bills @ parts.figures[:, :3] / whole)
    graded = {parts.worst, wholes.worst} if len(bills) > 1 else {parts.worst}
    count = len(shares.titles)
    return Amount(
        value=value, low=_known(low), high=_known(high), unit="share", method=MEAN, inputs=_facts(parts, "share"),
        reason=_left_out(count - len(bills), count), grade=worst(graded),
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


def _left_out(missing: int, count: int) -> str:
    return f"{missing} of {count} are left out, because they are not known." if missing else ""


def _facts(parts: Parts, unit: str) -> tuple[InputFact, ...]:
    """The largest by name; for sums the rest together."""
    order = np.argsort(-np.abs(parts.figures[:, 0]), kind="stable")
    named, rest = order[:MOST_NAMED], parts.figures[order[MOST_NAMED:]]
    facts = [_fact(part_of(parts.titles[at], parts.figures[at]), f"part_{n}", unit) for n, at in enumerate(named)]
    if len(rest) and unit != "share":
        together = (*rest[:, :3].sum(axis=0), rest[:, 3].max())
        facts.append(_fact(part_of(f"{len(rest)} others", together), "others", unit))
    return tuple(facts)


def _fact(part: Part, name: str, unit: str) -> InputFact:
    value = part.value or 0.0
    return InputFact(
        name=name, title=part.title, value=value, low=value if part.low is None else part.low,
        high=value if part.high is None else part.high, unit=unit, grade=part.grade or Grade.ASSUMED,
        source="its own page says what it rests on",
    )  # fmt: skip
