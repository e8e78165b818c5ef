"""Hands the body of an upload's chunk, or of a worker's result, to its view while it arrives.

Django's ASGI handler keeps a whole body aside before a view runs: every byte is written twice, and a
chunk that is cut short is lost. Here the view runs first, checks who asks, and then pulls the body
straight to where it belongs; what came before a cut stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any

from django.http import HttpRequest

from compressionhub.library.partial import Body

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

STREAMED = {"PATCH": "/uploads/", "PUT": "/internal/blobs/"}
SCOPE_KEY = "hub.body"
SILENCE_SECONDS = 60


class Cut(OSError):
    """The sender went away, or said nothing for a minute, before the body was whole."""


class ArrivingBody:
    """A body that is still on its way. Made on the event loop, read from the thread of the view.

    While the view writes one piece, the loop gathers the next.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._more = True
        self._is_cut = False
        self._ahead: Future[bytes] | None = None

    def read(self, size: int, /) -> bytes:
        """At least ``size`` bytes, or all that is left; empty at the end.

        Raises:
            Cut: if the sender went away; what it sent before was returned by earlier calls.
        """
        piece = (self._ahead or self._ask(size)).result()
        self._ahead = self._ask(size) if piece else None
        return piece

    def _ask(self, size: int) -> Future[bytes]:
        return asyncio.run_coroutine_threadsafe(self._gather(size), self._loop)

    async def _gather(self, size: int) -> bytes:
        parts: list[bytes] = []
        found = 0
        try:
            # One clock for the whole piece: one per message costs a third of the speed.
            async with asyncio.timeout(SILENCE_SECONDS):
                while self._more and not self._is_cut and found < size:
                    parts.append(await self._next())
                    found += len(parts[-1])
        except TimeoutError:
            self._is_cut = True
        if self._is_cut and not found:
            raise Cut("the sender went away")
        return b"".join(parts)

    async def _next(self) -> bytes:
        message = await self._receive()
        self._is_cut = message["type"] == "http.disconnect"
        self._more = self._is_cut or message.get("more_body", False)
        if not self._more:
            self._ended.set()
        part: bytes = message.get("body", b"")
        return part

    async def receive(self) -> Message:
        """What the handler hears of the sender once the body is read: that it went away."""
        await self._ended.wait()
        return await self._receive()


class StreamUploads:
    """ASGI middleware: the handler sees a chunk as a request without a body, the view finds the body itself."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        prefix = STREAMED.get(scope.get("method", ""))
        if scope["type"] != "http" or prefix is None or not scope["path"].startswith(prefix):
            return await self.app(scope, receive, send)
        body = ArrivingBody(receive)
        told = False

        async def pretend() -> Message:
            nonlocal told
            if told:
                return await body.receive()
            told = True
            return {"type": "http.request", "body": b"", "more_body": False}

        await self.app({**scope, SCOPE_KEY: body}, pretend, send)


def body_of(request: HttpRequest) -> Body:
    """The body of a chunk: still arriving under ASGI, else what Django read."""
    found: Body | None = getattr(request, "scope", {}).get(SCOPE_KEY)
    return found if found is not None else request
