"""How an attempt or a job ends: rows, the library's part, and what must be done once that is committed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from compressionhub.jobs import tickets, wishes
from compressionhub.jobs.models import MOST_LOST_ATTEMPTS, Job
from compressionhub.jobs.relay.batch import Batch
from compressionhub.jobs.states import ENDED, Kind, State, StepState
from compressionhub.library import actions as library
from workers.contract import Contract
from workers.errors import Problem
from workers.events import Tried
from workers.facts import DatasetFacts, ModelFacts
from workers.ticket import Blob

NOTHING_BROUGHT = Problem(
    fault="ours",
    code="job.no-result",
    message="The worker said that the job succeeded, but sent no result.",
    hint="Retry the job; its finished steps are kept.",
)


def end(batch: Batch, job: Job, state: State, *, at: datetime, problem: Problem | None = None) -> None:
    """End the job in one of the three final states."""
    if state not in ENDED:
        raise ValueError(f"expected a final state, got {state}")
    job.move_to(state, save=False)
    job.finished_at, job.problem = at, problem.model_dump(mode="json") if problem else None
    job.eta_seconds = job.eta_low_seconds = job.eta_high_seconds = None
    if state == State.SUCCEEDED:
        job.progress = 1.0
    _stop_steps(batch, job, StepState.FAILED if state == State.FAILED else StepState.CANCELLED)
    batch.touch(job)
    batch.end(job)


def succeed(batch: Batch, job: Job, *, at: datetime) -> None:
    """End well, and hand what was found to the library; a job that brought nothing cannot have succeeded."""
    if (job.report if job.kind == Kind.COMPRESS else job.found) is None:
        fail(batch, job, at=at, problem=NOTHING_BROUGHT)
        return
    _hand_over(job)
    end(batch, job, State.SUCCEEDED, at=at)


def fail(batch: Batch, job: Job, *, at: datetime, problem: Problem) -> None:
    """End with a reason, and tell the library whose file or trial it was."""
    item = job.model_version or job.dataset
    if job.kind == Kind.INSPECT and item is not None:
        hashed = job.hashes.get("model" if job.model_version else "data", "")
        library.record_rejection(item=item, problem=problem, sha256=hashed)
    elif job.kind == Kind.TRY and job.model_version is not None:
        library.record_trial_failure(version=job.model_version, problem=problem)
    end(batch, job, State.FAILED, at=at, problem=problem)


def lose(batch: Batch, job: Job, *, at: datetime, reason: str, counted: bool = True) -> None:
    """End the attempt: the job waits again, has been lost too often, or was asked to stop anyway.

    ``counted`` is false where a deployment sent the job back.
    """
    run = job.run
    if run:
        transaction.on_commit(lambda: wishes.stop_run(run), robust=True)
    if job.state == State.CANCELLING:
        batch.add_event(job, "finished", {"outcome": "cancelled", "reason": reason}, at=at)
        end(batch, job, State.CANCELLED, at=at)
        return
    job.lost_attempts += counted
    again = job.lost_attempts < MOST_LOST_ATTEMPTS
    kind = "attempt_lost" if counted else "requeued"
    batch.add_event(job, kind, {"reason": reason, "lost_attempts": job.lost_attempts, "will_retry": again}, at=at)
    if again:
        _queue_again(batch, job, at)
    else:
        fail(batch, job, at=at, problem=_lost_too_often(reason))


def _queue_again(batch: Batch, job: Job, at: datetime) -> None:
    job.move_to(State.QUEUED, save=False)
    job.attempt += 1
    job.run = job.node = job.node_start = ""
    job.seq, job.queued_at, job.started_at = 0, at, None
    job.eta_seconds = job.eta_low_seconds = job.eta_high_seconds = job.cpu_percent = None
    _stop_steps(batch, job, StepState.WAITING)
    batch.touch(job)
    transaction.on_commit(lambda: tickets.send_by_id(job.pk), robust=True)


def _stop_steps(batch: Batch, job: Job, state: StepState) -> None:
    """Whatever step was running is running no longer."""
    for step in batch.steps(job).values():
        if step.state == StepState.RUNNING:
            step.state = state
            if state == StepState.WAITING:
                step.done, step.total, step.text, step.started_at = 0, 0, "", None
            batch.touch_step(step)


def _lost_too_often(reason: str) -> Problem:
    return Problem(
        fault="ours",
        code="job.lost",
        message=f"The job was lost {MOST_LOST_ATTEMPTS} times. The last time: {reason}",
        hint="Look at the Fleet page whether the workers are well, then retry; finished steps are kept.",
    )


def _hand_over(job: Job) -> None:
    """Give what the job found out about a file to the library."""
    found, hashes = job.found or {}, job.hashes
    if job.kind == Kind.INSPECT and job.model_version is not None:
        library.record_model_inspection(
            version=job.model_version,
            facts=ModelFacts.model_validate(found["facts"]),
            contract=Contract.model_validate(found["contract"]),
            sha256=hashes.get("model", ""),
            converted=Blob.model_validate(hashes["converted"]) if "converted" in hashes else None,
        )
    elif job.kind == Kind.INSPECT and job.dataset is not None:
        facts = DatasetFacts.model_validate(found["facts"])
        library.record_dataset_inspection(dataset=job.dataset, facts=facts, sha256=hashes.get("data", ""))
    elif job.kind == Kind.TRY and job.model_version is not None and job.dataset is not None:
        library.record_trial(version=job.model_version, dataset=job.dataset, tried=Tried.model_validate(found))
    elif job.report_value is not None and job.model_version is not None and job.dataset is not None:
        measured, device = job.report_value.baseline, job.report_value.environment.device
        library.record_measurement(version=job.model_version, measured=measured, dataset=job.dataset, device=device)
