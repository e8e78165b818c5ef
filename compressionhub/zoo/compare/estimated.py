"""The engine's figures for many variants under one workload, each beside its own baseline: numbers and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.zoo.compare.evidence import Evidence
from workers.estimate import Grade, InputFact, NotKnown
from workers.serving.figures import Figures, figures_of_pairs
from workers.serving.machine import machine
from workers.serving.service import ServiceTime
from workers.serving.shown import NOTHING, on_the_floor

P95, CARBON = "latency-at-peak", "carbon"


@dataclass(frozen=True)
class Figure:
    """One estimate of a variant beside that of its baseline; all None where it is not known, for the ``reason``."""

    value: float | None
    low: float | None
    high: float | None
    before: float | None
    grade: Grade | None
    reason: str = ""

    @property
    def is_worse(self) -> bool:
        """Whether it is more than the baseline's, beyond what is shown as no change; all these are better low."""
        return self.value is not None and self.before is not None and self.value > self.before * (1 + NOTHING)


@dataclass(frozen=True)
class Saved:
    """What a variant saves of its baseline's bill, in the workload's currency, and as a share of it."""

    amount: float | None
    share: float | None


def not_known(reason: str) -> Figure:
    return Figure(None, None, None, None, None, reason)


class Estimated:
    """All figures of a comparison. Where nothing leads to the workload's machine, a variant has reasons instead."""

    def __init__(self, found: Sequence[Evidence], assumed: Assumptions) -> None:
        """Estimate all at once.

        Raises:
            YoursToFix: if the workload's instance is in no table.
        """
        self.assumed = assumed
        pairs: list[tuple[ServiceTime, ...]] = []
        self._place: dict[int, int] = {}
        self._reasons: dict[int, str] = {}
        data = tables.of(assumed)
        there = machine(assumed.workload, data)
        for at, each in enumerate(found):
            try:
                pairs.append(each.timed.on(there, assumed))
                self._place[at] = len(pairs) - 1
            except NotKnown as missing:
                self._reasons[at] = missing.reason
        self.figures: Figures | None = None
        if pairs:
            beside = [(before, after) for before, after in pairs]
            self.figures = figures_of_pairs(assumed.workload, beside, data=data)

    @property
    def bill_slug(self) -> str:
        return f"cost-{self.assumed.workload.billing}"

    @cached_property
    def per_usd(self) -> float:
        currency = self.assumed.workload.currency
        return currency.per_usd if currency else 1.0

    @property
    def currency(self) -> str:
        """What money is shown in, as the engine writes it: ``$`` or a code."""
        currency = self.assumed.workload.currency
        return currency.code if currency else "$"

    def of(self, slug: str, at: int) -> Figure:
        """The estimate of the variant ``at``, money in the workload's currency."""
        if at in self._reasons:
            return not_known(self._reasons[at])
        values, lows, highs, grades, reason = self._columns[slug]
        before, after = 2 * self._place[at], 2 * self._place[at] + 1
        if not isfinite(values[after]):
            return not_known(reason or self._why_not(slug, after))
        return Figure(
            values[after], _finite(lows[after]), _finite(highs[after]), _finite(values[before]), grades[after]
        )

    def saved(self, at: int) -> Saved:
        if at in self._reasons or self.figures is None:
            return Saved(None, None)
        place = 2 * self._place[at] + 1
        amounts, shares = self._saved
        return Saved(_finite(amounts[place]), _finite(shares[place]))

    def on_the_floor(self, at: int) -> bool:
        """Whether the least number of instances carries both the variant and its baseline."""
        return at in self._place and on_the_floor(self._known, 2 * self._place[at] + 1)

    def inputs(self) -> tuple[InputFact, ...]:
        """What the figures of all variants rest on alike, of which one may be too old."""
        if self.figures is None:
            return ()
        amounts = [self.figures.amount(slug, 1) for slug in (self.bill_slug, CARBON)]
        found = {each.name: each for amount in amounts for each in amount.data() if each.name != "service_time_s"}
        return tuple(found.values())

    # --- columns as plain lists: reading single numbers out of arrays costs more than computing them

    @cached_property
    def _columns(self) -> dict[str, tuple[list[float], list[float], list[float], tuple[Grade | None, ...], str]]:
        found = {}
        for slug in (P95, self.bill_slug, CARBON):
            column = self._known.column(slug)
            by = self.per_usd if slug == self.bill_slug else 1.0
            found[slug] = (
                (column.value * by).tolist(), (column.low * by).tolist(), (column.high * by).tolist(),
                column.grades, column.reason,
            )  # fmt: skip
        return found

    @cached_property
    def _saved(self) -> tuple[list[float], list[float]]:
        amounts, shares = self._known.saving(self.bill_slug), self._known.relative_saving(self.bill_slug)
        return (amounts.value * self.per_usd).tolist(), shares.value.tolist()

    @property
    def _known(self) -> Figures:
        assert self.figures is not None, "asked for figures that are not known"
        return self.figures

    def _why_not(self, slug: str, place: int) -> str:
        return self._known.amount(slug, place).reason


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
