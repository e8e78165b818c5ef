"""Tells the open pages of a job that it has new events. Called after commit; losing one is harmless.

The message is small: pages read the rows from the database, so they see them once and in order.
"""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from compressionhub.jobs.models import Job

log = logging.getLogger(__name__)


def message(position: int) -> dict[str, Any]:
    """What the channel layer carries to each open page. ``type`` names the consumer's method."""
    return {"type": "job.moved", "position": position}


def moved(job: Job) -> None:
    """Announce a job's newest position from a web process. Quiet where Valkey is away: pages ask by themselves."""
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(job.group, message(job.position))
    except Exception as error:  # whatever the transport raises, the job's rows are written
        log.warning("page of job %s was not told: %s", job.pk, error)
