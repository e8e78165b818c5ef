"""What a worker that has gone bad may put into the stream: the relay goes on, and others' jobs with it."""

import json

import pytest

from compressionhub.fleet.models import Node, SetAsideEvent
from tests.compressionhub.jobs.conftest import relay_all
from workers import events
from workers.events import STREAM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"body": b"\xff\xfe"},
        {b"\xff": b"\xff"},
        {"body": b""},
        {"body": b"[" * 100_000},
        {"body": b'{"kind": "beat", "node": "a\x00b"}'},
        {"body": json.dumps({"kind": "event", "node": "n" * 10_000}).encode()},
    ],
)
def test_an_entry_of_any_bytes_is_set_aside_and_the_next_is_applied(broker, relay, worker, fields):
    broker.xadd(STREAM, fields)
    worker.beat()

    relay_all(relay)

    assert SetAsideEvent.objects.count() == 1
    assert Node.objects.filter(name="node-a").exists()


@pytest.mark.parametrize("entry", ["1-1", "18446744073709551615-1"])
def test_an_entry_may_claim_any_time(broker, relay, worker, entry):
    broker.xadd(STREAM, {"body": "{}"}, id=entry)

    relay_all(relay)

    assert SetAsideEvent.objects.get().entry == entry


def test_a_name_that_no_column_holds_is_cut(relay, worker, job):
    worker.name = "a\0" + "b" * 500
    worker.say(job, events.Started(node=worker.name, threads=1))
    worker.name = "another"
    worker.say(job, events.Log(text="not mine"))

    relay_all(relay)

    refused = SetAsideEvent.objects.filter(type="log").get()
    assert refused.node == "another"
    assert all(len(item.node) <= 120 and "\0" not in item.node for item in SetAsideEvent.objects.all())
