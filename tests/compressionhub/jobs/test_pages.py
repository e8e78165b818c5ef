"""The pages of jobs as people see them: the list, one job in every state, and the New job page."""

import pytest
from django.urls import reverse

from compressionhub.jobs.models import Job, SavedRecipe
from tests.compressionhub.jobs.conftest import changes, relay_all, report, story
from workers import events
from workers.errors import Problem
from workers.recipe import techniques

NEW = "/jobs/new/"


@pytest.fixture
def bob_in(client, bob):
    client.force_login(bob)
    return client


def tell(job, worker, relay, told):
    """Let a worker say these events, and the relay write them down."""
    worker.beat()
    worker.say(job, events.Started(node="node-a", threads=1))
    for event in told:
        worker.say(job, event)
    relay_all(relay)


def text_of(response) -> str:
    return response.content.decode()


def test_the_list_says_what_to_do_when_nothing_has_run(bob_in, team):
    assert "Nothing has run yet" in text_of(bob_in.get("/jobs/"))


def test_the_list_shows_a_job_with_its_recipe_and_state(bob_in, job):
    page = text_of(bob_in.get("/jobs/"))

    assert f"#{job.number} digits-cnn v1" in page
    assert "Magnitude pruning" in page and "queued" in page


def test_a_filter_that_leaves_nothing_offers_the_way_back(bob_in, job):
    assert "Clear filters" in text_of(bob_in.get("/jobs/?state=failed"))


def test_a_queued_job_says_its_place_and_can_be_cancelled(bob_in, job):
    page = text_of(bob_in.get(job.get_absolute_url()))

    assert "Next in the queue" in page
    assert "Cancel job" in page and "data-confirm=" in page


def test_a_viewer_sees_the_job_but_no_buttons_that_change_it(client, vera, job):
    client.force_login(vera)

    page = text_of(client.get(job.get_absolute_url()))

    assert "Next in the queue" in page
    assert "Cancel job" not in page


@pytest.mark.parametrize("name", ["detail", "cancel", "retry", "again", "report", "log"])
def test_a_stranger_finds_no_page_of_the_job(client, charlie, job, name):
    client.force_login(charlie)
    url = reverse(f"jobs:{name}", args=[job.pk])

    answer = client.post(url) if name in ("cancel", "retry", "again") else client.get(url)

    assert answer.status_code == 404


def test_an_ended_job_shows_what_changed(bob_in, job, worker, relay):
    judged = events.Judged(report=report().model_copy(update={"changes": changes()}))
    told = [judged if event.type == "judged" else event for event in story()]
    tell(job, worker, relay, [*told, events.Finished(outcome="succeeded")])

    page = text_of(bob_in.get(job.get_absolute_url()))

    assert "What changed" in page and "99.00 %" in page
    assert "now wrong" in page and "1412" in page


def test_a_running_job_shows_steps_curves_checkpoints_resources_and_log(bob_in, job, worker, relay):
    told = [event for event in story() if event.type not in ("judged", "artifact_stored")]
    tell(job, worker, relay, [*told, events.Log(text="<b>bold</b> line", step=0)])

    page = text_of(bob_in.get(job.get_absolute_url()))

    for part in ("head", "progress", "steps", "checkpoints", "curves", "resources", "outcome"):
        assert page.count(f'id="job-{part}"') == 1, part
    assert "loss: 3 points, last 0.3333" in page
    assert "&lt;b&gt;bold&lt;/b&gt; line" in page
    assert 'data-chart="checkpoint-chart-option"' in page


def test_a_finished_job_says_verdict_gate_and_figures(bob_in, job, worker, relay):
    tell(job, worker, relay, [*story(), events.Finished(outcome="succeeded", peak_memory_bytes=1)])

    page = text_of(bob_in.get(job.get_absolute_url()))

    assert "succeeded" in page and "Same answers after reload" in page
    assert "Faster: 2.00× at batch 1, and 3.9× smaller" in page
    assert "within noise (397 test samples)" in page
    assert bob_in.get(reverse("jobs:report", args=[job.pk])).json() == report().model_dump(mode="json")


