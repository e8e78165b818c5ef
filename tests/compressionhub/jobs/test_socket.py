"""The socket of a job's page: who may listen, and that no event is lost or repeated."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.test import Client

from compressionhub.asgi import application
from compressionhub.jobs import actions
from compressionhub.jobs.live import PARTS
from compressionhub.jobs.models import Job
from tests.compressionhub.jobs.conftest import relay_all, story
from workers import events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_layer():
    """The channel layer keeps connections of one event loop; each test has its own."""
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


@pytest.fixture
def open_socket(broker):
    """Open a job's socket as a browser would: ``await open_socket(bob, job, after=3, origin=…)``."""

    async def connect(user, job, *, after=0, origin="http://localhost"):
        client = Client()
        if user:
            await sync_to_async(client.force_login)(user)
        cookie = client.cookies.get(django_settings.SESSION_COOKIE_NAME)
        headers = [(b"origin", origin.encode()), (b"host", b"localhost")]
        if cookie:
            headers.append((b"cookie", f"{django_settings.SESSION_COOKIE_NAME}={cookie.value}".encode()))
        socket = WebsocketCommunicator(application, f"/ws/jobs/{job.pk}/?after={after}", headers=headers)
        connected, _ = await socket.connect(timeout=5)
        return socket, connected

    return connect


async def code(socket) -> int:
    return (await socket.receive_output(timeout=5))["code"]


async def test_a_member_gets_every_part_and_every_row(open_socket, job, vera):
    socket, _ = await open_socket(vera, job)

    first = await socket.receive_json_from(timeout=5)

    assert (first["type"], first["state"], first["position"]) == ("snapshot", "queued", 1)
    assert set(first["parts"]) == set(PARTS)
    assert all(f'id="job-{name}"' in html for name, html in first["parts"].items())
    assert [row["type"] for row in first["rows"]] == ["queued"]
    await socket.disconnect()


async def test_nobody_listens_without_a_sign_in(open_socket, job):
    socket, _ = await open_socket(None, job)

    assert await code(socket) == 4401


async def test_a_stranger_gets_the_answer_of_a_job_that_does_not_exist(open_socket, job, charlie):
    socket, _ = await open_socket(charlie, job)

    assert await code(socket) == 4404


async def test_a_page_of_another_site_cannot_listen(open_socket, job, bob):
    _, connected = await open_socket(bob, job, origin="https://evil.example")

    assert not connected


async def test_rows_arrive_once_and_in_order_while_the_relay_works(open_socket, relay, worker, job, bob):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)
    told = [events.Started(node="node-a", threads=1), *story(), events.Finished(outcome="succeeded")]

    seen, last = [], None
    for start in range(0, len(told), 6):
        for event in told[start : start + 6]:
            worker.say(job, event)
        await sync_to_async(relay_all)(relay)
        last = await socket.receive_json_from(timeout=3)
        seen += [row["position"] for row in last["rows"]]
    while len(seen) < len(told):
        last = await socket.receive_json_from(timeout=6)
        seen += [row["position"] for row in last["rows"]]

    assert seen == list(range(2, len(told) + 2))
    assert last["state"] == "succeeded"
    assert "head" in last["parts"]
    await socket.disconnect()


async def test_a_page_that_comes_back_gets_only_what_it_missed(open_socket, relay, worker, job, bob):
    for event in story():
        worker.say(job, event)
    worker.say(job, events.Started(node="node-a", threads=1))
    for event in story()[:5]:
        worker.say(job, event)
    await sync_to_async(relay_all)(relay)

    socket, _ = await open_socket(bob, job, after=3)
    first = await socket.receive_json_from(timeout=5)

    assert [row["position"] for row in first["rows"]] == [4, 5, 6, 7]
    await socket.disconnect()


async def test_a_page_that_met_a_gap_may_ask_again(open_socket, relay, worker, job, bob):
    worker.say(job, events.Started(node="node-a", threads=1))
    await sync_to_async(relay_all)(relay)
    socket, _ = await open_socket(bob, job, after=2)
    await socket.receive_json_from(timeout=5)

    await socket.send_json_to({"type": "after", "position": 0})
    again = await socket.receive_json_from(timeout=5)

    assert again["type"] == "snapshot"
    assert [row["position"] for row in again["rows"]] == [1, 2]
    await socket.disconnect()


async def test_a_wish_of_a_web_process_reaches_the_other_pages(open_socket, job, bob, vera):
    socket, _ = await open_socket(vera, job)
    await socket.receive_json_from(timeout=5)

    await sync_to_async(actions.cancel)(job=job, by=bob)
    pushed = await socket.receive_json_from(timeout=3)

    assert (pushed["state"], [row["type"] for row in pushed["rows"]]) == ("cancelling", ["cancel_asked"])
    await socket.disconnect()


@pytest.mark.parametrize("message", [[], {"type": "after", "position": "x"}, {"type": "after"}, {"type": "stop"}])
async def test_nonsense_from_a_page_is_ignored(open_socket, job, bob, message):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)

    await socket.send_json_to(message)

    assert await socket.receive_nothing(timeout=0.3)
    await socket.disconnect()


@pytest.mark.parametrize("sent", [{"text_data": "no json"}, {"text_data": "[" * 60_000}, {"bytes_data": b"\xff"}])
async def test_what_is_no_json_is_ignored(open_socket, job, bob, sent):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)

    await socket.send_to(**sent)

    assert await socket.receive_nothing(timeout=0.3)
    await socket.disconnect()


async def test_a_position_beyond_any_column_is_answered(open_socket, job, bob):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)

    await socket.send_json_to({"type": "after", "position": 2**70})

    assert (await socket.receive_json_from(timeout=5))["rows"] == []
    await socket.disconnect()


async def test_somebody_who_left_the_team_gets_nothing_when_asking_again(open_socket, job, bob):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)

    await bob.memberships.all().adelete()
    await socket.send_json_to({"type": "after", "position": 0})

    assert await socket.receive_nothing(timeout=0.5)
    await socket.disconnect()


async def test_a_page_of_a_job_that_is_deleted_is_closed(open_socket, job, bob):
    socket, _ = await open_socket(bob, job)
    await socket.receive_json_from(timeout=5)

    await sync_to_async(Job.objects.all().delete)()
    await channel_layers["default"].group_send(f"job-{job.pk}", {"type": "job.moved", "position": 9})

    assert (await socket.receive_output(timeout=8))["code"] == 4404
