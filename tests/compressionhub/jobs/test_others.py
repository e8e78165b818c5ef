"""A student that was uploaded: whose it may be, what it must be like, and who may read it while a job needs it."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from compressionhub.errors import HubError, WrongState
from compressionhub.fleet import actions as fleet
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job
from compressionhub.jobs.others import NoSuchModel
from compressionhub.jobs.states import State
from compressionhub.jobs.tickets import ticket
from compressionhub.library import actions as library
from compressionhub.library.models import ModelVersion, TrainedModel
from compressionhub.library.store import store
from workers.alike import NotAlike
from workers.errors import YoursToFix
from workers.facts import LayerFacts
from workers.recipe import Recipe, from_value

pytestmark = pytest.mark.django_db(transaction=True)


def uploaded(team, by, like: ModelVersion, name: str) -> ModelVersion:
    """Another confirmed model, smaller and with other names at its borders."""
    model = TrainedModel.objects.create(team=team, name=name, created_by=by)
    made = ModelVersion(
        model=model, number=1, state="ready", filename=f"{name}.onnx", store_key=f"test/{name}", sha256="5" * 64,
        size_bytes=50_000, uploaded_by=by, contract_confirmed_by=by, contract_confirmed_at=timezone.now(),
    )  # fmt: skip
    facts, contract = like.facts, like.contract
    borders = {side: tuple(one.model_copy(update={"name": side}) for one in getattr(facts, side))
               for side in ("inputs", "outputs")}  # fmt: skip
    layer = LayerFacts(name="all", op="Gemm", params=12_000, macs=12_000, output_shape=(10,))
    made.facts = facts.model_copy(
        update={"size_bytes": 50_000, "params": 12_000, "macs": 24_000, "layers": (layer,), **borders}
    )
    made.contract = contract.model_copy(
        update={
            side: tuple(one.model_copy(update={"name": side}) for one in getattr(contract, side))
            for side in ("inputs", "outputs")
        }
    )
    made.save()
    return made


@pytest.fixture
def small(team, alice, version) -> ModelVersion:
    return uploaded(team, alice, version, "small")


@pytest.fixture
def foreign(other_team, charlie, version) -> ModelVersion:
    return uploaded(other_team, charlie, version, "secret")


def teaching(student: object) -> Recipe:
    return from_value([{"technique": "distillation", "student": str(student)}, {"technique": "static-int8"}])


@pytest.fixture
def taught(broker, submit, small) -> Job:
    return submit(recipe=teaching(small.pk))


def test_the_ticket_names_the_students_file_beside_the_models(taught, small, confirmed, dataset):
    made = ticket(taught)

    assert made.others == {str(small.pk): small.blob}
    assert made.inputs == (confirmed.blob, small.blob, dataset.blob)


def test_the_outlook_is_that_of_the_student_and_what_follows_it(small, confirmed, dataset, broker):
    alone, _ = actions.outlook(version=confirmed, dataset=dataset, recipe=from_value([{"technique": "distillation"}]))
    both, _ = actions.outlook(version=confirmed, dataset=dataset, recipe=teaching(small.pk))

    assert both.steps[0].forecast.seconds.value < alone.steps[0].forecast.seconds.value
    assert both.size_bytes.high < confirmed.facts.size_bytes / 4


@pytest.mark.parametrize("which", ["foreign", "nobody", "nonsense"])
def test_a_student_of_another_team_is_as_unknown_as_one_that_is_nowhere(broker, submit, foreign, which):
    name = {"foreign": foreign.pk, "nobody": uuid.uuid4(), "nonsense": "../small.onnx"}[which]

    with pytest.raises(NoSuchModel) as caught:
        submit(recipe=teaching(name))

    assert (caught.value.status, caught.value.code) == (404, "job.no-such-model")
    assert "secret" not in caught.value.message and not Job.objects.exists()


def without_confirmation(version: ModelVersion) -> None:
    version.contract_confirmed_at = None


def with_another_scale(version: ModelVersion) -> None:
    (spec,) = version.contract.inputs
    version.contract = version.contract.model_copy(update={"inputs": (spec.model_copy(update={"scale": 1.0}),)})


def with_nine_classes(version: ModelVersion) -> None:
    (tensor,) = version.facts.outputs
    version.facts = version.facts.model_copy(update={"outputs": (tensor.model_copy(update={"shape": ("n", 9)}),)})


def in_eight_bits(version: ModelVersion) -> None:
    version.facts = version.facts.model_copy(update={"quantized": True})


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (without_confirmation, WrongState, "confirmed input contract"),
        (with_another_scale, NotAlike, "small v1 to take and answer .* scale of input 'inputs' is 1, not 0.0625"),
        (with_nine_classes, NotAlike, "shape of output 'outputs' is n × 9, not n × 10"),
        (in_eight_bits, HubError, "Step 1, Distillation, does not fit: The network is quantized"),
    ],
)  # fmt: skip
def test_a_student_that_does_not_suit_is_refused_before_anything_runs(broker, submit, small, spoil, error, said):
    spoil(small)
    small.save()

    with pytest.raises(error, match=said) as caught:
        submit(recipe=teaching(small.pk))

    assert isinstance(caught.value, HubError | YoursToFix) and caught.value.hint
    assert not Job.objects.exists()


def test_the_student_stays_while_the_job_is_at_work_and_may_go_afterwards(taught, small, alice):
    with pytest.raises(WrongState, match=f"Job #{taught.number} is using small v1"):
        library.delete(item=small, by=alice)
    Job.objects.filter(pk=taught.pk).update(state=State.FAILED)

    library.delete(item=small, by=alice)

    assert Job.objects.filter(pk=taught.pk).exists()
    for again in (actions.retry, actions.run_again):
        with pytest.raises(NoSuchModel):
            again(job=Job.objects.get(), by=alice)


def test_a_worker_reads_the_student_of_its_job_and_nothing_after_it(taught, small, client, tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"a student")
    blob = store().put(path, name="small.onnx")
    ModelVersion.objects.filter(pk=small.pk).update(store_key=blob.key, sha256=blob.sha256)
    headers = {"authorization": f"Bearer {fleet.give_token(node='gauss')}"}

    def ask() -> int:
        return client.get(f"/internal/blobs/{blob.key}", headers=headers).status_code

    Job.objects.filter(pk=taught.pk).update(node="gauss", state=State.RUNNING)
    running = ask()
    Job.objects.filter(pk=taught.pk).update(node="euler")
    elsewhere = ask()
    Job.objects.filter(pk=taught.pk).update(node="gauss", state=State.SUCCEEDED)

    assert (running, elsewhere, ask()) == (200, 404, 404)


def page(client, bob, version, dataset, **changes: str) -> str:
    client.force_login(bob)
    sent = {"version": str(version.pk), "dataset": str(dataset.pk), "step": "s1", "s1-technique": "distillation",
            "s1-open": "1", **changes}  # fmt: skip
    return client.post("/jobs/new/", {"do": "", **sent}).content.decode()


def test_the_form_offers_the_teams_other_models_and_not_those_that_do_not_suit(
    client, bob, confirmed, dataset, small, foreign, team, alice
):
    other = uploaded(team, alice, confirmed, "loud")
    with_another_scale(other)
    other.save()

    shown = page(client, bob, confirmed, dataset)

    assert f'<option value="{small.pk}">small v1, 50.0 kB</option>' in shown
    assert f'<option value="{other.pk}" disabled>loud v1, does not suit</option>' in shown
    assert "secret" not in shown and f'<option value="{confirmed.pk}">digits-cnn v1, ' not in shown


def test_the_form_leads_to_the_upload_where_there_is_no_other_model(client, bob, confirmed, dataset):
    assert "No other model here yet" in page(client, bob, confirmed, dataset)


def test_what_was_chosen_is_submitted_and_named_on_the_jobs_page(broker, client, bob, confirmed, dataset, small):
    client.force_login(bob)
    sent = {"version": str(confirmed.pk), "dataset": str(dataset.pk), "step": "s1", "s1-technique": "distillation",
            "s1-student": str(small.pk), "seed": "0", "device": "host-1t", "do": "submit"}  # fmt: skip

    client.post("/jobs/new/", sent)

    job = Job.objects.get()
    assert list(job.others.all()) == [small]
    assert "small v1</a> as student" in client.get(job.get_absolute_url()).content.decode()
