"""Who counts as lost, and when: judged by the stream's clock alone."""

from datetime import timedelta

import pytest

from compressionhub.fleet.valkey import waiting_tasks
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job, JobEvent
from compressionhub.jobs.relay.watchdog import Watchdog
from tests.compressionhub.jobs.conftest import Worker, relay_all
from workers import events
from workers.events import STREAM, stop_job_key, stop_run_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock(relay):
    """Now by Valkey's clock, in milliseconds, plus some seconds."""
    start = relay._stream.now_ms()
    return lambda seconds: start + round(seconds * 1000)


@pytest.fixture
def watchdog(clock) -> Watchdog:
    """One that has trusted silence for a minute."""
    made = Watchdog()
    made.tick(clock(-60))
    return made


@pytest.fixture
def running(relay, worker, job) -> Job:
    """A job that its node has just started and named in a beat."""
    worker.beat()
    worker.say(job, events.Started(node="node-a", threads=1))
    worker.held = [(str(job.pk), 1, "run-1")]
    worker.beat()
    relay_all(relay)
    return Job.objects.get(pk=job.pk)


def test_a_job_whose_node_beats_is_left_alone(watchdog, clock, running):
    watchdog.tick(clock(5))

    running.refresh_from_db()
    assert running.state == "running"


def test_a_job_whose_node_is_silent_for_thirty_seconds_is_queued_again(broker, watchdog, clock, running):
    watchdog.tick(clock(29))
    before = Job.objects.get().state
    watchdog.tick(clock(31))

    running.refresh_from_db()
    assert before == "running"
    assert (running.state, running.attempt, running.lost_attempts) == ("queued", 2, 1)
    assert f"{running.pk}:2" in waiting_tasks("cpu")
    assert broker.get(stop_run_key("run-1"))
    assert "silent" in JobEvent.objects.get(type="attempt_lost").payload["reason"]


def test_nobody_is_lost_before_one_more_beat_could_arrive_after_an_absence(watchdog, clock, running):
    watchdog.distrust()

    watchdog.tick(clock(100))
    watchdog.tick(clock(109))
    before = Job.objects.get().state
    watchdog.tick(clock(113))

    assert before == "running"
    assert Job.objects.get().state == "queued"


def test_a_node_that_was_started_anew_without_the_run_has_lost_it(broker, relay, watchdog, clock, running):
    Worker(broker, start="start-2").beat()
    relay_all(relay)

    watchdog.tick(clock(1))

    running.refresh_from_db()
    assert (running.state, running.attempt) == ("queued", 2)


def test_a_run_that_two_beats_no_longer_name_is_lost_and_one_is_not_enough(relay, worker, watchdog, clock, running):
    Job.objects.update(started_at=running.started_at - timedelta(seconds=15))
    worker.held = []
    worker.beat()
    relay_all(relay)
    watchdog.tick(clock(1))
    after_one = Job.objects.get().state
    worker.beat()
    relay_all(relay)

    watchdog.tick(clock(2))

    assert after_one == "running"
    assert Job.objects.get().state == "queued"


def test_a_node_that_leaves_gives_its_job_back_without_counting(relay, worker, watchdog, clock, running):
    worker.beat(leaving=True)
    relay_all(relay)

    watchdog.tick(clock(1))

    running.refresh_from_db()
    assert (running.state, running.attempt, running.lost_attempts) == ("queued", 2, 0)


def test_a_ticket_that_got_lost_is_sent_again_after_thirty_seconds(broker, watchdog, clock, job):
    broker.delete("cpu", *broker.keys("cpu*"))

    watchdog.tick(clock(0))
    watchdog.tick(clock(29))
    before = set(waiting_tasks("cpu"))
    watchdog.tick(clock(35))

    assert before == set()
    assert f"{job.pk}:1" in waiting_tasks("cpu")


def test_a_ticket_that_waits_in_its_queue_is_not_sent_twice(broker, watchdog, clock, job):
    for seconds in range(0, 120, 10):
        watchdog.tick(clock(seconds))

    assert sum(broker.llen(key) for key in broker.keys("cpu*")) == 1


def test_a_job_cancelled_in_the_queue_ends_without_a_worker(broker, watchdog, clock, job, bob):
    actions.cancel(job=job, by=bob)

    changed = watchdog.tick(clock(0))

    job.refresh_from_db()
    assert job.state == "cancelled"
    assert waiting_tasks("cpu") == {}
    assert [item.pk for item in changed] == [job.pk]


def test_the_wish_to_stop_is_repeated_until_it_is_answered(broker, relay, worker, watchdog, clock, running, bob):
    actions.cancel(job=running, by=bob)
    first = broker.get(stop_job_key(str(running.pk), 1))
    broker.flushdb()
    watchdog.tick(clock(1))
    repeated = broker.get(stop_job_key(str(running.pk), 1))
    relay._stream.open()
    worker.say(running, events.Finished(outcome="cancelled"))
    relay_all(relay)
    broker.delete(stop_job_key(str(running.pk), 1))

    watchdog.tick(clock(2))

    assert first == repeated == "cancel"
    assert Job.objects.get().state == "cancelled"
    assert broker.get(stop_job_key(str(running.pk), 1)) is None


def test_a_cancelled_job_whose_node_dies_is_cancelled_and_not_queued_again(watchdog, clock, running, bob):
    actions.cancel(job=running, by=bob)

    watchdog.tick(clock(31))

    running.refresh_from_db()
    assert running.state == "cancelled"


def test_a_worker_that_takes_a_job_cancelled_meanwhile_is_stopped(broker, relay, worker, watchdog, clock, job, bob):
    actions.cancel(job=job, by=bob)
    watchdog.tick(clock(0))
    worker.say(job, events.Started(node="node-a", threads=1), run="late")

    relay_all(relay)

    assert Job.objects.get().state == "cancelled"
    assert broker.get(stop_run_key("late"))
    assert broker.xlen(STREAM) == 0
