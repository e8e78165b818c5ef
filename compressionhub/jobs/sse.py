"""A job's events as server-sent events: the same rows as on its socket, for programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from compressionhub.jobs import live
from compressionhub.jobs.models import Job

ASK_EVERY = 2.0
SIGN_OF_LIFE_EVERY = 15.0


async def follow(user: Any, pk: UUID, *, after: int) -> HttpResponseBase:
    """Answer with the job's events behind a position, and go on until it ends.

    Raises:
        Http404: if the person may not see the job.
    """
    job = await Job.objects.visible_to(user).filter(pk=pk).afirst()
    if job is None:
        raise Http404
    if job.has_ended and job.position <= after:
        return HttpResponse(status=204)  # tells an EventSource not to connect again
    response = StreamingHttpResponse(stream(job, after), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def stream(job: Job, after: int) -> AsyncIterator[str]:
    """The events in order, each as the text of one server-sent event; a comment now and then while nothing happens."""
    layer = get_channel_layer()
    channel = await layer.new_channel("sse")
    await layer.group_add(job.group, channel)
    quiet = 0.0
    try:
        while True:
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
