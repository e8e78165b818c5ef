"""Every estimate for many networks under one workload, and what each saves against its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from workers.estimate import Amount, Grade, InputFact, NotKnown, estimates, worst
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import JobRun
from workers.serving.load import Load
from workers.serving.machine import machine
from workers.serving.service import ServiceTime
from workers.serving.tables import Tables, tables
from workers.serving.workload import Workload

NOTHING_TO_SAVE = "The baseline's figure is zero: there is no share of it to save."
AT_THE_HIGH_END = "At the high end of the service time the limit cannot be met."


@dataclass(frozen=True)
class Column:
    """One figure for all networks: value, low and high, each (n,), with their classes.

    Infinity means never (or no upper end); not-a-number means not known, for the ``reason`` if it holds for all.
    """

    unit: str
    value: Floats
    low: Floats
    high: Floats
    grades: tuple[Grade | None, ...]
    reason: str = ""


@dataclass(frozen=True)
class Figures:
    """All estimates of a load. Columns for tables and charts, an ``Amount`` where one figure is shown."""

    load: Load
    tables_version: str

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(_serving())

    @property
    def bill_slug(self) -> str:
        """The bill in the way the workload is paid for."""
        return f"cost-{self.load.workload.billing}"

    def compares(self, slug: str) -> bool:
        """Whether a saving of it makes sense; not of what is a comparison itself."""
        return _serving()[slug].about.compares

    def column(self, slug: str) -> Column:
        """One estimate for every network."""
        return self._kept("plain", slug)

    def saving(self, slug: str) -> Column:
        """The baseline's figure minus each network's, from paired inputs."""
        return self._kept("saving", slug)

    def relative_saving(self, slug: str) -> Column:
        """The saving as a share of the baseline's figure; inputs that stand on both sides cancel."""
        return self._kept("relative", slug)

    def amount(self, slug: str, position: int) -> Amount:
        return self._amount("plain", slug, position)

    def saving_amount(self, slug: str, position: int) -> Amount:
        return self._amount("saving", slug, position)

    def relative_saving_amount(self, slug: str, position: int) -> Amount:
        """The headline: how much of the baseline's figure a network saves, from 0 to 1."""
        return self._amount("relative", slug, position)

    # --- how

    @cached_property
    def _columns(self) -> dict[tuple[str, str], Column]:
        return {}

    @cached_property
    def _raw(self) -> dict[str, Floats]:
        return {}

    @cached_property
    def _own_grades(self) -> dict[type[ServingEstimate], list[Grade | None]]:
        return {}

    @cached_property
    def _shared(self) -> dict[type[ServingEstimate], tuple[InputFact, ...]]:
        return {}

    def _inputs(self, kind: type[ServingEstimate]) -> tuple[InputFact, ...]:
        """What all networks' figures rest on alike, made once: thousands of amounts name the same facts."""
        if kind not in self._shared:
            self._shared[kind] = kind.inputs(self.load)
        return self._shared[kind]

    def _kept(self, view: str, slug: str) -> Column:
        if (view, slug) not in self._columns:
            self._columns[view, slug] = self._make(view, slug)
        return self._columns[view, slug]

    def _make(self, view: str, slug: str) -> Column:
        kind = _comparable(slug) if view != "plain" else _serving()[slug]
        unit = "share" if view == "relative" else kind.about.unit
        try:
            band, shared = self._band(view, slug), self._inputs(kind)
        except NotKnown as missing:
            nothing = np.full(len(self.load.services), np.nan)
            return Column(unit, nothing, nothing, nothing, (None,) * len(nothing), missing.reason)
        low, value, high = _summary(band, len(self.load.services), falls=view != "plain")
        return Column(unit, value, low, high, self._grades(view, kind, shared))

    def _band(self, view: str, slug: str) -> Floats:
        if slug not in self._raw:
            self._raw[slug] = _serving()[slug].compute(self.load)
        monthly = self._raw[slug]
        if view == "plain":
            return monthly
        monthly = self.load.for_all(monthly)
        saved = self.load.saved(monthly)
        if view == "saving":
            return saved
        before = self.load.of_baselines(monthly)
        if np.all(nothing := (before == 0).any(axis=(1, 2), keepdims=True)):
            raise NotKnown(NOTHING_TO_SAVE)
        pairs = saved.shape[2] // monthly.shape[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(nothing, np.nan, saved / np.repeat(before, pairs, axis=2))

    def _grades(
        self, view: str, kind: type[ServingEstimate], shared: tuple[InputFact, ...]
    ) -> tuple[Grade | None, ...]:
        common = worst(each.grade for each in self._counting(view, kind, shared))
        own = self._own(kind)
        before = [own[at] for at in self.load.baseline_at] if view != "plain" else [None] * len(own)
        both = list(zip(own, before, strict=True))
        told = {each: worst((common, *each)) for each in set(both)}
        return tuple(told[each] for each in both)

    def _own(self, kind: type[ServingEstimate]) -> list[Grade | None]:
        """The worst class among what each network's figure rests on alone; the same in every view of it."""
        if kind not in self._own_grades:
            self._own_grades[kind] = [kind.grade_of(self.load, at) for at in range(len(self.load.services))]
        return self._own_grades[kind]

    @staticmethod
    def _counting(view: str, kind: type[ServingEstimate], facts: tuple[InputFact, ...]) -> tuple[InputFact, ...]:
        if view != "relative":
            return facts
        return tuple(each for each in facts if each.name not in kind.about.cancels)

    def _amount(self, view: str, slug: str, position: int) -> Amount:
        kind, column = _serving()[slug], self._kept(view, slug)
        if column.reason:
            return Amount.unknown(column.unit, column.reason, method=_method(view, kind))
        facts = self._facts(view, kind, position)
        value, low, high = (float(each[position]) for each in (column.value, column.low, column.high))
        if np.isnan(value):
            reason = self._why_not(view, kind, position)
            return Amount.unknown(column.unit, reason, method=_method(view, kind), inputs=facts)
        made = Amount.of(value, low, high, column.unit, method=_method(view, kind), inputs=facts)
        open_ended = made.is_known and (made.low is None or made.high is None) and slug not in _COMPARISONS
        return made.model_copy(update={"reason": AT_THE_HIGH_END}) if open_ended else made

    def _why_not(self, view: str, kind: type[ServingEstimate], position: int) -> str:
        first = self.load.baseline_at[position]
        if view == "relative" and self.column(kind.slug()).low[first] == 0:
            return NOTHING_TO_SAVE
        if view != "plain" and first != position and np.isnan(self.column(kind.slug()).value[first]):
            return f"Baseline: {kind.why_not(self.load, first)}"
        return kind.why_not(self.load, position)

    def _facts(self, view: str, kind: type[ServingEstimate], position: int) -> tuple[InputFact, ...]:
        shared = self._counting(view, kind, self._inputs(kind))
        own = kind.inputs_of(self.load, position)
        if view == "plain" or self.load.is_baseline(position):
            return (*own, *shared)
        before = tuple(
            each.model_copy(update={"name": f"baseline_{each.name}", "title": f"{each.title}, baseline"})
            for each in kind.inputs_of(self.load, self.load.baseline_at[position])
        )
        return (*before, *own, *shared)


