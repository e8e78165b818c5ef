"""A sensitivity job in the hub: asked, followed, read, and turned into a recipe."""

import pytest
from django.urls import reverse

from compressionhub.errors import Invalid, NotAllowed
from compressionhub.jobs import actions, harmed, tickets
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from tests.compressionhub.jobs.conftest import relay_all
from workers import events
from workers.recipe import step
from workers.report import ExclusionTried, LayerLoss, Loss, SamplesTried, Sensitivity

ASK = "/jobs/sensitivity/"
STATIC = {"technique": "static-int8", "samples": 64}


def found(**changes) -> Sensitivity:
    values = {
        "metric": "top-1 accuracy",
        "unit": "points",
        "baseline": 0.98,
        "rows": 180,
        "layers": (
            LayerLoss(name="conv1", op="Conv", params=80, loss=Loss(points=3.9, low=0.8, high=8.0), distance=0.5),
            LayerLoss(name="norm", op="BatchNormalization", params=16, treated=False, note="left as it is"),
            LayerLoss(name="fc", op="Gemm", params=900, loss=Loss(points=0.0, low=-2.1, high=2.1), distance=0.01),
        ),
        "everything": Loss(points=4.2, low=1.0, high=8.5),
        "excluded": ("conv1",),
        "tried": (ExclusionTried(excluded=1, loss=Loss(points=0.3, low=-1.0, high=1.9)),),
        "calibration": (
            SamplesTried(samples=8, loss=Loss(points=4.0, low=1.0, high=8.0)),
            SamplesTried(samples=64, loss=Loss(points=4.2, low=1.0, high=8.5)),
        ),
        "enough": 8,
    }
    return Sensitivity(**{**values, **changes})


@pytest.fixture
def asked(broker, team, bob, confirmed, dataset) -> Job:
    return actions.submit_sensitivity(by=bob, team=team, version=confirmed, dataset=dataset, step=step(STATIC))


@pytest.fixture
def answered(asked, worker, relay) -> Job:
    worker.beat()
    worker.say(asked, events.Started(node="node-a", threads=1))
    worker.say(asked, events.StepStarted(step=0, technique="static-int8"))
    worker.say(asked, events.TrialMeasured(place=0, name="conv1", loss=Loss(points=3.9)))
    worker.say(asked, events.SensitivityMeasured(sensitivity=found()))
    worker.say(asked, events.StepFinished(step=0, technique="static-int8", seconds=1.0))
    worker.say(asked, events.Finished(outcome="succeeded"))
    relay_all(relay)
    return Job.objects.get(pk=asked.pk)


def test_its_ticket_carries_the_one_step_and_the_kind(asked):
    ticket = tickets.ticket(asked)

    assert ticket.kind == "sensitivity"
    assert [one.technique for one in ticket.recipe.steps] == ["static-int8"]
    assert asked.steps.count() == 1


def test_the_relay_keeps_what_was_found_and_ends_the_job(answered):
    assert answered.state == State.SUCCEEDED
    assert answered.sensitivity_value == found()


def test_a_job_that_brought_no_result_has_not_succeeded(asked, worker, relay):
    worker.beat()
    worker.say(asked, events.Started(node="node-a", threads=1))
    worker.say(asked, events.Finished(outcome="succeeded"))
    relay_all(relay)

    assert Job.objects.get(pk=asked.pk).state == State.FAILED


def test_its_page_says_which_layers_to_leave_out_and_how_many_rows_are_enough(client, bob, answered):
    client.force_login(bob)

    page = client.get(answered.get_absolute_url()).content.decode()

    assert "Leave out one layer of 3" in page
    assert "Exclude these and run again" in page
    assert "From 8 calibration rows on" in page
    assert "not treated" in page and "layer-loss" in page


def test_layers_that_were_treated_with_neighbours_are_told_from_those_measured_alone():
    group = [LayerLoss(name=f"fc{place}", op="Gemm", params=9, loss=Loss(points=0.1), together=2) for place in (1, 2)]

    assert "neighbours" not in harmed.text(found())
    assert "2 layers were treated with their neighbours" in harmed.text(found(layers=(*found().layers, *group)))


