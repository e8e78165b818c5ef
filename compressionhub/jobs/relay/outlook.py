"""How far a job is and how long it still takes, from its steps' forecasts and its own pace so far."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from compressionhub.jobs.models import Job, Step
from compressionhub.jobs.states import StepState
from workers.facts import Span

PACE_LIMITS = (0.05, 50.0)
LEFT_PER_WORKED = 4  # work left beside which work done counts half
TRUSTED_SHARE = 0.1
SPREAD_OF_TRUSTED = 0.2


def estimate(job: Job, steps: Collection[Step], now: datetime) -> None:
    """Write the job's ``progress`` and its seconds left."""
    whole = sum(step.forecast_seconds for step in steps)
    if not whole or job.started_at is None:
        return
    job.progress = sum(step.forecast_seconds * step.share for step in steps) / whole
    pace = _pace(steps, (now - job.started_at).total_seconds())
    left = [_left(step, pace, now) for step in steps if not step.is_over]
    job.eta_seconds = sum(span.value for span in left)
    job.eta_low_seconds = sum(span.low for span in left)
    job.eta_high_seconds = sum(span.high for span in left)


def _pace(steps: Collection[Step], elapsed: float) -> float:
    """Seconds needed per second forecast, by the steps that really ran; 1 until there is something to go by.

    What a small part of the work took says little of the large rest: a step of a second that takes a minute, because
    it loads libraries or the baseline is measured first, does not make hours of the evaluation. So the pace counts in
    full, as a power, only once little is left.
    """
    worked = sum(step.forecast_seconds * step.share for step in steps if step.state != StepState.CACHED)
    if worked < 0.5 or elapsed < 1.0:
        return 1.0
    left = sum(step.forecast_seconds * (1 - step.share) for step in steps if not step.is_over)
    seen = min(max(elapsed / worked, PACE_LIMITS[0]), PACE_LIMITS[1])
    return float(seen ** (worked / (worked + left / LEFT_PER_WORKED)))


def _left(step: Step, pace: float, now: datetime) -> Span:
    """A step's remaining seconds: by its own progress once that says something, else by its forecast."""
    share = step.share
    if share >= TRUSTED_SHARE and step.started_at is not None:
        value = (now - step.started_at).total_seconds() * (1 - share) / share
        return Span(value=value, low=value * (1 - SPREAD_OF_TRUSTED), high=value * (1 + SPREAD_OF_TRUSTED))
    scale = pace * (1 - share)
    return Span(
        value=step.forecast_seconds * scale,
        low=step.forecast_low_seconds * scale,
        high=step.forecast_high_seconds * scale,
    )
