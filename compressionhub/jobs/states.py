"""The states of a job and of its steps, and the table of allowed moves."""

from django.db import models

from compressionhub.errors import WrongState


class Kind(models.TextChoices):
    COMPRESS = "compress", "Compress"
    INSPECT = "inspect", "Inspect"
    TRY = "try", "Try"
    SENSITIVITY = "sensitivity", "Sensitivity"


class State(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    CANCELLING = "cancelling", "cancelling"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class StepState(models.TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    DONE = "done", "done"
    CACHED = "cached", "from cache"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


ACTIVE = frozenset({State.QUEUED, State.RUNNING, State.CANCELLING})
ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

# queued -> failed: the third lost attempt leads through queued. running -> queued: a lost attempt.
# cancelling -> succeeded or failed: a finish that arrives before the stop wins. ended -> queued: retry.
MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLING, State.FAILED}),
    State.RUNNING: frozenset({State.QUEUED, State.CANCELLING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.CANCELLING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}


def check_move(before: State, after: State) -> None:
    """See that a job may go from one state to another.

    Raises:
        WrongState: if the table has no such move.
    """
    if after not in MOVES[before]:
        raise WrongState(
            f"Expected a job that may become {after.label}, found one that is {before.label}.",
            hint="Reload the page: the job has moved on since it was drawn.",
            code="job.wrong-state",
        )
