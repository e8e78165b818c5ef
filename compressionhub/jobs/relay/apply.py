"""Applies one message of the stream: accepts or refuses it, then changes rows by the kind of its event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from compressionhub.fleet.models import Node
from compressionhub.jobs import wishes
from compressionhub.jobs.models import Job, Stage, Step
from compressionhub.jobs.relay import endings
from compressionhub.jobs.relay.batch import Batch
from compressionhub.jobs.relay.outlook import estimate
from compressionhub.jobs.states import Kind, State, StepState
from workers import events
from workers.errors import Problem
from workers.events import Beat, Envelope
from workers.report import Checkpoint, Measured
from workers.store import content_key
from workers.ticket import CONVERTED_FILES


class Refused(Exception):
    """An event came from a node that does not hold the job, or may not take it."""


def apply_event(batch: Batch, envelope: Envelope, at: datetime) -> bool:
    """Apply one event once.

    Args:
        batch: holds the job's locked row.
        at: when the event entered the stream.

    Returns:
        Whether it changed anything: duplicates, stale attempts and second runs do not.

    Raises:
        Refused: if the node was not given this job.
    """
    job = batch.jobs.get(envelope.job)
    if job is None:
        _stop_run(envelope)  # the job was deleted while it ran
        return False
    if batch.is_known(envelope) or not _is_current(job, envelope):
        return False
    if job.run == "":
        if not isinstance(envelope.event, events.Started):
            return False
        _accept(job, envelope)
    if envelope.node != job.node:
        raise Refused(f"The run belongs to the node {job.node!r}; {envelope.node!r} spoke for it.")
    late = job.has_ended
    if late and envelope.seq > job.seq:
        return False
    newest = envelope.seq > job.seq
    job.seq = max(job.seq, envelope.seq)
    row = batch.add_event(job, envelope.event.type, payload(envelope.event), at=at, envelope=envelope)
    HANDLERS[type(envelope.event)](Change(batch, job, envelope.event, row.at, newest=newest, late=late))
    return True


def _is_current(job: Job, envelope: Envelope) -> bool:
    """Whether the event is of the attempt and run that the job goes by; any other run is asked to stop."""
    stale = envelope.attempt < job.attempt
    second = envelope.attempt == job.attempt and job.run not in ("", envelope.run)
    unwanted = envelope.attempt == job.attempt and job.run == "" and job.has_ended
    if stale or second or unwanted:
        _stop_run(envelope)
        return False
    return envelope.attempt == job.attempt


def _stop_run(envelope: Envelope) -> None:
    """Ask a run that nobody waits for to stop, unless it has ended by itself."""
    if not isinstance(envelope.event, events.Finished):
        transaction.on_commit(lambda: wishes.stop_run(envelope.run), robust=True)


def _accept(job: Job, envelope: Envelope) -> None:
    """Give the attempt to the first run that reports that it started."""
    node = Node.objects.filter(name=envelope.node).first()
    if node is not None and job.queue not in node.facts["queues"]:
        raise Refused(f"The node {envelope.node!r} does not serve the queue {job.queue}.")
    job.run, job.node, job.node_start = envelope.run, envelope.node, node.start if node else ""


class Change:
    """One event and the rows it changes. ``late``: the job has ended already; ``newest``: no later event was seen."""

    def __init__(self, batch: Batch, job: Job, event: Any, at: datetime, *, newest: bool, late: bool) -> None:
        self.batch, self.job, self.event, self.at = batch, job, event, at
        self.newest, self.late = newest, late

    @property
    def step(self) -> Step | None:
        return self.batch.steps(self.job).get(self.event.step)

    def estimate(self) -> None:
        if not self.late:
            estimate(self.job, self.batch.steps(self.job).values(), self.at)


def _started(change: Change) -> None:
    job = change.job
    if job.state == State.QUEUED:
        job.move_to(State.RUNNING, save=False)
    job.started_at, job.problem = change.at, None
    change.estimate()


def _nothing_more(change: Change) -> None:
    """The event's own row says it all."""


