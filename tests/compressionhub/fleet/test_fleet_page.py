"""The Fleet page: what a newcomer sees without a worker, and what each worker can do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from compressionhub.errors import Invalid
from compressionhub.fleet.models import Node, RelayState, SetAsideEvent
from compressionhub.fleet.routing import Queue, route
from tests.compressionhub.jobs.conftest import node_facts
from workers.device import host, profile

pytestmark = pytest.mark.django_db


def node(name="node-a", *, seconds_ago=1, runs=(), leaving=False, **facts):
    at = timezone.now() - timedelta(seconds=seconds_ago)
    return Node.objects.create(
        name=name,
        start="s",
        facts=node_facts(name, **facts).model_dump(mode="json"),
        runs=[list(run) for run in runs],
        leaving=leaving,
        first_beat_at=at,
        last_beat_at=at,
    )


@pytest.fixture
def page(client, vera):
    client.force_login(vera)
    return lambda: client.get("/fleet/").content.decode()


def test_without_a_worker_the_page_says_how_to_start_one(page):
    found = page()

    assert "No worker is alive" in found
    assert "python -m workers work" in found
    assert "The relay is silent" in found


def test_a_living_worker_is_shown_with_its_abilities_and_its_sandbox(page):
    node(runs=[("job", 1, "run")], cpu="A fine processor", abilities=("onnxruntime",))
    RelayState.objects.create(seen_at=timezone.now(), delay_ms=7, holder="here")

    found = page()

    assert "1 worker is alive, 1 of 2 slots busy; nothing waits." in found
    for word in ("A fine processor", "avx2", "onnxruntime", "Files and network are closed.", "node-a"):
        assert word in found
    assert "The relay is silent" not in found


def test_a_silent_worker_is_said_to_be_silent(page):
    node(seconds_ago=40)

    assert "silent" in page()
    assert "No worker is alive" in page()


def test_an_event_that_was_set_aside_is_shown_without_its_contents(page):
    SetAsideEvent.objects.create(
        entry="1-0", node="node-b", type="judged", body="<b>secret</b>", error="no <i>report</i>", at=timezone.now()
    )

    found = page()

    assert "no &lt;i&gt;report&lt;/i&gt;" in found
    assert "secret" not in found


def test_the_page_asks_for_a_sign_in(client, db):
    assert client.get("/fleet/").status_code == 302


def test_a_job_goes_to_the_queue_that_its_device_needs():
    node(queues=("cpu", "edge"))
    emulated = host().model_copy(update={"kind": "emulated"})

    assert route(None, profile("host-1t"), now=timezone.now()).queue is Queue.CPU
    assert route(None, emulated, now=timezone.now()).queue is Queue.EDGE


def test_a_cpu_job_may_wait_for_a_worker_and_says_so():
    assert "waits until one starts" in route(None, profile("host-1t"), now=timezone.now()).warning


def test_a_queue_nobody_has_ever_served_is_refused_with_the_command_that_helps():
    with pytest.raises(Invalid) as caught:
        route(None, host().model_copy(update={"kind": "emulated"}), now=timezone.now())

    assert "python -m workers work --queues edge" in caught.value.hint
