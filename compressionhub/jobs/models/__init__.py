"""Jobs as rows: what was asked, where it is, what each step did, and every event in order."""

from compressionhub.jobs.models.history import Artifact, JobEvent, Measurement, Stage
from compressionhub.jobs.models.job import MOST_LOST_ATTEMPTS, IdempotencyKey, Job
from compressionhub.jobs.models.recipe import SavedRecipe
from compressionhub.jobs.models.step import EVALUATE, Step

__all__ = [
    "EVALUATE",
    "MOST_LOST_ATTEMPTS",
    "Artifact",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "Measurement",
    "SavedRecipe",
    "Stage",
    "Step",
]
