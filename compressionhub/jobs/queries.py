"""Reads of jobs, as chainable querysets: who sees what, what runs, how long the queue is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from compressionhub.fleet.models import Node
from compressionhub.jobs.states import ACTIVE, ENDED, Kind, State
from workers.facts import Span

if TYPE_CHECKING:
    from compressionhub.jobs.models import Job

UNKNOWN_JOB_SECONDS = Span(value=5.0, low=1.0, high=30.0)


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Any) -> JobQuerySet:
        """The jobs of the person's teams."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        # Asked of the database: a stream that goes on for hours holds the person as they were at its beginning.
        return self.filter(team__in=user.memberships.filter(user__is_active=True).values("team"))

    def active(self) -> JobQuerySet:
        """Queued, running, or about to stop."""
        return self.filter(state__in=ACTIVE)

    def ended(self) -> JobQuerySet:
        return self.filter(state__in=ENDED)

    def of_kind(self, kind: Kind) -> JobQuerySet:
        return self.filter(kind=kind)

    def with_progress(self) -> JobQuerySet:
        """With all that a row of the list shows: model, data, person and steps; two queries for any number of jobs."""
        return self.select_related("team", "model_version__model", "dataset", "submitted_by").prefetch_related("steps")

    def ahead_of(self, job: Job) -> JobQuerySet:
        """Queued jobs of the same queue that go first."""
        earlier = Q(priority__lt=job.priority) | Q(priority=job.priority, queued_at__lt=job.queued_at)
        tie = Q(priority=job.priority, queued_at=job.queued_at, id__lt=job.pk)
        return self.filter(earlier | tie, state=State.QUEUED, queue=job.queue)


def queue_position(job: Job) -> int | None:
    """1 for the job that is next; none for a job that does not wait."""
    if job.state != State.QUEUED:
        return None
    return type(job).objects.ahead_of(job).count() + 1


def expected_start(job: Job, *, now: datetime) -> Span | None:
    """Seconds until a queued job starts: the work before it, shared by the slots of the living workers.

    Returns:
        None where no worker serves the queue, so that nothing can be said.
    """
    slots = sum(int(node.facts["slots"]) for node in Node.objects.alive(now).serving(job.queue))
    if job.state != State.QUEUED or not slots:
        return None
    jobs = type(job).objects.filter(queue=job.queue)
    running = list(jobs.filter(state__in=(State.RUNNING, State.CANCELLING)).exclude(run=""))
    if len(running) < slots and not type(job).objects.ahead_of(job).exists():
        return Span(value=0.0, low=0.0, high=1.0)
    work = [item.eta or UNKNOWN_JOB_SECONDS for item in running]
    work += [expected_seconds(item) for item in type(job).objects.ahead_of(job)]
    return Span(
        value=sum(span.value for span in work) / slots,
        low=sum(span.low for span in work) / slots,
        high=sum(span.high for span in work) / slots,
    )


def expected_seconds(job: Job) -> Span:
    """How long a job that has not started will run, by its preflight."""
    return job.preflight_value.seconds if job.preflight_value else UNKNOWN_JOB_SECONDS
