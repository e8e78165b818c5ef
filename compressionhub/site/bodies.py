"""Keeps bodies within bounds before anything of them is written down.

Django's ASGI handler puts a whole body aside, on disk, before the first line of a view runs: whoever can
reach the sign-in page could fill the disk with one request.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PROBLEM = {
    "type": "hub.too-large",
    "title": "The request holds more than this hub reads at once.",
    "detail": "Send files as uploads, in pieces.",
    "status": 413,
}


class TooLarge(Exception):
    """The body goes on past the bound."""


class BoundBodies:
    """ASGI middleware: a body beyond ``most_bytes`` is answered with 413, by its announcement or once it passes that.

    Put it inside of whatever streams uploads: those never reach the handler as a body.
    """

    def __init__(self, app: App, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if _announced(scope) > self.most_bytes:
            return await _refuse(send)
        arrived, answered = 0, False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self.most_bytes:
                raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except TooLarge:
            if not answered:
                await _refuse(send)


def _announced(scope: MutableMapping[str, Any]) -> int:
    """What ``Content-Length`` says; 0 where there is none, which the count of what arrives makes good."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    body = json.dumps(PROBLEM).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