def test_a_failed_job_says_what_helps_and_offers_a_retry(bob_in, job, worker, relay):
    problem = Problem(
        fault="yours", code="engine.out-of-memory", message="Step 2 needed over 8 GiB.", hint="Use fewer samples."
    )
    tell(job, worker, relay, [*story()[:6], events.Finished(outcome="failed", problem=problem)])

    page = text_of(bob_in.get(job.get_absolute_url()))

    assert "Step 2 needed over 8 GiB." in page and "Use fewer samples." in page
    assert reverse("jobs:retry", args=[job.pk]) in page


def test_htmx_gets_the_part_that_changes(bob_in, job):
    part = text_of(bob_in.get(job.get_absolute_url(), headers={"HX-Request": "true"})).strip()

    assert part.startswith('<div class="stack" id="job"')


def test_cancelling_moves_the_job_and_comes_back_to_its_page(bob_in, job):
    answer = bob_in.post(reverse("jobs:cancel", args=[job.pk]))

    job.refresh_from_db()
    assert (answer.status_code, job.state) == (302, "cancelling")


# --- New job


def form(version, dataset, *steps: dict, **more) -> dict:
    sent = {
        "version": str(version.pk),
        "dataset": str(dataset.pk),
        "device": "host-1t",
        "seed": "7",
        "gate-max_drop_points": "1.5",
    }
    sent["step"] = [f"s{place}" for place in range(1, len(steps) + 1)]
    for place, values in enumerate(steps, 1):
        sent.update({f"s{place}-{name}": value for name, value in values.items()})
    return {**sent, **more}


PRUNE = {"technique": "magnitude-pruning", "sparsity": "45", "scope": "layer", "open": "1"}
INT8 = {"technique": "static-int8", "samples": "64", "calibration": "entropy", "per_channel": "on"}


def test_the_page_chooses_model_and_data_and_offers_three_recipes(bob_in, confirmed, dataset):
    page = text_of(bob_in.get(NEW))

    assert "digits-cnn v1" in page and "input matches 1 × 8 × 8" in page
    for title in ("Smallest file, no retraining", "Fastest on this device", "Keep every tenth of a point"):
        assert title in page


def test_a_viewer_may_not_compose_a_job(client, vera, team):
    client.force_login(vera)

    assert client.get(NEW).status_code == 403


def test_a_starter_fills_the_recipe(bob_in, confirmed, dataset):
    page = text_of(bob_in.post(NEW, form(confirmed, dataset, do="recipe:careful")))

    assert page.count('class="recipe"') == 2
    assert "FP16" in page


def test_steps_are_added_moved_and_removed_and_keep_what_was_typed(bob_in, confirmed, dataset):
    added = bob_in.post(NEW, form(confirmed, dataset, PRUNE, do="add:magnitude-pruning")).context["draft"]
    moved = bob_in.post(NEW, form(confirmed, dataset, PRUNE, INT8, do="down:s1")).context["draft"]
    removed = bob_in.post(NEW, form(confirmed, dataset, PRUNE, INT8, do="remove:s1")).context["draft"]

    assert [step.technique.sparsity for step in added.steps] == [
        0.45,
        techniques()["magnitude-pruning"].model_validate({}).sparsity,
    ]
    assert [step.token for step in moved.steps] == ["s2", "s1"]
    assert [step.technique.samples for step in removed.steps] == [64]


def test_the_order_of_the_page_is_the_order_of_the_recipe(bob_in, confirmed, dataset):
    sent = form(confirmed, dataset, PRUNE, INT8)
    sent["step"] = ["s2", "s1"]

    draft = bob_in.post(NEW, sent).context["draft"]

    assert [step.kind.slug() for step in draft.steps] == ["static-int8", "magnitude-pruning"]


