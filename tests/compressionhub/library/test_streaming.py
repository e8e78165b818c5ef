"""A body that is read while it arrives."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from compressionhub.library import streaming
from compressionhub.library.streaming import Cut, StreamUploads, body_of

PATCH = {"type": "http", "method": "PATCH", "path": "/uploads/1/"}
GONE = {"type": "http.disconnect"}


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def serve(messages: list[dict[str, Any]], view: Callable[[Any], Any], scope: dict[str, Any] = PATCH) -> Any:
    """Run a view in a thread behind the middleware, with these messages arriving; what it returned."""
    arriving = asyncio.Queue[dict[str, Any]]()
    for message in messages:
        arriving.put_nowait(message)
    answer = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        first = await receive()
        request = type("Request", (), {"scope": scope})()
        answer.append((first, await asyncio.to_thread(view, body_of(request))))

    async def send(message: Any) -> None: ...

    await StreamUploads(app)(dict(scope), arriving.get, send)
    return answer[0]


async def test_the_handler_sees_no_body_and_the_view_sees_all_of_it():
    first, read = await serve(
        [part(b"ab"), part(b"cd"), part(b"e", more=False)], lambda body: list(iter(lambda: body.read(2), b""))
    )

    assert first == {"type": "http.request", "body": b"", "more_body": False}
    assert b"".join(read) == b"abcde"


async def test_what_came_before_a_cut_is_read_before_it_is_reported():
    def view(body: Any) -> bytes:
        came = body.read(100)
        with pytest.raises(Cut):
            body.read(100)
        return came

    _, read = await serve([part(b"abc"), GONE], view)

    assert read == b"abc"


async def test_a_sender_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(streaming, "SILENCE_SECONDS", 0.05)

    def view(body: Any) -> None:
        with pytest.raises(Cut):
            body.read(100)

    await serve([], view)


@pytest.mark.parametrize("change", [{"method": "POST"}, {"path": "/models/"}, {"type": "websocket"}])
async def test_everything_else_passes_untouched(change):
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive))

    async def receive() -> dict[str, Any]:
        return GONE

    scope = {**PATCH, **change}
    await StreamUploads(app)(scope, receive, receive)  # type: ignore[arg-type]

    assert seen == [(scope, receive)]
