"""A worker on a host that shares no folder with the hub and has a user of its own on the broker."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
import redis
from django.conf import settings

from compressionhub.fleet import actions, broker_user, valkey
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State
from compressionhub.library.store import store
from workers.events import STREAM, stop_job_key

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