def test_bars_show_treated_layers_only():
    assert harmed.bars(found())["xAxis"]["data"] == ["conv1", "fc"]


def test_a_viewer_reads_it_but_starts_nothing(client, vera, answered):
    client.force_login(vera)

    page = client.get(answered.get_absolute_url()).content.decode()

    assert "Leave out one layer" in page and "Exclude these and run again" not in page
    assert client.get(ASK).status_code == 403


def test_exclude_and_run_again_fills_the_new_job_page(client, bob, answered):
    client.force_login(bob)

    page = client.get(f"/jobs/new/?from={answered.pk}").content.decode()

    assert 'value="conv1"' in page and "Static INT8" in page


def test_the_exclusions_go_into_the_recipe_that_raised_the_question(broker, team, bob, confirmed, dataset, recipe):
    source = actions.submit(by=bob, team=team, version=confirmed, dataset=dataset, recipe=recipe)
    job = actions.submit_sensitivity(
        by=bob, team=team, version=confirmed, dataset=dataset, step=recipe.steps[1], copy_of=source
    )
    job.found = {"sensitivity": found().model_dump(mode="json")}

    better = harmed.recipe_without(job)

    assert [one.technique for one in better.steps] == ["magnitude-pruning", "static-int8"]
    assert better.steps[1].excluded == ("conv1",) and better.steps[0] == recipe.steps[0]


def test_a_technique_that_cannot_be_taken_apart_is_refused(team, bob, vera, confirmed, dataset):
    wanted = {"team": team, "version": confirmed, "dataset": dataset}

    with pytest.raises(Invalid):
        actions.submit_sensitivity(by=bob, step=step({"technique": "tidy"}), **wanted)
    with pytest.raises(NotAllowed):
        actions.submit_sensitivity(by=vera, step=step(STATIC), **wanted)


def test_a_person_asks_from_the_model_and_from_a_jobs_step(client, bob, broker, team, confirmed, dataset, recipe):
    client.force_login(bob)
    source = actions.submit(by=bob, team=team, version=confirmed, dataset=dataset, recipe=recipe)

    page = client.get(f"{ASK}?from={source.pk}&step=0").content.decode()
    answer = client.post(
        ASK,
        {
            "technique": "magnitude-pruning", "step-sparsity": "50", "version": str(confirmed.pk),
            "dataset": str(dataset.pk), "device": "host-1t", "from": str(source.pk), "step": "0",
        },
    )  # fmt: skip

    job = Job.objects.filter(kind=Kind.SENSITIVITY).get()
    assert f"Taken from job #{source.number}" in page and "Magnitude pruning" in page
    assert answer.status_code == 302 and answer.url == job.get_absolute_url()
    assert job.copy_of == source and job.recipe_value.steps[0].sparsity == 0.5


def test_the_api_asks_and_answers_the_same(client, bob, answered, confirmed, dataset):
    client.force_login(bob)
    body = {"model_version": str(confirmed.pk), "dataset": str(dataset.pk), "step": STATIC}

    made = client.post("/api/v1/sensitivity", body, content_type="application/json")
    read = client.get(f"/api/v1/jobs/{answered.pk}")

    assert made.status_code == 201 and made.json()["kind"] == "sensitivity"
    assert read.json()["sensitivity"]["excluded"] == ["conv1"]


def test_it_runs_again_as_it_was_asked(answered, bob):
    again = actions.run_again(job=answered, by=bob)

    assert again.kind == Kind.SENSITIVITY and again.recipe == answered.recipe


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"excluded": ()}, "Nothing to leave out, though one layer alone loses more than noise"),
        ({"excluded": (), "layers": found().layers[2:]}, "No layer alone loses more than noise"),
    ],
)
def test_without_exclusions_it_says_so(changes, title):
    assert harmed.title(found(**changes)) == title


def test_the_page_is_of_the_team_alone(client, charlie, answered):
    client.force_login(charlie)

    assert client.get(reverse("jobs:detail", args=[answered.pk])).status_code == 404
