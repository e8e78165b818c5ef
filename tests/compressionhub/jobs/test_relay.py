"""The relay over a real stream: in any order, twice, too late, from the wrong place, an event is a row exactly once."""

import random

import pytest

from compressionhub.fleet.models import Node, RelayState, SetAsideEvent
from compressionhub.jobs.models import Artifact, Job, JobEvent, Measurement, Stage
from compressionhub.jobs.relay.loop import Relay
from tests.compressionhub.jobs.conftest import Worker, node_facts, relay_all, story
from workers import events
from workers.errors import Problem
from workers.events import STREAM, stop_run_key

pytestmark = pytest.mark.django_db(transaction=True)


def whole(worker: Worker, job: Job, **where):
    """The envelopes of a job that goes well, in order."""
    told = [
        events.Started(node=worker.name, threads=1),
        *story(),
        events.Finished(outcome="succeeded", peak_memory_bytes=30),
    ]
    return [worker.stamp(job, event, **where) for event in told]


def positions(job: Job) -> list[int]:
    return list(JobEvent.objects.filter(job=job).order_by("position").values_list("position", flat=True))


def test_a_job_that_goes_well_ends_with_its_rows(relay, worker, job):
    worker.beat()
    for envelope in whole(worker, job):
        worker.put(envelope)

    relay_all(relay)

    job.refresh_from_db()
    assert (job.state, job.progress, job.node, job.run) == ("succeeded", 1.0, "node-a", "run-1")
    assert [step.state for step in job.steps.all()] == ["done", "done", "done"]
    assert job.report_value.verdict.word == "faster"
    assert job.gate_result.passed
    assert Artifact.objects.get(job=job).key == f"sha256/cc/{'c' * 64}"
    assert job.baseline_value.metrics["accuracy"].value == 0.98
    assert job.peak_memory_bytes == 30
    assert job.started_at <= job.finished_at


def test_positions_rise_by_one_over_all_events(relay, worker, job):
    for envelope in whole(worker, job):
        worker.put(envelope)

    relay_all(relay)

    job.refresh_from_db()
    assert positions(job) == list(range(1, len(story()) + 4))  # queued, started, the story, finished
    assert job.position == len(story()) + 3


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_any_number_of_repeats_give_the_same_rows(relay, worker, job, seed):
    first, *middle, last = whole(worker, job)
    shuffled = middle * 3
    random.Random(seed).shuffle(shuffled)
    for envelope in [first, first, *shuffled, last, *middle, last]:
        worker.put(envelope)

    relay_all(relay)

    job.refresh_from_db()
    rows = JobEvent.objects.filter(job=job, seq__isnull=False)
    assert sorted(rows.values_list("seq", flat=True)) == list(range(1, len(middle) + 3))
    assert job.state == "succeeded"
    assert [step.state for step in job.steps.all()] == ["done", "done", "done"]
    assert Measurement.objects.filter(job=job, stage=Stage.STEP, name="accuracy").count() == 2
    assert job.report is not None
    assert Artifact.objects.filter(job=job).count() == 1


def test_a_relay_killed_between_rows_and_acknowledgement_doubles_nothing(broker, worker, job):
    envelopes = whole(worker, job)
    for envelope in envelopes:
        worker.put(envelope)
    killed = Relay(broker)
    killed._stream.open()
    killed.apply(killed._stream.new(wait_ms=10))  # applied, never acknowledged
    killed._lease.release()

    relay_all(Relay(broker))

    assert positions(job) == list(range(1, len(envelopes) + 2))


def test_a_relay_killed_before_its_rows_loses_nothing(broker, worker, job):
    envelopes = whole(worker, job)
    for envelope in envelopes:
        worker.put(envelope)
    killed = Relay(broker)
    killed._stream.open()
    killed._stream.new(wait_ms=10)  # read, never applied

    relay_all(Relay(broker))

    job.refresh_from_db()
    assert job.state == "succeeded"
    assert positions(job) == list(range(1, len(envelopes) + 2))


