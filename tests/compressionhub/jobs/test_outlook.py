"""Progress and time left, against numbers worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from compressionhub.jobs.models import Job, Step
from compressionhub.jobs.relay.outlook import estimate
from compressionhub.jobs.states import StepState

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def step(index, state, forecast, *, done=0, total=0, started=0.0):
    return Step(
        index=index,
        technique="fp16",
        state=state,
        done=done,
        total=total,
        forecast_seconds=forecast,
        forecast_low_seconds=forecast / 2,
        forecast_high_seconds=forecast * 2,
        started_at=START + timedelta(seconds=started),
    )


def after(seconds, *steps):
    job = Job(started_at=START)
    estimate(job, steps, START + timedelta(seconds=seconds))
    return job


def test_before_anything_ran_the_forecast_counts():
    job = after(0, step(0, StepState.WAITING, 10), step(1, StepState.WAITING, 30))

    assert job.progress == 0
    assert (job.eta_low_seconds, job.eta_seconds, job.eta_high_seconds) == (20, 40, 80)


def test_steps_weigh_what_they_were_expected_to_take():
    job = after(10, step(0, StepState.DONE, 10), step(1, StepState.WAITING, 30))

    assert job.progress == pytest.approx(0.25)


def test_a_job_that_is_twice_as_slow_as_forecast_takes_twice_as_long_once_most_is_done():
    job = after(180, step(0, StepState.DONE, 90), step(1, StepState.WAITING, 10))

    assert job.eta_seconds == pytest.approx(20, rel=0.03)


def test_the_pace_counts_half_where_four_times_as_much_is_left():
    job = after(40, step(0, StepState.DONE, 10), step(1, StepState.WAITING, 40))

    assert job.eta_seconds == pytest.approx(40 * 2)  # four times as slow, and the root of four is two


def test_a_slow_second_does_not_make_hours_of_the_rest():
    job = after(150, step(0, StepState.DONE, 1), step(1, StepState.WAITING, 200))

    assert job.eta_seconds < 220


def test_a_running_step_is_judged_by_its_own_progress():
    job = after(14, step(0, StepState.DONE, 10), step(1, StepState.RUNNING, 100, done=1, total=4, started=10))

    assert job.eta_seconds == pytest.approx(12)  # a quarter took 4 s
    assert (job.eta_low_seconds, job.eta_high_seconds) == (pytest.approx(9.6), pytest.approx(14.4))


def test_a_step_from_the_cache_says_nothing_about_the_pace():
    job = after(2, step(0, StepState.CACHED, 50), step(1, StepState.WAITING, 30))

    assert job.progress == pytest.approx(50 / 80)
    assert job.eta_seconds == pytest.approx(30)
