"""A job's events as server-sent events: the same rows as on its socket, for programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from compressionhub.jobs import live
from compressionhub.jobs.models import Job
from compressionhub.jobs.queries import JobQuerySet

ASK_EVERY = 2.0
CHECK_RIGHT_EVERY = 10.0
SIGN_OF_LIFE_EVERY = 15.0


async def follow(pk: UUID, *, may_see: Callable[[], JobQuerySet], after: int) -> HttpResponseBase:
    """Answer with the job's events behind a position, and go on until it ends.

    Args:
        may_see: the jobs the caller may see now; asked again while the answer goes on.

    Raises:
        Http404: if the job is none of them.
    """
    job = await may_see().filter(pk=pk).afirst()
    if job is None:
        raise Http404
    if job.has_ended and job.position <= after:
        return HttpResponse(status=204)  # tells an EventSource not to connect again
    response = StreamingHttpResponse(stream(job, after, may_see), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def stream(job: Job, after: int, may_see: Callable[[], JobQuerySet]) -> AsyncIterator[str]:
    """The events in order, each as the text of one server-sent event; a comment now and then while nothing happens.

    It ends with the job, and for a caller who may not see the job any more.
    """
    layer = get_channel_layer()
    channel = await layer.new_channel("sse")
    await layer.group_add(job.group, channel)
    quiet, checked = 0.0, time.monotonic()
    try:
        while True:
            if time.monotonic() - checked >= CHECK_RIGHT_EVERY:
                checked = time.monotonic()
                if not await may_see().filter(pk=job.pk).aexists():
                    return
            rows, ended = await _read(job.pk, after)
            for row in rows:
                after = row["position"]
                yield as_text(row)
            if rows:
                quiet = 0.0
                continue
            if ended:
                return
            quiet += await _wait(layer, channel)
            if quiet >= SIGN_OF_LIFE_EVERY:
                quiet = 0.0
                yield ": still here\n\n"
    finally:
        await layer.group_discard(job.group, channel)


def as_text(row: dict[str, Any]) -> str:
    """One event on the wire. JSON holds no raw line break, so one ``data`` line is enough."""
    return f"id: {row['position']}\nevent: {row['type']}\ndata: {json.dumps(row)}\n\n"


async def _read(pk: UUID, after: int) -> tuple[list[dict[str, Any]], bool]:
    """The rows behind a position, and whether the job had ended before they were read."""
    job = await Job.objects.only("state").aget(pk=pk)
    return await sync_to_async(live.rows_after)(pk, after), job.has_ended


async def _wait(layer: Any, channel: str) -> float:
    """Wait for an announcement, at most ``ASK_EVERY`` seconds; how long it may have taken."""
    try:
        await asyncio.wait_for(layer.receive(channel), ASK_EVERY)
    except TimeoutError:
        return ASK_EVERY
    return 0.0
