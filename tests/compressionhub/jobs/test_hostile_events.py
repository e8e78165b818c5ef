"""What a worker that has gone bad may put into the stream: the relay goes on, and others' jobs with it."""

import json
from typing import get_args

import pytest

from compressionhub.fleet.models import Node, SetAsideEvent
from compressionhub.jobs.relay.apply import HANDLERS
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


def test_a_name_that_no_column_holds_is_refused_and_the_relay_goes_on(relay, worker, job):
    said = worker.say(job, events.Started(node=worker.name, threads=1), run="run-2")
    worker.put(said.model_copy(update={"node": "a\0" + "b" * 500}))

    relay_all(relay)

    assert "at most 120 characters" in SetAsideEvent.objects.get().error
    job.refresh_from_db()
    assert job.node == worker.name


@pytest.mark.parametrize(
    "key",
    [
        f"incoming/{'0' * 8}-0000-4000-8000-{'0' * 12}",
        f"sha256/dd/{'d' * 64}",
        f"sha256/cc/{'c' * 64}/../../../incoming/x",
        "../../../etc/passwd",
        "",
    ],
)
def test_an_artifact_cannot_name_a_blob_by_anything_but_its_own_content(relay, worker, job, key):
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.say(job, events.ArtifactStored(name="model.onnx", key=key, sha256="c" * 64, size_bytes=1))

    relay_all(relay)

    job.refresh_from_db()
    assert not job.artifacts.exists()
    assert (job.state, job.problem["code"]) == ("failed", "job.event-set-aside")


def test_a_hash_is_taken_only_of_a_file_of_the_size_that_the_job_was_given(relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.say(job, events.FileHashed(which="model", sha256="e" * 64, size_bytes=job.model_version.size_bytes + 1))

    relay_all(relay)

    job.refresh_from_db()
    assert job.hashes == {}
    assert job.state == "failed"


@pytest.mark.parametrize("name", ["../x", "a/b", "a\r\nSet-Cookie: x", "", ".hidden", "x" * 101, 'a"; filename="b'])
def test_the_name_of_an_artifact_is_a_plain_file_name(name):
    with pytest.raises(ValueError):
        events.ArtifactStored(name=name, key="k", sha256="c" * 64, size_bytes=1)


def test_every_event_of_the_union_has_a_handler():
    kinds = set(get_args(get_args(events.Event)[0]))

    assert kinds == set(HANDLERS)


def test_only_a_real_nul_leaves_the_text():
    said = ["a\0b", "a\\u0000b", "a\\\0b", "\0\0", "plain"]

    assert json.loads(events.without_nul(json.dumps(said))) == ["ab", "a\\u0000b", "a\\b", "", "plain"]
