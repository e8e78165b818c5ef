"""What the home page answers: what runs, what is waiting, and what compression saved so far in size and latency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from compressionhub.accounts.models import Team, User
from compressionhub.jobs.models import Job
from compressionhub.jobs.queries import JobQuerySet
from compressionhub.jobs.states import Kind, State
from compressionhub.library.models import Dataset, TrainedModel
from compressionhub.ui import units
from compressionhub.zoo import savings_chart
from compressionhub.zoo.models import Entry


@dataclass(frozen=True)
class ModelRow:
    """One model with its best listed variant, or the reason why there is none."""

    model: TrainedModel
    best: Entry | None
    variants: int
    running: Job | None


@dataclass(frozen=True)
class Overview:
    models: tuple[ModelRow, ...]
    active: tuple[Job, ...]
    ready_to_publish: tuple[Job, ...]
    datasets: int
    entries: int
    best_speedup: float | None
    saved_bytes: int
    baseline_bytes: int

    @property
    def best(self) -> list[Entry]:
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
        return not self.models and not self.datasets

    @property
    def says(self) -> str:
        """The page's question in one sentence, with its most important figure."""
        if not self.entries:
            return "Nothing is published yet: run a job, then publish what passes its gate."
        models = len([row for row in self.models if row.best])
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


def overview(team: Team, user: User) -> Overview:
    """Gather the page in a fixed number of queries."""
    entries = list(Entry.objects.visible_to(user).listed().filter(team=team))
    jobs = Job.objects.visible_to(user).filter(team=team)
    active = tuple(jobs.active().exclude(kind=Kind.TRY).with_progress().order_by("submitted_at")[:8])
    models = tuple(_row(model, entries, active) for model in TrainedModel.objects.filter(team=team).with_versions())
    smallest = {
        row.model.pk: min((e for e in entries if e.model_id == row.model.pk), key=lambda e: e.size_bytes, default=None)
        for row in models
    }
    chosen = [entry for entry in smallest.values() if entry]
    baseline = sum(round(entry.size_bytes * entry.size_ratio) for entry in chosen)
    return Overview(
        models=models,
        active=active,
        ready_to_publish=_publishable(jobs),
        datasets=Dataset.objects.filter(team=team).count(),
        entries=len(entries),
        best_speedup=_geometric_mean([row.best.speedup for row in models if row.best]),
        saved_bytes=baseline - sum(entry.size_bytes for entry in chosen),
        baseline_bytes=baseline,
    )


def _row(model: TrainedModel, entries: list[Entry], active: tuple[Job, ...]) -> ModelRow:
    mine = [entry for entry in entries if entry.model_id == model.pk]
    best = max(mine, key=lambda entry: entry.speedup, default=None)
    running = next((job for job in active if job.model_version and job.model_version.model_id == model.pk), None)
    return ModelRow(model=model, best=best, variants=len(mine), running=running)


def _publishable(jobs: JobQuerySet) -> tuple[Job, ...]:
    """Finished results that pass their gate and are not in the zoo yet, newest first."""
    done = (
        jobs.filter(kind=Kind.COMPRESS, state=State.SUCCEEDED, entry__isnull=True)
        .with_progress()
        .order_by("-finished_at")[:20]
    )
    return tuple(job for job in done if _is_publishable(job))[:3]


def _is_publishable(job: Job) -> bool:
    report, gate = job.report_value, job.gate_result
    return bool(report and report.verdict.word and gate and gate.passed)


def _geometric_mean(ratios: list[float]) -> float | None:
    """The mean of ratios: two models at 2x and 0.5x average to no change."""
    return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios)) if ratios else None
