"""Tells open pages about new events from the relay's own thread of asyncio, so that applying never waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable

from channels.layers import get_channel_layer

from compressionhub.jobs.announce import message
from compressionhub.jobs.models import Job

log = logging.getLogger(__name__)


class Voice:
    """A thread with an event loop; the channel layer keeps its connections there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="voice", daemon=True)
        self._thread.start()

    def tell(self, jobs: Iterable[Job]) -> None:
        """Announce the newest position of each job. Returns at once."""
        for job in jobs:
            asyncio.run_coroutine_threadsafe(self._send(job.group, job.position), self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)

    async def _send(self, group: str, position: int) -> None:
        layer = get_channel_layer()
        try:
            if layer is not None:
                await layer.group_send(group, message(position))
        except Exception as error:  # whatever the transport raises: pages ask by themselves
            log.warning("pages of %s were not told: %s", group, error)
