"""What an open job page is made of, so that first paint, htmx refresh and socket push show the same HTML.

``jobs/live.html`` holds one ``{% partialdef NAME %}`` per name in ``PARTS``; each renders one element
with the id ``job-NAME``. The detail page includes them at first paint, the socket sends them again.
They are rendered for everybody who watches, so they get ``context(job)`` and no person: buttons that
depend on a role belong into the page outside of them (refresh those by htmx when ``state`` changes).
Log lines are not HTML: they arrive as rows and are drawn by the page's module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import timezone

from compressionhub.jobs.models import Job, JobEvent, Measurement, Stage
from compressionhub.jobs.queries import expected_start, queue_position

TEMPLATE = "jobs/live.html"
LOG_LINES = 200
RESOURCE_POINTS = 120
MOST_ROWS = 2000

_STATE = frozenset({"queued", "started", "cancel_asked", "attempt_lost", "requeued", "finished"})
_STEPS = _STATE | {"step_started", "step_finished"}
PARTS: dict[str, frozenset[str]] = {
    "head": _STATE,
    "progress": _STEPS | {"progress"},
    "steps": _STEPS | {"progress"},
    "checkpoints": _STATE | {"baseline_measured", "step_finished", "judged"},
    "curves": frozenset({"point"}),
    "resources": _STATE | {"resources"},
    "outcome": _STATE
    | {"judged", "artifact_stored", "tried", "sensitivity_measured", "model_inspected", "dataset_inspected"},
}
"""Which kinds of event change which part of the page."""


def parts_changed_by(kinds: Iterable[str]) -> tuple[str, ...]:
    """The parts that must be drawn again after events of these kinds."""
    seen = set(kinds)
    return tuple(name for name, touched in PARTS.items() if touched & seen)


def load(pk: UUID | str) -> Job:
    """The job with everything the parts show."""
    return Job.objects.with_progress().prefetch_related("artifacts", "others__model").get(pk=pk)


def context(job: Job) -> dict[str, Any]:
    """What the partials of ``jobs/live.html`` get.

    ``job``, ``steps`` (in order), ``current`` (the step that runs, or none), ``artifacts``, ``curves`` (series
    by name: list of ``[x, y, low, high]``), ``resources`` (oldest first: ``{at, cpu_percent, memory_bytes,
    peak_memory_bytes}``), ``log`` (newest first: event rows of type ``log``), ``queue_position`` and
    ``expected_start`` (a Span of seconds; both none unless queued).
    """
    steps = list(job.steps.all())
    return {
        "job": job,
        "steps": steps,
        "current": next((step for step in steps if step.state == "running"), None),
        "artifacts": list(job.artifacts.all()),
        "curves": curves(job),
        "resources": _resources(job),
        "log": [event.as_row() for event in job.events.filter(type="log").order_by("-position")[:LOG_LINES]],
        "queue_position": queue_position(job),
        "expected_start": expected_start(job, now=timezone.now()),
    }


def render(job: Job, names: Iterable[str]) -> dict[str, str]:
    """The HTML of some parts, by name."""
    wanted = list(names)
    values = context(job) if wanted else {}
    return {name: render_to_string(f"{TEMPLATE}#{name}", values) for name in wanted}


def rows_after(pk: UUID | str, position: int) -> list[dict[str, Any]]:
    """The job's events after a position, in order; at most ``MOST_ROWS`` at once."""
    events = JobEvent.objects.filter(job_id=pk, position__gt=position).order_by("position")[:MOST_ROWS]
    return [event.as_row() for event in events]


def curves(job: Job) -> dict[str, list[list[float | None]]]:
    """The points of every curve, by series, in the order in which they came."""
    found: dict[str, list[list[float | None]]] = {}
    points = Measurement.objects.filter(job=job, stage=Stage.CURVE).values_list("name", "x", "value", "low", "high")
    for name, x, y, low, high in points:
        found.setdefault(name, []).append([x, y, low, high])
    return found


def _resources(job: Job) -> list[dict[str, Any]]:
    newest = job.events.filter(type="resources").order_by("-position")[:RESOURCE_POINTS]
    return [{"at": event.at, **event.payload} for event in reversed(newest)]
