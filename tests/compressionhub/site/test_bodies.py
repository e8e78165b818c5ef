"""Bodies beyond the bound: refused by their announcement or while they arrive, and never kept."""

import pytest
from asgiref.testing import ApplicationCommunicator

from compressionhub.asgi import MOST_BYTES, application
from compressionhub.site.bodies import BoundBodies

PIECE = b"x" * (1 << 20)


def scope(path: str = "/sign-in/", **headers: str) -> dict:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"localhost"), *pairs], "server": ("localhost", 80),
    }  # fmt: skip


async def test_an_announced_length_beyond_the_bound_is_refused_before_a_byte_arrives():
    talk = ApplicationCommunicator(application, scope(content_length=str(MOST_BYTES + 1)))

    answer = await talk.receive_output(timeout=5)

    assert answer["status"] == 413


async def test_a_body_without_a_length_is_cut_where_it_passes_the_bound():
    kept = 0

    async def keep_all(scope, receive, send):
        nonlocal kept
        while (message := await receive()).get("more_body"):
            kept += len(message["body"])

    talk = ApplicationCommunicator(BoundBodies(keep_all, 3 * len(PIECE)), scope())
    for _ in range(5):
        await talk.send_input({"type": "http.request", "body": PIECE, "more_body": True})

    assert (await talk.receive_output(timeout=5))["status"] == 413
    assert kept == 3 * len(PIECE)


@pytest.mark.django_db(transaction=True)
async def test_a_body_without_a_length_is_refused_by_the_whole_site():
    talk = ApplicationCommunicator(application, scope(content_type="application/x-www-form-urlencoded"))
    for _ in range(MOST_BYTES // len(PIECE) + 2):
        await talk.send_input({"type": "http.request", "body": PIECE, "more_body": True})

    assert (await talk.receive_output(timeout=10))["status"] == 413


async def test_a_length_that_lies_below_the_bound_passes():
    async def hello(scope, receive, send):
        assert (await receive())["body"] == b"hi"
        await send({"type": "http.response.start", "status": 204, "headers": []})

    talk = ApplicationCommunicator(BoundBodies(hello, 2), scope(content_length="2"))
    await talk.send_input({"type": "http.request", "body": b"hi"})

    assert (await talk.receive_output(timeout=5))["status"] == 204
