"""What jobs like the draft gave on this team: the only honest forecast of accuracy and speed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from uuid import UUID

from compressionhub.jobs.gate import Gate, drop_points, headline, is_relative
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library.models import ModelVersion
from compressionhub.ui.range_bar import RangeBar
from workers.facts import Span
from workers.recipe import Recipe
from workers.report import Report

MOST_LOOKED_AT = 300  # newest first: techniques and libraries change
MOST_COUNTED = 30
ENOUGH_FOR_A_RANGE = 3


@dataclass(frozen=True)
class Precedents:
    """Measured results of earlier jobs with the same techniques in the same order.

    ``change`` is that of the headline metric in points, or in percent of the baseline where ``relative``; below zero is
    worse. ``speedup`` is a latency ratio at batch 1. Both: the middle job, the worst and the best.
    """

    jobs: int
    same_model: bool
    change: Span
    speedup: Span
    passing: int
    relative: bool
    limit: float | None

    @property
    def is_range(self) -> bool:
        return self.jobs >= ENOUGH_FOR_A_RANGE

    @property
    def says(self) -> str:
        """What the figures rest on."""
        jobs = "one earlier job" if self.jobs == 1 else f"{self.jobs} earlier jobs"
        where = "this model" if self.same_model else "other models of the team"
        passed = "" if self.limit is None else f"; {self.passing} of {self.jobs} would pass this gate"
        few = "" if self.is_range else " Too few for a range."
        return f"Measured in {jobs} with these techniques, whatever their settings, on {where}{passed}.{few}"

    @property
    def change_bar(self) -> RangeBar:
        found = self.change
        return RangeBar(value=found.value, low=found.low, high=found.high, zero=0.0, limit=self.limit)

    @property
    def speedup_bar(self) -> RangeBar:
        found = self.speedup
        return RangeBar(value=found.value, low=found.low, high=found.high, zero=1.0, start=0.0)


def precedents(version: ModelVersion, recipe: Recipe, gate: Gate | None) -> Precedents | None:
    """Look back: jobs on the same model where there are any, else on the team's other models.

    Returns:
        None where no such job has ended with a result.
    """
    slugs = [step.technique for step in recipe.steps]
    like = [job for job in _ended(version) if job.steps_slugs == slugs]
    mine = [job for job in like if job.model == version.model_id]
    reports = _reports([job.pk for job in (mine or like)[:MOST_COUNTED]])
    return _summed_up(reports, same_model=bool(mine), gate=gate) if reports else None


@dataclass(frozen=True)
class _Ended:
    pk: UUID
    model: UUID
    steps_slugs: list[str]


def _ended(version: ModelVersion) -> list[_Ended]:
    done = Job.objects.filter(team=version.team, kind=Kind.COMPRESS, state=State.SUCCEEDED, report__isnull=False)
    rows = done.order_by("-finished_at").values_list("pk", "model_version__model", "recipe__steps")[:MOST_LOOKED_AT]
    return [_Ended(pk, model, [step["technique"] for step in steps or ()]) for pk, model, steps in rows]


def _reports(keys: list[UUID]) -> list[Report]:
    found = [Report.model_validate(value) for value in Job.objects.filter(pk__in=keys).values_list("report", flat=True)]
    return [report for report in found if headline(report)]


def _summed_up(reports: list[Report], *, same_model: bool, gate: Gate | None) -> Precedents:
    name = headline(reports[0]) or ""
    alike = [report for report in reports if headline(report) == name]
    return Precedents(
        jobs=len(alike),
        same_model=same_model,
        change=_span([-_drop(name, report) for report in alike]),
        speedup=_span([report.delta.speedup["1"].value for report in alike]),
        passing=sum(gate.judge(report).passed for report in alike) if gate else 0,
        relative=is_relative(name),
        limit=-gate.max_drop_points if gate else None,
    )


def _drop(name: str, report: Report) -> float:
    return drop_points(name, report.delta.metrics[name], report.baseline.metrics[name].value)[0]


def _span(values: list[float]) -> Span:
    return Span(value=median(values), low=min(values), high=max(values))