def test_only_one_relay_is_active(broker, relay, worker, job):
    relay.round()
    second = Relay(broker)
    second._stopping.set()  # do not wait for the lease

    worker.say(job, events.Started(node="node-a", threads=1))
    second.round()
    waiting = broker.xlen(STREAM)
    relay.round()

    assert waiting == 1
    assert broker.xlen(STREAM) == 0


def test_a_second_run_of_an_attempt_is_ignored_and_stopped(broker, relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1), run="first")
    worker.say(job, events.Started(node="node-a", threads=1), run="second")
    worker.say(job, events.Log(text="me too"), run="second")

    relay_all(relay)

    job.refresh_from_db()
    assert job.run == "first"
    assert not JobEvent.objects.filter(run="second").exists()
    assert broker.get(stop_run_key("second"))
    assert not broker.get(stop_run_key("first"))


def test_a_lost_attempt_is_queued_again_and_its_late_events_fall_away(broker, relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.say(job, events.StepStarted(step=0, technique="magnitude-pruning"))
    worker.say(
        job, events.Finished(outcome="lost", problem=Problem(fault="ours", code="x", message="The child was killed."))
    )
    worker.say(job, events.Log(text="a ghost"))

    relay_all(relay)

    job.refresh_from_db()
    assert (job.state, job.attempt, job.lost_attempts, job.run) == ("queued", 2, 1, "")
    assert job.steps.get(index=0).state == "waiting"
    assert not JobEvent.objects.filter(payload__text="a ghost").exists()
    assert JobEvent.objects.get(type="attempt_lost").payload == {
        "reason": "The child was killed.",
        "lost_attempts": 1,
        "will_retry": True,
    }
    assert f"{job.pk}:2" in tasks(broker)


def tasks(broker) -> set[str]:
    from compressionhub.fleet.valkey import waiting_tasks

    return set(waiting_tasks("cpu"))


def test_the_third_lost_attempt_fails_the_job_with_the_reason(relay, worker, job):
    for attempt in (1, 2, 3):
        worker.say(job, events.Started(node="node-a", threads=1), attempt=attempt, run=f"run-{attempt}")
        gone = Problem(fault="ours", code="x", message=f"Gone for the time {attempt}.")
        worker.say(job, events.Finished(outcome="lost", problem=gone), attempt=attempt, run=f"run-{attempt}")

    relay_all(relay)

    job.refresh_from_db()
    assert job.state == "failed"
    assert "3 times" in job.problem_value.message
    assert "Gone for the time 3." in job.problem_value.message


def test_an_attempt_that_a_deployment_sent_back_does_not_count(relay, worker, job):
    for attempt in (1, 2, 3, 4, 5):
        worker.say(job, events.Started(node="node-a", threads=1), attempt=attempt, run=f"run-{attempt}")
        worker.say(job, events.Finished(outcome="requeued"), attempt=attempt, run=f"run-{attempt}")

    relay_all(relay)

    job.refresh_from_db()
    assert (job.state, job.attempt, job.lost_attempts) == ("queued", 6, 0)


def test_a_node_that_was_not_given_the_job_cannot_speak_for_it(broker, relay, worker, job):
    liar = Worker(broker, "node-b")
    worker.say(job, events.Started(node="node-a", threads=1))
    liar.say(job, events.Finished(outcome="failed"), seq=2)
    worker.say(job, events.Log(text="still here"), seq=3)

    relay_all(relay)

    job.refresh_from_db()
    assert job.state == "running"
    assert list(JobEvent.objects.filter(run="run-1").values_list("type", flat=True)) == ["started", "log"]
    assert "node-b" in SetAsideEvent.objects.get().error


def test_a_node_cannot_take_a_job_of_a_queue_it_does_not_serve(relay, worker, job):
    worker.beat(facts=node_facts(queues=("gpu",)))
    worker.say(job, events.Started(node="node-a", threads=1))

    relay_all(relay)

    job.refresh_from_db()
    assert job.state == "queued"
    assert "does not serve" in SetAsideEvent.objects.get().error


def test_text_that_is_no_event_is_set_aside_and_the_rest_goes_on(broker, relay, worker, job):
    broker.xadd(STREAM, {"body": '{"kind": "beat", "node": 1, "surprise": "a secret"}'})
    broker.xadd(STREAM, {"other": "field"})
    worker.say(job, events.Started(node="node-a", threads=1))

    relay_all(relay)

    job.refresh_from_db()
    assert job.state == "running"
    assert SetAsideEvent.objects.count() == 2
    assert not SetAsideEvent.objects.filter(error__contains="a secret").exists()


def test_an_event_that_fails_three_times_is_set_aside_and_its_job_does_not_wait_for_ever(
    relay, worker, job, monkeypatch
):
    tries = []

    def broken(change):
        tries.append(1)
        raise ZeroDivisionError("no report")

    from compressionhub.jobs.relay import apply

    monkeypatch.setitem(apply.HANDLERS, events.Judged, broken)
    for envelope in whole(worker, job):
        worker.put(envelope)

    relay_all(relay)

    job.refresh_from_db()
    assert len(tries) == 4  # once with the others, then three times alone
    assert SetAsideEvent.objects.get().type == "judged"
    assert job.state == "failed"
    assert job.problem_value.code == "job.event-set-aside"


def test_a_run_of_a_job_that_was_deleted_is_stopped_and_its_events_are_dropped(broker, relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1))
    Job.objects.all().delete()

    relay_all(relay)

    assert SetAsideEvent.objects.count() == 0
    assert broker.get(stop_run_key("run-1"))


