"""The API: who may, what it answers, and that its description is up to date."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.test import AsyncClient
from django.utils import timezone

from compressionhub.accounts.actions import create_token
from compressionhub.accounts.models import ApiToken, AuditEntry, Membership, Scope, User
from compressionhub.jobs import sse
from compressionhub.jobs.models import Artifact, Job
from compressionhub.library.store import store
from compressionhub.site.management.commands.openapi import PAGE, page
from tests.compressionhub.jobs.conftest import Worker, relay_all, story
from workers import events
from workers.recipe import techniques

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def call(client, team):
    """Call as somebody: ``call(bob, "post", "jobs", {...})`` gives status and JSON."""

    def make(user, method, path, body=None, scope=Scope.WRITE, **headers):
        _, secret = create_token(user=user, team=user.memberships.get().team, name="test", scope=scope)
        headers = {"Authorization": f"Bearer {secret}", **headers}
        extra = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        return getattr(client, method)(f"/api/v1/{path}", headers=headers, **extra)

    return make


@pytest.fixture
def body(confirmed, dataset):
    return {
        "model_version": str(confirmed.pk),
        "dataset": str(dataset.pk),
        "steps": [{"technique": "magnitude-pruning", "sparsity": 0.6}, {"technique": "static-int8"}],
    }


def test_the_written_description_is_that_of_the_operations():
    assert PAGE.read_text() == page(), "run: python manage.py openapi"


def test_every_technique_is_listed_with_its_parameters(call, bob):
    listed = call(bob, "get", "techniques").json()

    assert [item["slug"] for item in listed] == list(techniques())
    assert all(item["parameters"]["properties"] for item in listed)


def test_a_job_is_submitted_with_its_steps(broker, call, bob, body):
    answer = call(bob, "post", "jobs", body)

    job = Job.objects.get()
    assert answer.status_code == 201
    assert answer.json()["id"] == str(job.pk)
    assert [step["technique"] for step in answer.json()["steps"]] == ["magnitude-pruning", "static-int8", "evaluate"]
    assert job.recipe_value.steps[0].sparsity == 0.6
    assert job.submitted_by == bob


def test_the_same_key_twice_makes_one_job(broker, call, bob, body):
    first = call(bob, "post", "jobs", body, **{"Idempotency-Key": "k1"})
    second = call(bob, "post", "jobs", body, **{"Idempotency-Key": "k1"})
    third = call(bob, "post", "jobs", {**body, "seed": 7}, **{"Idempotency-Key": "k1"})

    assert (first.status_code, second.status_code, third.status_code) == (201, 200, 409)
    assert first.json()["id"] == second.json()["id"]
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"steps": []},
        {"steps": [{"technique": "no-such-thing"}]},
        {"steps": [{"technique": "magnitude-pruning", "sparsity": float("inf")}]},
        {"steps": [{"technique": "magnitude-pruning", "sparsity": 2**63}]},
        {"steps": [{"technique": "magnitude-pruning", "surprise": 1}]},
        {"seed": 2**63},
        {"device": "no-such-device"},
        {"surprise": 1},
        {"gate": {"max_drop_points": float("nan")}},
    ],
)
def test_what_makes_no_sense_is_refused_with_a_problem_document(broker, call, bob, body, change):
    answer = call(bob, "post", "jobs", {**body, **change})

    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()) >= {"type", "title", "detail", "status"}
    assert Job.objects.count() == 0


def test_without_a_token_nobody_gets_in(client, db):
    answer = client.get("/api/v1/jobs")

    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


def test_a_stranger_cannot_tell_that_a_job_exists(call, charlie, job):
    for method, path in (
        ("get", ""),
        ("post", "/cancel"),
        ("post", "/retry"),
        ("get", "/artifacts/model.onnx"),
        ("get", "/events"),
    ):
        assert call(charlie, method, f"jobs/{job.pk}{path}", {} if method == "post" else None).status_code == 404
    assert call(charlie, "get", "jobs").json() == []


def test_a_stranger_cannot_use_a_foreign_model(broker, call, charlie, body):
    assert call(charlie, "post", "jobs", body).status_code == 404


def test_a_viewer_reads_and_does_not_submit(broker, call, vera, body, job):
    assert call(vera, "get", f"jobs/{job.pk}").status_code == 200
    assert call(vera, "post", "jobs", body).status_code == 403
    assert call(vera, "post", f"jobs/{job.pk}/cancel", {}).status_code == 403


def test_a_reading_token_does_not_submit(broker, call, bob, body):
    answer = call(bob, "post", "jobs", body, scope=Scope.READ)

    assert (answer.status_code, answer.json()["type"]) == (403, "token.scope")


def test_cancelling_twice_says_that_the_job_is_already_stopping(broker, call, bob, job):
    assert call(bob, "post", f"jobs/{job.pk}/cancel", {}).status_code == 202
    assert call(bob, "post", f"jobs/{job.pk}/cancel", {}).status_code == 409


def test_an_artifact_is_downloaded_whole_and_the_download_is_audited(call, bob, job, tmp_path):
    source = tmp_path / "bundle.zip"
    source.write_bytes(b"bytes of a bundle")
    blob = store().put(source, name="bundle.zip")
    Artifact.objects.create(
        job=job,
        name="bundle.zip",
        key=blob.key,
        sha256=blob.sha256,
        size_bytes=17,
        attempt=1,
        created_at=job.submitted_at,
    )

    answer = call(bob, "get", f"jobs/{job.pk}/artifacts/bundle.zip")

    assert b"".join(answer.streaming_content) == b"bytes of a bundle"
    assert answer["X-Content-SHA256"] == blob.sha256
    assert AuditEntry.objects.get(verb="job.download").by == bob


def test_a_page_number_beyond_reason_is_refused(call, bob, job):
    assert call(bob, "get", f"jobs?page={2**60}").status_code == 422


async def _lines(user, job, **headers):
    client = AsyncClient()
    await client.aforce_login(user)
    answer = await client.get(f"/api/v1/jobs/{job.pk}/events", headers=headers)
    if answer.status_code != 200:
        return answer.status_code, []
    return 200, "".join([part.decode() async for part in answer.streaming_content]).split("\n\n")[:-1]


async def test_events_of_an_ended_job_arrive_in_order_and_go_on_behind_the_last_one_seen(
    relay, worker: Worker, job, bob
):
    told = [events.Started(node="node-a", threads=1), *story(), events.Finished(outcome="succeeded")]
    for event in told:
        worker.say(job, event)
    await sync_to_async(relay_all)(relay)

    _, everything = await _lines(bob, job)
    _, rest = await _lines(bob, job, **{"Last-Event-ID": "5"})
    nothing, _ = await _lines(bob, job, **{"Last-Event-ID": str(len(told) + 1)})

    assert [line.split("\n")[0] for line in everything] == [f"id: {n}" for n in range(1, len(told) + 2)]
    assert rest == everything[5:]
    assert nothing == 204
    assert json.loads(everything[0].split("data: ")[1])["type"] == "queued"


def test_the_served_description_has_a_schema_for_every_technique(client):
    schema = client.get("/api/v1/openapi.json").json()

    assert schema["openapi"].startswith("3.1")
    mapping = schema["components"]["schemas"]["JobIn"]["properties"]["steps"]["items"]["discriminator"]["mapping"]
    assert set(mapping) == set(techniques())
    assert all(ref.rsplit("/", 1)[1] in schema["components"]["schemas"] for ref in mapping.values())


@pytest.fixture
def follow(team, monkeypatch):
    """Begin to follow a job with a token: ``await follow(bob, job)`` gives the answer and the token."""
    monkeypatch.setattr(sse, "CHECK_RIGHT_EVERY", 0.0)
    monkeypatch.setattr(sse, "ASK_EVERY", 0.05)
    channel_layers.backends.clear()

    async def begin(user, job, *, on=None):
        token, secret = await sync_to_async(create_token)(user=user, team=on or team, name="test", scope=Scope.READ)
        answer = await AsyncClient().get(f"/api/v1/jobs/{job.pk}/events", headers={"Authorization": f"Bearer {secret}"})
        return answer, token

    yield begin
    channel_layers.backends.clear()


async def _ends(answer) -> bool:
    async def read() -> None:
        async for _ in answer.streaming_content:
            pass

    try:
        await asyncio.wait_for(read(), 3)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("what", ["membership", "token", "account"])
async def test_events_end_for_somebody_who_may_no_longer_see_them(follow, job, bob, what):
    answer, token = await follow(bob, job)

    if what == "membership":
        await bob.memberships.all().adelete()
    elif what == "token":
        await ApiToken.objects.filter(pk=token.pk).aupdate(revoked_at=timezone.now())
    else:
        await User.objects.filter(pk=bob.pk).aupdate(is_active=False)

    assert await _ends(answer)


async def test_events_go_on_for_a_member(follow, job, bob):
    answer, _ = await follow(bob, job)

    assert not await _ends(answer)


async def test_a_token_for_one_team_does_not_follow_a_job_of_another(follow, job, bob, other_team):
    await Membership.objects.acreate(team=other_team, user=bob, role="owner")

    answer, _ = await follow(bob, job, on=other_team)

    assert answer.status_code == 404