def test_a_step_that_breaks_the_chain_says_so_on_itself(bob_in, confirmed, dataset):
    facts = dataset.facts.model_copy(
        update={"roles": {role: one for role, one in dataset.facts.roles.items() if role != "calibration"}}
    )
    dataset.facts = facts
    dataset.save()

    answer = bob_in.post(NEW, form(confirmed, dataset, PRUNE, INT8))

    assert list(answer.context["broken"]) == ["s2"]
    assert "calibration data" in text_of(answer)


def test_a_fault_stands_beside_its_field_and_stops_the_submission(bob_in, confirmed, dataset):
    answer = bob_in.post(NEW, form(confirmed, dataset, {**PRUNE, "sparsity": "130"}, do="submit"))

    assert "Must be below 100." in text_of(answer) and "Not submitted yet." in text_of(answer)
    assert not Job.objects.exists()


def test_preflight_says_time_memory_and_size(bob_in, confirmed, dataset):
    answer = bob_in.post(NEW, form(confirmed, dataset, INT8))

    outlook = answer.context["outlook"]
    assert outlook.preflight.seconds.low < outlook.preflight.seconds.value < outlook.preflight.seconds.high
    assert "Memory" in text_of(answer) and "baseline 1.4 MB" in text_of(answer)


def test_submitting_queues_the_recipe_as_shown(bob_in, broker, confirmed, dataset, django_capture_on_commit_callbacks):
    sent = form(confirmed, dataset, PRUNE, INT8, do="submit", **{"gate-strict": "on"})

    answer = bob_in.post(NEW, sent, headers={"HX-Request": "true"})

    job = Job.objects.get()
    first, second = job.recipe_value.steps
    assert answer["HX-Redirect"] == job.get_absolute_url()
    assert (first.sparsity, first.scope, second.samples, second.calibration) == (0.45, "layer", 64, "entropy")
    assert (job.seed, job.gate_value.max_drop_points, job.gate_value.strict) == (7, 1.5, True)


def test_an_unconfirmed_contract_is_said_before_submitting(bob_in, version, dataset):
    page = text_of(bob_in.post(NEW, form(version, dataset, INT8)))

    assert "input contract not confirmed yet" in page
    assert "nobody has confirmed" in page


def test_a_recipe_is_loaded_from_text_and_a_bad_one_says_what_is_wrong(bob_in, confirmed, dataset):
    good = bob_in.post(
        NEW, form(confirmed, dataset, do="load", recipe_text="steps: [{technique: fp16}, {technique: tidy}]")
    )
    bad = bob_in.post(NEW, form(confirmed, dataset, do="load", recipe_text="steps: [{technique: magic}]"))

    assert [step.kind.slug() for step in good.context["draft"].steps] == ["fp16", "tidy"]
    assert "magic" in text_of(bad)


def test_a_recipe_is_saved_and_used_again(bob_in, confirmed, dataset):
    bob_in.post(NEW, form(confirmed, dataset, PRUNE, do="save", name="thirty"))
    saved = SavedRecipe.objects.get()

    draft = bob_in.post(NEW, form(confirmed, dataset, do=f"recipe:{saved.pk}")).context["draft"]

    assert [step.technique.sparsity for step in draft.steps] == [0.45]


def test_changing_the_recipe_of_a_job_starts_from_all_of_it(bob_in, job):
    draft = bob_in.get(f"{NEW}?from={job.pk}").context["draft"]

    assert draft.recipe.steps == job.recipe_value.steps
    assert (draft.version, draft.dataset) == (job.model_version, job.dataset)


def test_another_teams_model_cannot_be_chosen(client, charlie, confirmed, dataset):
    client.force_login(charlie)

    draft = client.post(NEW, form(confirmed, dataset, PRUNE)).context["draft"]

    assert (draft.version, draft.dataset) == (None, None)


def test_a_recipe_sent_from_another_page_meets_the_usual_model_and_data(bob_in, confirmed, dataset):
    draft = bob_in.post(NEW, {"do": "load", "recipe_text": "steps: [{technique: tidy}]"}).context["draft"]

    assert [step.kind.slug() for step in draft.steps] == ["tidy"]
    assert (draft.version, draft.dataset) == (confirmed, dataset)
