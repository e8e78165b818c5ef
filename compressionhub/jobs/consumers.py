"""The socket of a job's page: ``/ws/jobs/<uuid>/?after=<position>``.

On connect the person must be signed in (else close code 4401) and on the job's team (else 4404, as for a
job that does not exist). Messages are JSON. From the hub:

``{"type": "snapshot", "position": 17, "state": "running", "parts": {"head": "<div …>", …}, "rows": […]}``
    once after connecting, and whenever the page asks: every part of the page and the rows after ``after``.
``{"type": "rows", "position": 19, "state": "running", "parts": {…}, "rows": […]}``
    at most four a second: the parts that changed, and the new rows.

``parts`` are elements to swap by their id ``job-<name>`` (see ``compressionhub.jobs.live``). ``rows`` are
``{"position", "type", "attempt", "at", "payload"}`` in rising order of position; ``type`` is that of an event
in ``workers.events`` (``log``, ``point``, ``progress``, ``step_started`` …) or one the hub writes itself:
``queued {by, retry}``, ``cancel_asked {by}``, ``attempt_lost {reason, lost_attempts, will_retry}`` and
``requeued {reason, …}``.
Progress rows may be missing once a job has ended (they are thinned), so positions may then have gaps.

From the page: ``{"type": "after", "position": 12}`` asks for a snapshot with the rows after 12. The page
keeps the highest position it has drawn, ignores rows at or below it, reconnects with back-off
(``?after=`` that position) and asks the detail page every 5 s while it has no socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import DatabaseError

from compressionhub.jobs import live
from compressionhub.jobs.models import Job
from compressionhub.jobs.shared import Shared

NOT_SIGNED_IN, NOT_FOUND = 4401, 4404
BETWEEN_PUSHES = 0.25
ASK_EVERY = 5.0
CHECK_MEMBERSHIP_EVERY = 30.0
MOST_POSITION = 2**31 - 1

log = logging.getLogger(__name__)
_reads: Shared[dict[str, Any]] = Shared(keep=256)


class JobConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """One open page of one job."""

    job_id: UUID
    position = 0
    _target = 0

    async def connect(self) -> None:
        self.job_id = self.scope["url_route"]["kwargs"]["pk"]
        self._moved = asyncio.Event()
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self._refuse(NOT_SIGNED_IN)
        elif not await self._may_watch():
            await self._refuse(NOT_FOUND)
        else:
            await self.channel_layer.group_add(f"job-{self.job_id}", self.channel_name)
            await self.accept()
            await self._send_snapshot(_after(self.scope))
            self._moved.set()  # an announcement may have passed between the snapshot's reading and the group
            self._pusher = asyncio.create_task(self._push_for_ever())

    async def disconnect(self, code: int) -> None:
        pusher = getattr(self, "_pusher", None)
        if pusher is not None:
            pusher.cancel()
            await self.channel_layer.group_discard(f"job-{self.job_id}", self.channel_name)

    async def receive_json(self, content: Any, **_: Any) -> None:
        """The page met a gap and asks for everything after a position; anything else is ignored."""
        position = content.get("position") if isinstance(content, dict) and content.get("type") == "after" else None
        if isinstance(position, int) and await self._may_watch():
            await self._send_snapshot(min(max(0, position), MOST_POSITION))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_: Any) -> None:
        """What is no JSON is ignored like any other nonsense, and writes no traceback."""
        with contextlib.suppress(ValueError, RecursionError):
            await self.receive_json(json.loads(text_data or "null"))

    async def job_moved(self, message: dict[str, Any]) -> None:
        """The relay or an action announced a newer position."""
        if message["position"] > self.position:
            self._target = max(self._target, message["position"])
            self._moved.set()

    async def _refuse(self, code: int) -> None:
        """Accept and close at once: a browser shows a page the close code of an accepted socket only."""
        await self.accept()
        await self.close(code)

    async def _send_snapshot(self, after: int) -> None:
        found = await _reads.get(
            (self.job_id, "snapshot", after, _second()), lambda: _read(self.job_id, after, everything=True)
        )
        await self._send("snapshot", found)

    async def _push_for_ever(self) -> None:
        """Wait for an announcement, or ask after five seconds without one, and send what is new."""
        checked = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), ASK_EVERY)
            self._moved.clear()
            if time.monotonic() - checked > CHECK_MEMBERSHIP_EVERY:
                checked = time.monotonic()
                if not await self._may_watch():
                    await self.close(NOT_FOUND)
                    return
            try:
                await self._push()
            except Job.DoesNotExist:
                await self.close(NOT_FOUND)
                return
            except DatabaseError:  # the page asks again by itself
                log.exception("rows of job %s could not be read", self.job_id)
            await asyncio.sleep(BETWEEN_PUSHES)

    async def _push(self) -> None:
        after, target = self.position, self._target
        moment = target if target > after else f"second {_second()}"
        found = await _reads.get(
            (self.job_id, "rows", after, moment), lambda: _read(self.job_id, after, everything=False)
        )
        if found["rows"]:
            await self._send("rows", found)
            self._moved.set()  # there may be more than one reading's worth

    async def _send(self, kind: str, found: dict[str, Any]) -> None:
        self.position = max(self.position, found["position"])
        await self.send_json({"type": kind, **found})

    async def _may_watch(self) -> bool:
        found: bool = await database_sync_to_async(
            Job.objects.visible_to(self.scope["user"]).filter(pk=self.job_id).exists
        )()
        return found


def _after(scope: dict[str, Any]) -> int:
    """The position in the query string; 0 where it is missing or no number."""
    text = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after", ["0"])[0]
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _second() -> int:
    return int(time.monotonic())


@database_sync_to_async  # type: ignore[untyped-decorator]
def _read(pk: UUID, after: int, *, everything: bool) -> dict[str, Any]:
    """The rows after a position and the parts they change. Rows first: parts may be newer than rows, never older."""
    rows = live.rows_after(pk, after)
    names = tuple(live.PARTS) if everything else live.parts_changed_by(row["type"] for row in rows)
    if not rows and not everything:
        Job.objects.only("pk").get(pk=pk)  # a job that was deleted has no page any more
        return {"position": after, "state": "", "parts": {}, "rows": []}
    job = live.load(pk)
    position = rows[-1]["position"] if rows else min(after, job.position)
    return {"position": position, "state": job.state, "parts": live.render(job, names), "rows": rows}