def _step_started(change: Change) -> None:
    step = change.step
    if step is None or (step.is_over and not change.newest) or change.late:
        return
    step.state, step.started_at, step.finished_at = StepState.RUNNING, change.at, None
    step.done, step.total, step.text, step.says = 0, 0, "", ""
    change.batch.forget_measurements(change.job, stage=Stage.CURVE, step=step.index)
    change.batch.touch_step(step)
    change.estimate()


def _progress(change: Change) -> None:
    step = change.step
    if step is None or not change.newest or step.is_over:
        return
    step.done, step.total, step.text = max(0, change.event.done), max(0, change.event.total), change.event.text
    change.batch.touch_step(step)
    change.estimate()


def _point(change: Change) -> None:
    event = change.event
    change.batch.add_measurement(
        change.job, Stage.CURVE, event.series, event.y, step=event.step, x=event.x, low=event.low, high=event.high
    )


def _resources(change: Change) -> None:
    job, event = change.job, change.event
    job.peak_memory_bytes = max(job.peak_memory_bytes, event.peak_memory_bytes)
    if change.newest:
        job.cpu_percent, job.memory_bytes = event.cpu_percent, event.memory_bytes


def _step_finished(change: Change) -> None:
    step, event = change.step, change.event
    if step is None:
        return
    step.state = StepState.CACHED if event.cached else StepState.DONE
    step.seconds, step.says, step.finished_at = event.seconds, event.says, change.at
    if event.checkpoint is not None:
        step.checkpoint = event.checkpoint.model_dump(mode="json")
        _measure_checkpoint(change, Stage.STEP, event.checkpoint, step=step.index)
    change.batch.touch_step(step)
    change.estimate()


def _baseline_measured(change: Change) -> None:
    change.job.baseline = change.event.checkpoint.model_dump(mode="json")
    _measure_checkpoint(change, Stage.BASELINE, change.event.checkpoint, step=None)


def _measure_checkpoint(change: Change, stage: Stage, checkpoint: Checkpoint, *, step: int | None) -> None:
    batch, job = change.batch, change.job
    batch.forget_measurements(job, stage=stage, step=step)
    for name, interval in checkpoint.metrics.items():
        batch.add_measurement(
            job, stage, name, interval.value, low=interval.low, high=interval.high, n=interval.n, step=step
        )
    for name in ("size_bytes", "zip_bytes", "params", "macs"):
        batch.add_measurement(job, stage, name, getattr(checkpoint, name), step=step)


def _judged(change: Change) -> None:
    change.job.report = change.event.report.model_dump(mode="json")
    change.job.__dict__.pop("report_value", None)
    for stage, measured in (
        (Stage.FINAL_BASELINE, change.event.report.baseline),
        (Stage.FINAL, change.event.report.result),
    ):
        change.batch.forget_measurements(change.job, stage=stage)
        _measure_final(change, stage, measured)


def _measure_final(change: Change, stage: Stage, measured: Measured) -> None:
    batch, job = change.batch, change.job
    for name, interval in measured.metrics.items():
        batch.add_measurement(job, stage, name, interval.value, low=interval.low, high=interval.high, n=interval.n)
    for name in ("size_bytes", "zip_bytes", "params", "macs", "peak_memory_bytes"):
        batch.add_measurement(job, stage, name, getattr(measured, name))
    for size, latency in measured.latency.items():
        batch.add_measurement(job, stage, f"p50_ms@{size}", latency.p50_ms)
        batch.add_measurement(job, stage, f"p95_ms@{size}", latency.p95_ms)


def _found(change: Change) -> None:
    change.job.found = change.event.model_dump(mode="json", exclude={"type"})


def _file_hashed(change: Change) -> None:
    """Take the hash of a file the job was given, and of no other."""
    item = change.job.model_version if change.event.which == "model" else change.job.dataset
    if item is None or item.size_bytes != change.event.size_bytes:
        raise ValueError(f"expected the hash of a file the job was given, found one of {change.event.size_bytes} bytes")
    change.job.hashes = {**change.job.hashes, change.event.which: change.event.sha256}


