"""What may be asked of jobs: who, when, and what is said otherwise."""

import pytest
from django.utils import timezone

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import HubError, Invalid, NotAllowed, WrongState
from compressionhub.fleet.valkey import waiting_tasks
from compressionhub.jobs import actions, tickets
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import Job, JobEvent, SavedRecipe
from compressionhub.jobs.states import ENDED, MOVES, Kind, State, check_move
from compressionhub.library.models import State as FileState
from compressionhub.library.signals import file_arrived, trial_wanted
from workers.errors import YoursToFix
from workers.facts import Role
from workers.recipe import from_value
from workers.ticket import Limits, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_submitted_job_is_queued_with_its_ticket(broker, submit, bob):
    job = submit(seed=7)

    assert (job.state, job.number, job.kind, job.seed, job.submitted_by) == ("queued", 1, "compress", 7, bob)
    assert [(step.index, step.technique) for step in job.steps.all()] == [
        (0, "magnitude-pruning"), (1, "static-int8"), (2, "evaluate"),
    ]  # fmt: skip
    assert list(waiting_tasks(job.queue)) == [f"{job.pk}:1"]
    assert JobEvent.objects.get(job=job).type == "queued"
    assert AuditEntry.objects.get(verb="job.submit").by == bob


def test_the_ticket_in_the_queue_is_one_a_worker_understands(broker, job, confirmed, dataset):
    import base64
    import json

    _, raw = next(iter(waiting_tasks(job.queue).values()))
    args, _, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))

    ticket = Ticket.model_validate(args[0])
    assert (ticket.job, ticket.attempt, ticket.kind) == (str(job.pk), 1, "compress")
    assert (ticket.model, ticket.data) == (confirmed.blob, dataset.blob)
    assert ticket.contract == confirmed.contract
    assert [step.technique for step in ticket.recipe.steps] == ["magnitude-pruning", "static-int8"]


def test_numbers_rise_by_one_in_each_team(broker, submit):
    assert [submit().number for _ in range(3)] == [1, 2, 3]


def test_a_viewer_may_not_submit(broker, submit, vera):
    with pytest.raises(NotAllowed):
        submit(by=vera)


def test_a_stranger_may_not_submit_for_the_team(broker, submit, charlie):
    with pytest.raises(NotAllowed):
        submit(by=charlie)


def test_a_model_of_another_team_is_refused(broker, submit, charlie, other_team):
    with pytest.raises(Invalid) as caught:
        submit(by=charlie, team=other_team)

    assert caught.value.code == "job.foreign-input"


def test_a_contract_must_be_confirmed_first(broker, submit, version):
    version.contract_confirmed_at = None
    version.save()

    with pytest.raises(WrongState) as caught:
        submit(version=version)

    assert caught.value.code == "job.contract-not-confirmed"


@pytest.mark.parametrize("which", ["confirmed", "dataset"])
def test_a_file_that_is_not_verified_is_refused(broker, submit, which, request):
    item = request.getfixturevalue(which)
    item.state = FileState.VERIFYING
    item.save()

    with pytest.raises(WrongState):
        submit(**{"version" if which == "confirmed" else which: item})


def _with(dataset, facts, **changes):
    dataset.facts = facts.model_copy(update=changes)
    dataset.save()
    return dataset


def test_calibration_rows_that_are_test_rows_are_refused(broker, submit, dataset, dataset_facts):
    shared = _with(dataset, dataset_facts, overlaps={Role.CALIBRATION: 3})

    with pytest.raises(Invalid) as caught:
        submit(dataset=shared)

    assert caught.value.code == "job.calibration-overlaps-test"
    assert "3" in caught.value.message


def test_the_same_rows_do_not_matter_to_a_recipe_that_needs_no_calibration(broker, submit, dataset, dataset_facts):
    shared = _with(dataset, dataset_facts, overlaps={Role.CALIBRATION: 3})

    assert submit(dataset=shared, recipe=from_value([{"technique": "fp16"}])).state == "queued"


def test_a_dataset_without_test_rows_is_refused(broker, submit, dataset, dataset_facts):
    roles = {role: facts for role, facts in dataset_facts.roles.items() if role is not Role.TEST}

    with pytest.raises(Invalid) as caught:
        submit(dataset=_with(dataset, dataset_facts, roles=roles))

    assert caught.value.code == "job.no-test-data"


def test_a_recipe_whose_needs_are_unmet_is_refused(broker, submit, dataset, dataset_facts):
    roles = {role: facts for role, facts in dataset_facts.roles.items() if role is not Role.CALIBRATION}

    with pytest.raises((YoursToFix, HubError)):
        submit(dataset=_with(dataset, dataset_facts, roles=roles))


