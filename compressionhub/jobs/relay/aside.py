"""Entries that could not be applied are kept with their error; a job that waited for one is not left waiting."""

from __future__ import annotations

from django.db import transaction

from compressionhub.fleet.models import SetAsideEvent
from compressionhub.jobs import wishes
from compressionhub.jobs.models import Job
from compressionhub.jobs.relay import endings
from compressionhub.jobs.relay.batch import Batch
from compressionhub.jobs.relay.stream import Entry
from compressionhub.jobs.states import ACTIVE
from compressionhub.ui.ids import as_uuid
from workers import events
from workers.errors import Problem
from workers.events import Beat, Envelope

MOST_KEPT = 1000
MOST_BODY = 20_000
NEEDED = (
    events.Started,
    events.Judged,
    events.ArtifactStored,
    events.ModelInspected,
    events.DatasetInspected,
    events.Tried,
    events.FileHashed,
    events.Finished,
)


@transaction.atomic
def set_aside(entry: Entry, message: Envelope | Beat | None, error: str, *, refused: bool = False) -> list[Job]:
    """Keep an entry with its error; fail the job where it cannot end rightly without this event.

    Args:
        refused: the node may not speak for the job, so the job does not suffer from it.

    Returns:
        The job that was failed, if any.
    """
    envelope = message if isinstance(message, Envelope) else None
    SetAsideEvent.objects.get_or_create(
        entry=entry.id,
        defaults={
            "job": as_uuid(envelope.job) if envelope else None,
            "node": _kept(message.node, 120) if message else "",
            "type": envelope.event.type if envelope else "beat" if message else "unreadable",
            "body": _kept(entry.body, MOST_BODY),
            "error": _kept(error, MOST_BODY),
            "at": entry.at,
        },
    )
    _forget_oldest()
    if refused or envelope is None or not isinstance(envelope.event, NEEDED):
        return []
    return _fail(envelope, entry, error)


def _kept(text: str, most: int) -> str:
    """Text as a database takes it: Postgres has no NUL and holds columns to their length."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:most]


def _fail(envelope: Envelope, entry: Entry, error: str) -> list[Job]:
    batch = Batch([envelope])
    job = batch.jobs.get(envelope.job)
    if job is None or job.state not in ACTIVE or (job.attempt, job.run) != (envelope.attempt, envelope.run):
        return []
    problem = Problem(
        fault="ours",
        code="job.event-set-aside",
        message=f"The hub could not apply the event {envelope.event.type}: {_kept(error, 300)}",
        hint="The event is kept on the Fleet page. Retry the job; its finished steps are kept.",
    )
    batch.add_event(job, "finished", {"outcome": "failed", "problem": problem.model_dump(mode="json")}, at=entry.at)
    endings.fail(batch, job, at=entry.at, problem=problem)
    transaction.on_commit(lambda: wishes.stop_run(envelope.run), robust=True)
    return batch.save()


def _forget_oldest() -> None:
    """A worker gone mad may not fill the disk."""
    surplus = SetAsideEvent.objects.order_by("-at").values_list("pk", flat=True)[MOST_KEPT:]
    if found := list(surplus):
        SetAsideEvent.objects.filter(pk__in=found).delete()
