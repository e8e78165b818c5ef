"""From a job's row to the ticket a worker gets, and into the queue."""

import logging
from uuid import UUID

import redis
from kombu.exceptions import OperationalError

from compressionhub.celery import send_ticket
from compressionhub.fleet.about_devices import anchors
from compressionhub.jobs.models import Job
from compressionhub.jobs.others import named
from workers.contract import Contract
from workers.ticket import Blob, Kind, Limits, Ticket

LIMITS = Limits()
# A file nobody knows yet may be made to keep a worker busy for ever; looking into an honest one takes minutes.
WALL_SECONDS = {Kind.INSPECT: 30 * 60, Kind.TRY: 15 * 60}
log = logging.getLogger(__name__)


def task_id(job: Job) -> str:
    """The name of the current attempt's task."""
    return f"{job.pk}:{job.attempt}"


def ticket(job: Job) -> Ticket:
    """The ticket for the current attempt. It names store keys; a worker's child never sees it."""
    return Ticket(
        job=str(job.pk),
        number=job.number,
        kind=Kind(job.kind),
        attempt=job.attempt,
        team=str(job.team_id),
        model=job.model_version.blob if job.model_version else None,
        others=_others(job),
        data=job.dataset.blob if job.dataset else None,
        options=job.dataset.options if job.dataset else Ticket.model_fields["options"].default,
        contract=_contract(job),
        recipe=job.recipe_value,
        device=job.device,
        anchors=anchors(job.team, job.device) if job.kind == Kind.COMPRESS else (),
        seed=job.seed,
        limits=limits(Kind(job.kind)),
    )


def _others(job: Job) -> dict[str, Blob]:
    """The files of the models that steps go on with, by the recipe's names. They stay while the job is active."""
    recipe = job.recipe_value
    if recipe is None or not recipe.other_models:
        return {}
    return {name: version.blob for name, version in named(recipe, job.others.all()).items()}


def limits(kind: Kind) -> Limits:
    """What a job of this kind may take."""
    return LIMITS.model_copy(update={"wall_seconds": WALL_SECONDS.get(kind, LIMITS.wall_seconds)})


def _contract(job: Job) -> Contract | None:
    """The version's contract; none for a trial of a mere guess: the worker guesses anew with the data at hand."""
    version = job.model_version
    if version is None or (job.kind == Kind.TRY and version.contract_is_guess):
        return None
    return version.contract


def send(job: Job) -> bool:
    """Put the current attempt's ticket into its queue.

    Returns:
        Whether the broker took it. Where it did not, the relay sends it again within 30 seconds.
    """
    try:
        body = ticket(job).model_dump(mode="json")
        send_ticket(body, queue=job.queue, task_id=task_id(job), priority=job.priority)
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("ticket of job %s waits for the broker: %s", job.pk, error)
        return False
    return True


def send_by_id(pk: UUID | str) -> bool:
    """Send the ticket of a job that is still queued. For use once a transaction is committed."""
    job = Job.objects.select_related("model_version__model", "dataset").filter(pk=pk, state="queued").first()
    return job is not None and send(job)