def _artifact_stored(change: Change) -> None:
    """Take a file by its content: a key that says anything else could be that of somebody's upload."""
    event, job = change.event, change.job
    converted = job.kind == Kind.INSPECT and job.model_version is not None and event.name in CONVERTED_FILES
    if not (converted or job.kind == Kind.COMPRESS) or event.key != content_key(event.sha256):
        raise ValueError(f"expected a file of a recipe under the key of its content, found {event.key[:80]!r}")
    if converted:
        job.hashes = {**job.hashes, "converted": event.model_dump(mode="json", exclude={"type"})}
        return
    change.batch.keep_artifact(
        change.job,
        name=event.name,
        key=event.key,
        sha256=event.sha256,
        size_bytes=event.size_bytes,
        created_at=change.at,
    )


def _finished(change: Change) -> None:
    batch, job, event = change.batch, change.job, change.event
    job.peak_memory_bytes = max(job.peak_memory_bytes, event.peak_memory_bytes)
    if event.outcome == "succeeded":
        endings.succeed(batch, job, at=change.at)
    elif event.outcome == "cancelled":
        endings.end(batch, job, State.CANCELLED, at=change.at)
    elif event.outcome == "failed":
        endings.fail(batch, job, at=change.at, problem=event.problem or _no_reason())
    else:
        reason = event.problem.message if event.problem else "The worker did not say why."
        endings.lose(batch, job, at=change.at, reason=reason, counted=event.outcome == "lost")


def _no_reason() -> Problem:
    return Problem(
        fault="ours", code="job.failed", message="The job failed, and the worker did not say why.", hint="Retry it."
    )


HANDLERS: dict[type, Callable[[Change], None]] = {
    events.Started: _started,
    events.Log: _nothing_more,
    events.StepStarted: _step_started,
    events.Progress: _progress,
    events.Point: _point,
    events.Resources: _resources,
    events.StepFinished: _step_finished,
    events.BaselineMeasured: _baseline_measured,
    events.ModelInspected: _found,
    events.DatasetInspected: _found,
    events.Tried: _found,
    events.Judged: _judged,
    events.Evaluated: _nothing_more,
    events.Emulated: _nothing_more,
    events.Compared: _nothing_more,
    events.Calibrated: _nothing_more,
    events.TrialMeasured: _nothing_more,
    events.SensitivityMeasured: _found,
    events.FileHashed: _file_hashed,
    events.ArtifactStored: _artifact_stored,
    events.Finished: _finished,
    events.Failed: _nothing_more,
}


def payload(event: Any) -> dict[str, Any]:
    """What the event's row keeps. Large findings stand in the job's own row and are not kept twice."""
    if isinstance(event, events.ModelInspected | events.DatasetInspected):
        return {"warnings": list(event.facts.warnings)}
    if isinstance(event, events.SensitivityMeasured):
        return {"excluded": list(event.sensitivity.excluded), "enough": event.sensitivity.enough}
    if isinstance(event, events.Tried):
        return event.model_dump(mode="json", exclude={"type", "samples"})
    if isinstance(event, events.Judged):
        return {"verdict": event.report.verdict.model_dump(mode="json"), "notes": list(event.report.notes)}
    values: dict[str, Any] = event.model_dump(mode="json", exclude={"type"})
    return values


def apply_beat(beat: Beat, at: datetime) -> None:
    """Write that a node lives, what it can do, and which runs it holds."""
    node = Node.objects.select_for_update().filter(name=beat.node).first() or Node(name=beat.node, first_beat_at=at)
    if node.last_beat_at is not None and at < node.last_beat_at:
        return
    node.previous_runs = node.runs if node.start == beat.start else []
    node.start, node.facts, node.leaving, node.last_beat_at = (
        beat.start,
        beat.facts.model_dump(mode="json"),
        beat.leaving,
        at,
    )
    node.runs = [list(run) for run in beat.runs]
    node.save()
