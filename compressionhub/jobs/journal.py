"""Adds to a job's events. The caller holds the job's row, so positions rise by one without gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from compressionhub.jobs.models import Job, JobEvent


def new_event(
    job: Job, kind: str, payload: dict[str, Any], *, at: datetime, run: str = "", seq: int | None = None
) -> JobEvent:
    """The job's next event, not saved yet; moves the job's ``position`` on."""
    job.position += 1
    return JobEvent(
        job=job,
        position=job.position,
        attempt=job.attempt,
        run=run,
        seq=seq,
        type=kind,
        at=at,
        payload=payload,
    )


def write(job: Job, kind: str, *, at: datetime | None = None, **payload: Any) -> JobEvent:
    """Save an event that the hub itself causes, together with the job's new ``position``."""
    event = new_event(job, kind, payload, at=at or timezone.now())
    event.save(force_insert=True)
    job.save(update_fields=["position"])
    return event