def test_a_refused_submission_leaves_nothing_behind(broker, submit, vera):
    with pytest.raises(NotAllowed):
        submit(by=vera)

    assert Job.objects.count() == 0
    assert waiting_tasks("cpu") == {}


def test_a_job_is_kept_when_the_broker_is_away(broker, submit, monkeypatch):
    from kombu.exceptions import OperationalError

    def away(*args, **kwargs):
        raise OperationalError("no broker")

    monkeypatch.setattr("compressionhub.jobs.tickets.send_ticket", away)

    assert submit().state == "queued"


def test_cancelling_is_for_those_who_may_and_for_jobs_that_live(broker, job, vera, bob):
    with pytest.raises(NotAllowed):
        actions.cancel(job=job, by=vera)

    assert actions.cancel(job=job, by=bob).state == "cancelling"
    with pytest.raises(WrongState):
        actions.cancel(job=job, by=bob)


def test_a_failed_job_is_queued_again_and_keeps_its_finished_steps(broker, job, bob):
    job.steps.filter(index=0).update(state="done")
    job.steps.filter(index=1).update(state="failed")
    Job.objects.update(state=State.FAILED, run="r", node="n", lost_attempts=3, finished_at=timezone.now())

    again = actions.retry(job=job, by=bob)

    assert (again.state, again.attempt, again.lost_attempts, again.run) == ("queued", 2, 0, "")
    assert list(job.steps.values_list("state", flat=True)) == ["done", "waiting", "waiting"]
    assert f"{job.pk}:2" in waiting_tasks(job.queue)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.SUCCEEDED])
def test_only_failed_and_cancelled_jobs_are_retried(broker, job, bob, state):
    Job.objects.update(state=state)

    with pytest.raises(WrongState):
        actions.retry(job=job, by=bob)


def test_running_again_makes_a_new_job_of_the_same_kind(broker, submit, bob):
    first = submit(seed=3, gate=Gate(max_drop_points=0.2, strict=True))

    second = actions.run_again(job=first, by=bob)

    assert (second.number, second.copy_of, second.seed) == (2, first, 3)
    assert second.recipe == first.recipe
    assert second.gate_value == Gate(max_drop_points=0.2, strict=True)


def test_a_recipe_is_saved_once_per_name(team, bob, recipe):
    actions.save_recipe(team=team, name="  mine ", recipe=recipe, by=bob)
    actions.save_recipe(team=team, name="mine", recipe=from_value([{"technique": "fp16"}]), by=bob)

    saved = SavedRecipe.objects.get()
    assert saved.name == "mine"
    assert saved.value.steps[0].technique == "fp16"


def test_a_recipe_without_a_name_is_refused(team, bob, recipe):
    with pytest.raises(Invalid):
        actions.save_recipe(team=team, name="  ", recipe=recipe, by=bob)


def test_a_file_that_arrives_is_inspected_before_other_jobs(broker, submit, version, dataset):
    submit()
    file_arrived.send(type(dataset), instance=dataset)
    file_arrived.send(type(version), instance=version)

    kinds = Job.objects.order_by("priority", "queued_at").values_list("kind", flat=True)

    assert list(kinds) == [Kind.INSPECT, Kind.INSPECT, Kind.COMPRESS]
    assert len(waiting_tasks("cpu")) == 3


def test_a_trial_is_queued_when_the_library_asks(broker, version, dataset, bob):
    trial_wanted.send(type(version), instance=version, dataset=dataset, by=bob)

    job = Job.objects.get()
    assert (job.kind, job.model_version, job.dataset) == (Kind.TRY, version, dataset)


def test_nothing_leads_out_of_success_and_every_state_can_be_left_or_is_final():
    assert MOVES[State.SUCCEEDED] == frozenset()
    assert set(MOVES) == set(State)
    assert all(MOVES[state] for state in set(State) - ENDED)


def test_a_move_that_the_table_does_not_know_is_refused():
    with pytest.raises(WrongState):
        check_move(State.SUCCEEDED, State.RUNNING)


def test_looking_into_a_file_nobody_knows_yet_holds_a_worker_for_minutes_and_not_for_hours():
    assert tickets.limits(Kind.INSPECT).wall_seconds <= 30 * 60
    assert tickets.limits(Kind.TRY).wall_seconds <= 15 * 60
    assert tickets.limits(Kind.COMPRESS) == Limits()
