"""How a job and its steps become rows, and when their ticket goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from compressionhub.accounts.models import Team, User
from compressionhub.jobs import announce, journal, tickets
from compressionhub.jobs.models import EVALUATE, Job, Step
from compressionhub.jobs.states import Kind
from compressionhub.library.models import Dataset, ModelVersion
from workers.facts import Span
from workers.preflight import START_SECONDS, Preflight
from workers.recipe import Recipe


def queue(
    *, team: Team, kind: Kind, by: User | None, version: ModelVersion | None, dataset: Dataset | None, **values: Any
) -> Job:
    """Write the row and its first event, and send the ticket once they are committed."""
    job = Job.objects.create(
        team=team,
        kind=kind,
        number=_next_number(team),
        submitted_by=by,
        model_version=version,
        dataset=dataset,
        **values,
    )
    journal.write(job, "queued", at=job.queued_at, by=str(by) if by else "", retry=False)
    send_on_commit(job)
    return job


def send_on_commit(job: Job) -> None:
    transaction.on_commit(lambda: tickets.send_by_id(job.pk))
    transaction.on_commit(lambda: announce.moved(job))


def _next_number(team: Team) -> int:
    """One more than the team's last job. The team's row is locked, so two submissions do not meet."""
    Team.objects.select_for_update().get(pk=team.pk)
    last = Job.objects.filter(team=team).aggregate(last=Max("number"))["last"]
    return int(last or 0) + 1


def steps(job: Job, recipe: Recipe, forecast: Preflight) -> list[Step]:
    """A row per step and one for the evaluation, each with the seconds it is expected to take."""
    spans = [item.forecast.seconds for item in forecast.steps]
    spans.append(_evaluation_span(forecast, spans))
    named: list[tuple[str, dict[str, Any]]] = [(step.technique, step.model_dump(mode="json")) for step in recipe.steps]
    return step_rows(job, [*named, (EVALUATE, {})], spans)


def step_rows(job: Job, named: Sequence[tuple[str, dict[str, Any]]], spans: Sequence[Span]) -> list[Step]:
    return [
        Step(
            job=job,
            index=index,
            technique=slug,
            parameters=values,
            forecast_seconds=max(span.value, 0.1),
            forecast_low_seconds=max(span.low, 0.05),
            forecast_high_seconds=max(span.high, 0.2),
        )
        for index, ((slug, values), span) in enumerate(zip(named, spans, strict=True))
    ]


def _evaluation_span(forecast: Preflight, steps: list[Span]) -> Span:
    """What is left of the whole job's forecast without its start and its steps."""
    whole, start = forecast.seconds, START_SECONDS
    return Span(
        value=max(1.0, whole.value - start.value - sum(span.value for span in steps)),
        low=max(0.5, whole.low - start.low - sum(span.low for span in steps)),
        high=max(2.0, whole.high - start.high - sum(span.high for span in steps)),
    )