_COMPARISONS = frozenset({"payback-cost", "payback-carbon", "net-saving"})


def figures(
    workload: Workload, baseline: ServiceTime, variants: Sequence[ServiceTime], *, data: Tables | None = None,
    jobs: Sequence[JobRun | None] | None = None, instance: str | None = None,
) -> Figures:  # fmt: skip
    """Estimate a baseline and its variants, all on one machine under one workload.

    Args:
        baseline, variants: how long a request takes with each; position 0 of the figures is the baseline.
        data: the tables to use; the packaged ones if none are given.
        jobs: what it took to make each variant, in their order.
        instance: another machine than the workload's.

    Raises:
        YoursToFix: if the workload's instance is not in the tables.
    """
    used = data or tables()
    made = (None, *jobs) if jobs is not None else ()
    load = Load(workload, machine(workload, used, instance=instance), (baseline, *variants), made)
    return Figures(load, used.version)


def figures_of_pairs(
    workload: Workload, pairs: Sequence[tuple[ServiceTime, ServiceTime]], *, data: Tables | None = None,
    jobs: Sequence[JobRun | None] | None = None,
) -> Figures:  # fmt: skip
    """Estimate many variants, each beside a baseline of its own, all on one machine under one workload.

    Args:
        pairs: how long a request takes with a baseline and with its variant; there is at least one. Pair ``i``
            stands at the positions ``2 * i`` and ``2 * i + 1`` of the figures.
        data, jobs: as for ``figures``.

    Raises:
        YoursToFix: if the workload's instance is not in the tables, or a pair came about in two ways.
    """
    used = data or tables()
    services = tuple(each for pair in pairs for each in pair)
    made = tuple(each for job in jobs for each in (None, job)) if jobs is not None else ()
    baselines = tuple(at - at % 2 for at in range(len(services)))
    return Figures(Load(workload, machine(workload, used), services, made, baselines), used.version)


@cache
def _serving() -> dict[str, type[ServingEstimate]]:
    return {slug: kind for slug, kind in estimates().items() if issubclass(kind, ServingEstimate)}


def _comparable(slug: str) -> type[ServingEstimate]:
    kind = _serving()[slug]
    if not kind.about.compares:
        raise ValueError(f"{slug} is a comparison itself")
    return kind


def _method(view: str, kind: type[ServingEstimate]) -> str:
    if view == "plain":
        return kind.about.formula
    what = "saving / baseline" if view == "relative" else "baseline - variant"
    return f"{what}, each side {kind.about.formula}"


def _summary(band: Floats, count: int, *, falls: bool) -> tuple[Floats, Floats, Floats]:
    """Low, value and high of (n, sides, own).

    A corner at which the limit cannot be met leaves a cost without an upper end, and a saving without a lower.
    """
    flat = np.broadcast_to(band, (count, *band.shape[1:]))
    value = flat[:, flat.shape[1] // 2, flat.shape[2] // 2]
    gaps = np.isnan(flat) & ~np.isnan(value)[:, None, None]
    with np.errstate(invalid="ignore"):
        low = np.where(gaps, -np.inf if falls else np.inf, flat).min(axis=(1, 2))
        high = np.where(gaps, np.inf if not falls else -np.inf, flat).max(axis=(1, 2))
    return low, np.asarray(value), high
