"""A worker on a host that shares no folder with the hub and has a user of its own on the broker."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
import redis
from django.conf import settings

from compressionhub.fleet import actions, broker_user, valkey
from compressionhub.jobs import actions as jobs
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library import actions as library
from compressionhub.library.models import ModelVersion
from compressionhub.library.store import store
from tests.material import tiny_cnn, write
from workers.events import STREAM, stop_job_key
from workers.recipe import from_value

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def test_a_job_is_done_where_nothing_is_shared(site, ready, port, tmp_path):
    site.web(port)
    site.relay()
    worker = site.worker_elsewhere(f"http://127.0.0.1:{port}", "elsewhere")

    job = site.ended(ready("tidy"))

    assert (job.state, job.problem, job.node) == (State.SUCCEEDED, None, "elsewhere")
    assert {"bundle.zip", "model.onnx"} <= {item.name for item in job.artifacts.all()}
    assert all(store().exists(item.key) for item in job.artifacts.all())
    with pytest.raises(urllib.error.HTTPError, match="404"):  # the job has ended, and with it the right to its input
        _ask(port, job.model_version.blob.key, actions.give_token(node="elsewhere"))
    assert Job.objects.exclude(state=State.SUCCEEDED).count() == 0
    assert worker.poll() is None


def test_a_student_travels_to_a_worker_elsewhere_and_goes_on_through_the_recipe(site, ready, port, tmp_path, team, bob):
    site.web(port)
    site.relay()
    site.worker_elsewhere(f"http://127.0.0.1:{port}", "elsewhere")
    site.ended(ready("tidy"))
    path = write(tiny_cnn(seed=3), tmp_path / "small.onnx")
    small = library.add_model(team=team, by=bob, name="small", blob=store().put(path, name="small.onnx"))
    site.until(lambda: ModelVersion.objects.get(pk=small.pk).is_ready)
    small.refresh_from_db()
    job = Job.objects.filter(kind=Kind.COMPRESS).get()
    small.contract = job.model_version.contract.model_copy(
        update={
            "inputs": (job.model_version.contract.inputs[0].model_copy(update={"name": "x"}),),
            "outputs": (job.model_version.contract.outputs[0].model_copy(update={"name": "y"}),),
        }
    )
    small.save()
    library.confirm_contract(version=small, by=bob)
    steps = [
        {"technique": "distillation", "student": str(small.pk), "epochs": 2},
        {"technique": "magnitude-pruning", "sparsity": 0.3},
        {"technique": "static-int8", "samples": 32},
    ]

    taught = jobs.submit(by=bob, team=team, version=job.model_version, dataset=job.dataset, recipe=from_value(steps))
    ended = site.ended(taught, seconds=120)

    assert (ended.state, ended.problem, ended.node) == (State.SUCCEEDED, None, "elsewhere")
    assert ended.report_value.result.size_bytes < small.size_bytes
    assert ended.report_value.result.params == pytest.approx(small.facts.params, rel=0.1)
    [other] = ended.report_value.others
    assert (other.name, other.file, other.sha256) == (str(small.pk), "small.onnx", small.sha256)
    first = ended.steps.get(index=0)
    assert "without a teacher" in first.says and first.says == ended.report_value.steps[0].says
    with pytest.raises(urllib.error.HTTPError, match="404"):
        _ask(port, small.blob.key, actions.give_token(node="elsewhere"))


def _ask(port: int, key: str, token: str) -> bytes:
    address = f"http://127.0.0.1:{port}/internal/blobs/{key}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


FORBIDDEN = {
    "read what others report": ("XRANGE", STREAM, "-", "+"),
    "trim the stream": ("XTRIM", STREAM, "MAXLEN", "0"),
    "remove the stream": ("DEL", STREAM),
    "overwrite the stream": ("SET", STREAM, "1"),
    "remove it from a script": ("EVAL", "return redis.call('DEL', KEYS[1])", "1", STREAM),
    "speak on live pages": ("PUBLISH", "job-1", "x"),
    "write on live pages": ("ZADD", "asgi:group:job-1", "1", "x"),
    "wish jobs to stop": ("SET", stop_job_key("1", 1), "cancel"),
    "empty the server": ("FLUSHALL",),
    "read its settings": ("CONFIG", "GET", "requirepass"),
    "make users": ("ACL", "SETUSER", "friend", "on", "nopass", "+@all"),
    "list all keys": ("KEYS", "*"),
}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_the_broker_refuses_a_worker(deed, site):
    server = redis.Redis.from_url(broker_user.make(valkey.client(), settings.REDIS_URL, node="elsewhere"))
    valkey.client().xadd(STREAM, {"body": "said by another"})

    with pytest.raises(redis.exceptions.NoPermissionError):
        server.execute_command(*FORBIDDEN[deed])

    assert server.xadd(STREAM, {"body": "its own"})
    assert server.mget(stop_job_key("1", 1)) == [None]
    assert valkey.client().xlen(STREAM) == 2


def test_a_worker_whose_rights_were_taken_back_is_disconnected(site):
    address = broker_user.make(valkey.client(), settings.REDIS_URL, node="elsewhere")
    redis.Redis.from_url(address).ping()

    broker_user.remove(valkey.client(), node="elsewhere")

    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(address).ping()
