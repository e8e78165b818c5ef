"""The rows that a few stream entries touch, held together for one transaction.

Jobs are locked in the order of their ids; events are looked up once, so that duplicates fall away
without a query each; everything is written at the end in bulk.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from compressionhub.jobs import journal
from compressionhub.jobs.models import Artifact, Job, JobEvent, Measurement, Stage, Step
from compressionhub.jobs.relay.thinning import thin
from compressionhub.ui.ids import as_uuid
from workers.events import Envelope

EventKey = tuple[str, int, str, int]


class Batch:
    """Rows to change in one transaction. Make it inside the transaction, change rows through it, then ``save``."""

    def __init__(self, envelopes: Iterable[Envelope]) -> None:
        named = list(envelopes)
        self.jobs = _locked_jobs({envelope.job for envelope in named})
        self._seen = _known_events(self.jobs, named)
        self._steps: dict[str, dict[int, Step]] = {}
        self._moved: dict[str, Job] = {}
        self._events: list[JobEvent] = []
        self._measurements: list[Measurement] = []
        self._changed_steps: dict[int, Step] = {}
        self._ended: set[str] = set()

    @classmethod
    def of(cls, job: Job) -> Batch:
        """For a change that no event asked for: the caller holds the job's lock."""
        batch = cls(())
        batch.jobs[str(job.pk)] = job
        return batch

    def is_known(self, envelope: Envelope) -> bool:
        """Whether this very event was applied before."""
        return _key(envelope) in self._seen

    def steps(self, job: Job) -> dict[int, Step]:
        """The job's steps by index."""
        key = str(job.pk)
        if key not in self._steps:
            self._steps[key] = {step.index: step for step in job.steps.all()}
        return self._steps[key]

    def add_event(
        self, job: Job, kind: str, payload: dict[str, Any], *, at: datetime, envelope: Envelope | None = None
    ) -> JobEvent:
        """Add the job's next event row."""
        run, seq = (envelope.run, envelope.seq) if envelope else ("", None)
        event = journal.new_event(job, kind, payload, at=at, run=run, seq=seq)
        if envelope:
            self._seen.add(_key(envelope))
        job.last_event_at = at
        self._events.append(event)
        self.touch(job)
        return event

    def add_measurement(self, job: Job, stage: Stage, name: str, value: float, **more: Any) -> None:
        self._measurements.append(
            Measurement(job=job, stage=stage, name=name, value=value, position=job.position, **more)
        )

    def forget_measurements(self, job: Job, **which: Any) -> None:
        """Drop what an earlier attempt measured and this one measures again."""
        Measurement.objects.filter(job=job, **which).delete()
        kept = [item for item in self._measurements if item.job_id != job.pk or not _matches(item, which)]
        self._measurements = kept

    def keep_artifact(self, job: Job, *, name: str, **values: Any) -> None:
        Artifact.objects.update_or_create(job=job, name=name, defaults={**values, "attempt": job.attempt})

    def touch(self, job: Job) -> None:
        self._moved[str(job.pk)] = job

    def touch_step(self, step: Step) -> None:
        self._changed_steps[step.pk] = step

    def end(self, job: Job) -> None:
        """Note that the job has ended: its progress rows are thinned when the batch is written."""
        self._ended.add(str(job.pk))

    def save(self) -> list[Job]:
        """Write everything.

        Returns:
            The jobs whose pages must be told once the transaction is committed.
        """
        JobEvent.objects.bulk_create(self._events)
        Measurement.objects.bulk_create(self._measurements)
        for job in self._moved.values():
            job.save()
        Step.objects.bulk_update(
            self._changed_steps.values(),
            ["state", "done", "total", "text", "says", "seconds", "started_at", "finished_at", "checkpoint"],
        )
        for key in self._ended:
            thin(self.jobs[key])
        return list(self._moved.values())


def _locked_jobs(ids: set[str]) -> dict[str, Job]:
    valid = sorted(str(found) for found in map(as_uuid, ids) if found)
    if not valid:
        return {}
    rows = Job.objects.select_for_update(of=("self",)).filter(pk__in=valid).order_by("pk")
    return {str(job.pk): job for job in rows}


def _known_events(jobs: dict[str, Job], envelopes: list[Envelope]) -> set[EventKey]:
    if not jobs:
        return set()
    rows = JobEvent.objects.filter(job__in=list(jobs.values()), seq__in={envelope.seq for envelope in envelopes})
    found = rows.values_list("job_id", "attempt", "run", "seq")
    return {(str(job), attempt, run, int(seq or 0)) for job, attempt, run, seq in found}


def _key(envelope: Envelope) -> EventKey:
    return (envelope.job, envelope.attempt, envelope.run, envelope.seq)


def _matches(item: Measurement, which: dict[str, Any]) -> bool:
    return all(getattr(item, name) == value for name, value in which.items())
