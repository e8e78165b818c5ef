"""What the home page answers: what runs, what is waiting, and what compression saved so far in size and latency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, FloatField, Max, Min, OuterRef, Window
from django.db.models.functions import RowNumber

from compressionhub.accounts.models import Team, User
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library.models import Dataset, TrainedModel
from compressionhub.ui import units
from compressionhub.zoo import savings_chart
from compressionhub.zoo.compare.evidence import Evidence, evidence
from compressionhub.zoo.models import Entry, EntryQuerySet

MOST_MODELS = 25
RECENT_RESULTS = 200  # among which home looks for what could be published
NOTHING: tuple[Evidence | None, int] = (None, 0)


@dataclass(frozen=True)
class ModelRow:
    """One model with its best listed variant, or the reason why there is none."""

    model: TrainedModel
    best: Evidence | None
    variants: int
    running: Job | None


@dataclass(frozen=True)
class Overview:
    models: tuple[ModelRow, ...]
    model_count: int
    active: tuple[Job, ...]
    datasets: int
    listed: EntryQuerySet

    @cached_property
    def measured(self) -> tuple[_Best, ...]:
        """The best listed variants of each model; added up only where the page shows it."""
        return tuple(_measured(self.listed).values())

    @property
    def entries(self) -> int:
        return sum(each.variants for each in self.measured)

    @property
    def best_speedup(self) -> float | None:
        return _geometric_mean([each.fastest for each in self.measured])

    @property
    def baseline_bytes(self) -> int:
        return sum(each.baseline_bytes for each in self.measured)

    @property
    def saved_bytes(self) -> int:
        return sum(each.baseline_bytes - each.smallest_bytes for each in self.measured)

    @property
    def best(self) -> list[Evidence]:
        """The fastest listed variant of each model that has one."""
        return [row.best for row in self.models if row.best]

    @property
    def chart(self) -> dict[str, Any]:
        return savings_chart.before_and_after(self.best)

    @property
    def chart_height(self) -> int:
        return savings_chart.height(len(self.best))

    @property
    def chart_label(self) -> str:
        return savings_chart.label(self.best)

    @property
    def is_empty(self) -> bool:
        return not self.model_count and not self.datasets

    @property
    def says(self) -> str:
        """The page's question in one sentence, with its most important figure."""
        if not self.entries:
            return "Nothing is published yet: run a job, then publish what passes its gate."
        models = len(self.measured)
        speed = f", and the fastest run {self.speedup_said} as fast" if (self.best_speedup or 0) > 1 else ""
        plural = "" if models == 1 else "s"
        return f"The smallest variants of {models} model{plural} need {self.saved_percent} less space{speed}."

    @property
    def saved_percent(self) -> str:
        return units.percent(self.saved_share, 0) if self.saved_share is not None else units.UNKNOWN

    @property
    def saved_note(self) -> str:
        if not self.baseline_bytes:
            return "nothing is published yet"
        after = units.file_size(self.baseline_bytes - self.saved_bytes)
        return f"{units.file_size(self.baseline_bytes)} before, {after} after, smallest listed variant of each model"

    @property
    def speedup_said(self) -> str:
        return units.times(self.best_speedup) if self.best_speedup is not None else units.UNKNOWN

    @property
    def entries_said(self) -> str:
        return units.count(self.entries)

    @property
    def more_models(self) -> int:
        """How many models the table leaves out."""
        return max(0, self.model_count - len(self.models))

    @property
    def active_said(self) -> str:
        return units.count(len(self.active))

    @property
    def active_note(self) -> str:
        running = sum(job.state == State.RUNNING for job in self.active)
        return f"{running} running, {len(self.active) - running} waiting" if self.active else "the queue is empty"

    @property
    def saved_share(self) -> float | None:
        """Share of the baselines' bytes that the smallest listed variant of each model does without."""
        return self.saved_bytes / self.baseline_bytes if self.baseline_bytes else None


