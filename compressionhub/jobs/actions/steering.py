"""What a person does with a job that is there: stop it, queue it again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import WrongState
from compressionhub.jobs import announce, journal, wishes
from compressionhub.jobs.actions.queueing import send_on_commit
from compressionhub.jobs.models import Job
from compressionhub.jobs.others import others_of
from compressionhub.jobs.states import State, StepState


@transaction.atomic
def cancel(*, job: Job, by: User) -> Job:
    """Ask a job to stop: between two batches, or by force a second later.

    Raises:
        NotAllowed: if ``by`` may not cancel jobs of this team.
        WrongState: if the job has already ended or is already stopping.
    """
    require(by, Verb.CANCEL_JOB, job.team)
    job = Job.objects.select_for_update().get(pk=job.pk)
    job.move_to(State.CANCELLING)
    journal.write(job, "cancel_asked", by=str(by))
    audit(by, "job.cancel", job)
    transaction.on_commit(lambda: wishes.stop_job(job))
    transaction.on_commit(lambda: announce.moved(job))
    return job


@transaction.atomic
def retry(*, job: Job, by: User) -> Job:
    """Queue a failed or cancelled job again; it goes on from its last cached step.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        WrongState: if the job has not failed and was not cancelled.
        NoSuchModel: if a model that its recipe names is no longer there.
    """
    require(by, Verb.SUBMIT_JOB, job.team)
    job = Job.objects.select_for_update().get(pk=job.pk)
    if not job.can_retry:  # the table lets a running job be queued again too: that is the relay's move
        raise WrongState(
            f"Expected a job that failed or was cancelled, found one that is {job.get_state_display()}.",
            hint="Run it again instead: that makes a new job.",
            code="job.wrong-state",
        )
    if job.recipe_value is not None:
        others_of(job.recipe_value, job.team)
    job.move_to(State.QUEUED, save=False)
    _blank_for_retry(job)
    job.save()
    job.steps.exclude(state__in=(StepState.DONE, StepState.CACHED)).update(
        state=StepState.WAITING, done=0, total=0, text=""
    )
    journal.write(job, "queued", by=str(by), retry=True)
    audit(by, "job.retry", job, attempt=job.attempt)
    send_on_commit(job)
    return job


def _blank_for_retry(job: Job) -> None:
    job.attempt += 1
    job.lost_attempts = job.seq = 0
    job.run = job.node = job.node_start = ""
    job.queued_at = timezone.now()
    job.started_at = job.finished_at = job.problem = job.report = None
    job.progress, job.eta_seconds = 0.0, None
