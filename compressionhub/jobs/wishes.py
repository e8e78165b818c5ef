"""Wishes a worker reads in Valkey: stop this job, stop this run. Repeated by the relay until answered."""

import logging

import redis

from compressionhub.fleet import valkey
from compressionhub.jobs.models import Job
from workers.events import stop_job_key, stop_run_key

WISH_SECONDS = 3600
log = logging.getLogger(__name__)


def stop_job(job: Job) -> None:
    """Ask whoever holds the current attempt to stop. Quiet where Valkey is away: the relay asks again."""
    try:
        valkey.client().set(stop_job_key(str(job.pk), job.attempt), "cancel", ex=WISH_SECONDS)
    except redis.RedisError as error:
        log.warning("stop wish of job %s waits for Valkey: %s", job.pk, error)


def stop_run(run: str) -> None:
    """Ask one run to stop because another run of the attempt was accepted, or the attempt is over."""
    valkey.client().set(stop_run_key(run), "stop", ex=WISH_SECONDS)