def overview(team: Team, user: User, active: tuple[Job, ...]) -> Overview:
    """Gather the page in a fixed number of queries; ``active`` is what runs and waits."""
    listed = Entry.objects.visible_to(user).listed().filter(team=team)
    models = TrainedModel.objects.filter(team=team)
    return Overview(
        models=_rows(list(models.with_versions()[:MOST_MODELS]), listed, active),
        model_count=models.count(),
        active=active,
        datasets=Dataset.objects.filter(team=team).count(),
        listed=listed,
    )


def running(team: Team, user: User) -> tuple[Job, ...]:
    """What runs and waits, the oldest first."""
    jobs = Job.objects.visible_to(user).filter(team=team).active().exclude(kind=Kind.TRY).order_by()
    return tuple(Job.objects.filter(pk__in=jobs.values("pk")).with_progress().order_by("submitted_at")[:8])


@dataclass(frozen=True)
class _Best:
    """The best listed variants of a model: how fast the fastest is, and how small the smallest beside its baseline."""

    fastest: float
    smallest_bytes: int
    baseline_bytes: int
    variants: int


def _measured(listed: EntryQuerySet) -> dict[UUID | None, _Best]:
    """By model, from one row for each of its versions: all variants of a version share its size."""
    found = (
        listed.order_by()
        .values("model", "baseline")
        .annotate(
            fastest=Max("speedup"), smallest=Min("size_bytes"), variants=Count("*"),
            before=Max(F("size_bytes") * F("size_ratio"), output_field=FloatField()),
        )
    )  # fmt: skip
    best: dict[UUID | None, _Best] = {}
    for row in found:
        one = _Best(row["fastest"], row["smallest"], round(row["before"]), row["variants"])
        known = best.get(row["model"])
        best[row["model"]] = one if known is None else _better(known, one)
    return best


def _better(one: _Best, other: _Best) -> _Best:
    small = min(one, other, key=lambda each: each.smallest_bytes)
    return _Best(
        max(one.fastest, other.fastest), small.smallest_bytes, small.baseline_bytes, one.variants + other.variants
    )


def _rows(models: list[TrainedModel], listed: EntryQuerySet, active: tuple[Job, ...]) -> tuple[ModelRow, ...]:
    """Each model with its fastest listed variant; records are read of those alone."""
    place = Window(RowNumber(), partition_by="model", order_by=[F("speedup").desc(), F("published_at").desc()])
    count = Window(Count("*"), partition_by="model")
    mine = listed.order_by().filter(model__in=models).annotate(place=place, variants=count).filter(place=1)
    found = {model: (pk, variants) for model, pk, variants in mine.values_list("model", "pk", "variants")}
    read = {one.pk: one for one in evidence([pk for pk, _ in found.values()])}
    best = {model: (read.get(pk), variants) for model, (pk, variants) in found.items()}
    at_work = {job.model_version.model_id: job for job in reversed(active) if job.model_version}
    return tuple(
        ModelRow(
            model=model, best=best.get(model.pk, NOTHING)[0], variants=best.get(model.pk, NOTHING)[1],
            running=at_work.get(model.pk),
        )
        for model in models
    )  # fmt: skip


def publishable(team: Team, user: User) -> tuple[Job, ...]:
    """Results among the newest that pass their gate and are not in the zoo yet, newest first."""
    done = Job.objects.visible_to(user).filter(team=team, kind=Kind.COMPRESS, state=State.SUCCEEDED)
    recent = done.order_by("-finished_at").values("pk")[:RECENT_RESULTS]
    open_ones = Job.objects.filter(~Exists(Entry.objects.filter(job=OuterRef("pk"))), pk__in=recent)
    newest = list(open_ones.order_by("-finished_at").values_list("pk", flat=True)[:20])
    found = Job.objects.filter(pk__in=newest).with_progress().order_by("-finished_at") if newest else ()
    return tuple(job for job in found if _is_publishable(job))[:3]


def _is_publishable(job: Job) -> bool:
    report, gate = job.report_value, job.gate_result
    return bool(report and report.verdict.word and gate and gate.passed)


def _geometric_mean(ratios: list[float]) -> float | None:
    """The mean of ratios: two models at 2x and 0.5x average to no change."""
    return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios)) if ratios else None