def test_a_finish_that_arrives_before_the_stop_wins(relay, worker, job, bob):
    from compressionhub.jobs import actions

    *most, last = whole(worker, job)
    for envelope in most:
        worker.put(envelope)
    relay_all(relay)
    actions.cancel(job=job, by=bob)
    worker.put(last)

    relay_all(relay)

    job.refresh_from_db()
    assert job.state == "succeeded"


def test_success_without_a_report_is_a_failure(relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.say(job, events.Finished(outcome="succeeded"))

    relay_all(relay)

    job.refresh_from_db()
    assert (job.state, job.problem_value.code) == ("failed", "job.no-result")


def test_time_left_shrinks_while_steps_go_on(relay, worker, job):
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.say(job, events.StepStarted(step=0, technique="magnitude-pruning"))
    relay_all(relay)
    before = Job.objects.get(pk=job.pk)
    worker.say(job, events.StepFinished(step=0, technique="magnitude-pruning", seconds=1.0, checkpoint=None))

    relay_all(relay)

    after = Job.objects.get(pk=job.pk)
    assert before.progress < after.progress < 1
    assert after.eta.value < before.eta.value
    assert after.eta.low <= after.eta.value <= after.eta.high


def test_a_step_that_an_attempt_repeats_is_measured_once(relay, worker, job):
    for attempt in (1, 2):
        run = f"run-{attempt}"
        worker.say(job, events.Started(node="node-a", threads=1), attempt=attempt, run=run)
        for event in story()[:9]:
            worker.say(job, event, attempt=attempt, run=run)
        worker.say(job, events.Finished(outcome="lost"), attempt=attempt, run=run)

    relay_all(relay)

    assert Measurement.objects.filter(job=job, stage=Stage.STEP, step=0, name="accuracy").count() == 1
    assert Measurement.objects.filter(job=job, stage=Stage.CURVE, name="loss").count() == 1
    assert Measurement.objects.filter(job=job, stage=Stage.BASELINE, name="accuracy").count() == 1


def test_beats_become_a_node_and_the_relay_says_how_it_is(relay, worker):
    worker.beat()

    relay_all(relay)
    relay._reported = 0.0
    relay._report()

    node = Node.objects.get()
    assert (node.name, node.about.slots, node.start) == ("node-a", 2, "start-1")
    state = RelayState.current()
    assert state.applied == 1
    assert state.delay_ms < 5000
    assert state.holder


def test_hundreds_of_events_a_second_are_applied(relay, worker, job):
    import time

    worker.say(job, events.Started(node="node-a", threads=1))
    for done in range(1000):
        worker.say(job, events.Progress(step=0, done=done, total=1000))
    started = time.perf_counter()

    relay_all(relay)

    assert JobEvent.objects.filter(job=job, type="progress").count() == 1000
    assert 1000 / (time.perf_counter() - started) > 300
