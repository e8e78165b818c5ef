"""The queue as people see it, and the limits of what is kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from compressionhub.fleet.models import Node
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job, JobEvent
from compressionhub.jobs.queries import expected_start, queue_position
from compressionhub.jobs.relay.thinning import MOST_ROWS, spread, thin
from tests.compressionhub.jobs.conftest import node_facts

pytestmark = pytest.mark.django_db


@pytest.fixture
def node():
    now = timezone.now()
    facts = node_facts().model_dump(mode="json")
    return Node.objects.create(name="node-a", start="s", facts=facts, first_beat_at=now, last_beat_at=now)


def test_a_job_is_seen_by_its_team_and_by_nobody_else(job, alice, vera, charlie):
    assert list(Job.objects.visible_to(alice)) == [job] == list(Job.objects.visible_to(vera))
    assert list(Job.objects.visible_to(charlie)) == []


def test_positions_in_the_queue_follow_priority_and_time(broker, submit, dataset):
    first, second = submit(), submit()
    urgent = actions.submit_inspection(item=dataset)

    assert [queue_position(item) for item in (urgent, first, second)] == [1, 2, 3]


def test_a_running_job_has_no_position(job):
    job.state = "running"

    assert queue_position(job) is None


def test_without_a_worker_nothing_is_said_about_the_start(job):
    assert expected_start(job, now=timezone.now()) is None


def test_a_free_slot_means_now(job, node):
    assert expected_start(job, now=timezone.now()).value == 0


def test_the_work_before_a_job_is_shared_by_the_slots(broker, submit, node):
    running = submit()
    Job.objects.filter(pk=running.pk).update(
        state="running", run="r", eta_seconds=100, eta_low_seconds=80, eta_high_seconds=120
    )
    ahead, job = submit(), submit()

    span = expected_start(job, now=timezone.now())

    assert span.value == pytest.approx((100 + ahead.preflight_value.seconds.value) / 2)
    assert span.low <= span.value <= span.high


def _events(job, kind, count, start, **payload):
    at = timezone.now()
    JobEvent.objects.bulk_create(
        JobEvent(job=job, position=start + n, attempt=1, run="r", seq=start + n, type=kind, at=at, payload=payload)
        for n in range(count)
    )


def test_progress_is_thinned_and_state_changes_and_measurements_never(job):
    _events(job, "progress", 3000, 10)
    _events(job, "point", 500, 4000)
    _events(job, "step_finished", 20, 5000)
    _events(job, "log", 10, 6000, level="info")

    thin(job)

    rows = JobEvent.objects.filter(job=job)
    assert rows.count() == MOST_ROWS
    assert rows.filter(type="point").count() == 500
    assert rows.filter(type="step_finished").count() == 20
    assert rows.filter(type="log").count() == 10
    assert rows.filter(type="progress").order_by("position").last().position == 3009


def test_a_flood_of_lines_is_thinned_and_its_warnings_stay(job):
    _events(job, "log", 5000, 10, level="info")
    _events(job, "log", 50, 6000, level="warning")

    thin(job)

    rows = JobEvent.objects.filter(job=job)
    assert rows.count() == MOST_ROWS
    assert rows.filter(payload__level="warning").count() == 50


def test_a_job_below_the_limit_is_left_alone(job):
    _events(job, "progress", 100, 10)

    assert thin(job) == 0


def test_spread_is_even_and_keeps_the_last():
    assert spread(range(10), 5) == [1, 3, 5, 7, 9]
    assert spread(range(3), 10) == [0, 1, 2]
    assert spread(range(3), 0) == []


def test_the_list_of_jobs_asks_the_same_number_of_questions_for_one_job_and_for_many(
    broker, submit, django_assert_num_queries
):
    for _ in range(5):
        submit()

    with django_assert_num_queries(2):
        for job in Job.objects.with_progress():
            assert job.model_version.model.name
            assert job.dataset.name
            assert job.submitted_by.username
            assert [step.title for step in job.steps.all()]


def test_expected_start_is_unknown_once_the_node_is_silent(job, node):
    assert expected_start(job, now=timezone.now() + timedelta(seconds=31)) is None
