"""What a worker's token opens, and what it does not."""

from __future__ import annotations

import hashlib
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from compressionhub.accounts.models import AuditEntry
from compressionhub.fleet import actions
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State
from compressionhub.library.store import store
from workers.store import content_key

RESULT = b"a smaller network" * 1000
RESULT_KEY = content_key(hashlib.sha256(RESULT).hexdigest())


@pytest.fixture
def worker(client, db):
    """Asks as the worker ``gauss`` does."""
    token = actions.give_token(node="gauss")

    class Asks:
        headers = {"authorization": f"Bearer {token}"}

        def get(self, key: str):
            return client.get(f"/internal/blobs/{key}", headers=self.headers)

        def put(self, key: str, body: bytes):
            kind = "application/octet-stream"
            return client.put(f"/internal/blobs/{key}", body, content_type=kind, headers=self.headers)

    return Asks()


@pytest.fixture
def stored(job, tmp_path) -> str:
    """The key of the job's model, with bytes behind it."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"a network")
    blob = store().put(path, name="net.onnx")
    type(job.model_version).objects.filter(pk=job.model_version_id).update(store_key=blob.key, sha256=blob.sha256)
    return blob.key


def held(job: Job, node: str = "gauss", state: State = State.RUNNING) -> None:
    Job.objects.filter(pk=job.pk).update(node=node, state=state)


@pytest.mark.parametrize(("node", "state"), [("", State.QUEUED), ("gauss", State.RUNNING), ("gauss", State.CANCELLING)])
def test_a_worker_gets_the_inputs_of_jobs_that_wait_or_that_it_holds(worker, job, stored, node, state):
    held(job, node, state)

    answer = worker.get(stored)

    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"a network")


@pytest.mark.parametrize(("node", "state"), [("euler", State.RUNNING), ("gauss", State.SUCCEEDED)])
def test_it_gets_nothing_of_other_jobs(worker, job, stored, node, state):
    held(job, node, state)

    assert worker.get(stored).status_code == 404


def test_it_gets_no_file_that_no_job_needs(worker, job, stored, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"another team's")
    other = store().put(path, name="secret")

    assert worker.get(other.key).status_code == 404
    assert worker.get("../hub.sqlite3").status_code == 422


def test_a_result_lies_under_the_hash_of_its_bytes(worker, job):
    held(job)

    answer = worker.put(RESULT_KEY, RESULT)

    assert answer.json() == {"key": RESULT_KEY, "size_bytes": len(RESULT)}
    assert store().path(RESULT_KEY).read_bytes() == RESULT


def test_bytes_under_anothers_hash_are_refused_and_nothing_is_kept(worker, job):
    held(job)

    assert worker.put(RESULT_KEY, b"something else").status_code == 422
    assert not store().exists(RESULT_KEY)
    assert not list((store().root / "partial").iterdir())


def test_a_worker_that_holds_no_job_hands_nothing_in(worker, job):
    assert worker.put(RESULT_KEY, RESULT).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer chub_wrong"}, {"authorization": "Basic Z2F1c3M="}])
def test_nobody_else_gets_anything(client, job, stored, headers):
    assert client.get(f"/internal/blobs/{stored}", headers=headers).status_code == 401


def test_a_new_token_and_a_revocation_end_the_old_one(worker, job, stored):
    before = worker.get(stored).status_code
    actions.give_token(node="gauss")
    renewed = worker.get(stored).status_code

    actions.revoke_token(node="gauss")

    assert (before, renewed) == (200, 401)
    assert not actions.revoke_token(node="gauss")
    verbs = set(AuditEntry.objects.values_list("verb", flat=True))
    assert {"worker.give_token", "worker.revoke_token"} <= verbs


def test_the_command_prints_all_that_a_worker_needs(db):
    said = StringIO()

    call_command("worker_token", "gauss", "--hub", "https://hub.example.org", stdout=said)

    told = dict(line.split("=", 1) for line in said.getvalue().splitlines())
    assert told["HUB_NODE"] == "gauss" and told["HUB_URL"] == "https://hub.example.org"
    assert told["REDIS_URL"].startswith("redis://worker-gauss:")
    call_command("worker_token", "gauss", "--revoke")
    with pytest.raises(CommandError, match="none called"):
        call_command("worker_token", "gauss", "--revoke")
