"""Finds jobs that nobody works on: tickets that got lost, workers that fell silent, runs that no beat names.

All times are those of the stream. ``Watchdog.tick`` is called about once a second, and only while the
relay has read the stream to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from compressionhub.fleet import valkey
from compressionhub.fleet.models import SILENT_AFTER, Node, stream_time
from compressionhub.jobs import tickets, wishes
from compressionhub.jobs.models import Job
from compressionhub.jobs.relay import endings
from compressionhub.jobs.relay.batch import Batch
from compressionhub.jobs.states import ACTIVE, State
from workers.events import BEAT_SECONDS

RESEND_AFTER = timedelta(seconds=30)
LOOK_AT_QUEUES_EVERY = timedelta(seconds=5)
Change = Callable[[Batch, Job], None]
ONE_BEAT = timedelta(seconds=BEAT_SECONDS + 2)  # a beat may be late by its own way through the stream


class Watchdog:
    """Remembers since when a ticket is missing, and from when on silence counts."""

    def __init__(self) -> None:
        self._trusted_from: datetime | None = None
        self._missing_since: dict[str, datetime] = {}
        self._looked_at: datetime | None = None

    def distrust(self) -> None:
        """The relay or Valkey was away: whoever lives gets one more beat's time to say so."""
        self._trusted_from = None
        self._missing_since.clear()

    def tick(self, now_ms: int) -> list[Job]:
        """Look once.

        Returns:
            The jobs that were changed, for their pages to be told.
        """
        now = stream_time(now_ms)
        if self._trusted_from is None:
            self._trusted_from = now + ONE_BEAT
        changed = _stop_what_was_cancelled(now)
        if now >= self._trusted_from:
            changed += _find_lost(now)
        if self._looked_at is None or now - self._looked_at >= LOOK_AT_QUEUES_EVERY:
            self._looked_at = now
            self._send_missing_tickets(now)
        return changed

    def _send_missing_tickets(self, now: datetime) -> None:
        jobs = {tickets.task_id(job): job for job in Job.objects.filter(state=State.QUEUED, run="")}
        waiting = {task for queue in {job.queue for job in jobs.values()} for task in valkey.waiting_tasks(queue)}
        missing = {task: self._missing_since.get(task, now) for task in jobs if task not in waiting}
        for task, since in missing.items():
            if now - since >= RESEND_AFTER and tickets.send_by_id(jobs[task].pk):
                missing[task] = now
        self._missing_since = missing


def _stop_what_was_cancelled(now: datetime) -> list[Job]:
    """Repeat the wish to runs; end jobs that no run has taken."""
    changed = []
    for job in Job.objects.filter(state=State.CANCELLING):
        wishes.stop_job(job)
        if job.run == "":
            valkey.drop_ticket(job.queue, tickets.task_id(job))
            changed += _change(job, lambda batch, row: _end_untaken(batch, row, now))
    return changed


def _end_untaken(batch: Batch, job: Job, now: datetime) -> None:
    if job.state == State.CANCELLING and job.run == "":
        batch.add_event(job, "finished", {"outcome": "cancelled"}, at=now)
        endings.end(batch, job, State.CANCELLED, at=now)


def _find_lost(now: datetime) -> list[Job]:
    nodes = {node.name: node for node in Node.objects.all()}
    changed = []
    for job in Job.objects.filter(state__in=(State.RUNNING, State.CANCELLING)).exclude(run=""):
        reason = why_lost(job, nodes.get(job.node), now)
        if reason:
            leaving = nodes[job.node].leaving if job.node in nodes else False
            changed += _change(job, _losing(job.run, now, reason, counted=not leaving))
    return changed


def _losing(run: str, now: datetime, reason: str, *, counted: bool) -> Change:
    def lose(batch: Batch, job: Job) -> None:
        if job.run == run and job.state in ACTIVE:
            endings.lose(batch, job, at=now, reason=reason, counted=counted)

    return lose


def why_lost(job: Job, node: Node | None, now: datetime) -> str:
    """Why nobody works on a running job any more, in a sentence; empty if somebody does."""
    started = job.started_at or now
    if node is None:
        return f"The worker {job.node} has never been heard of." if now - started > SILENT_AFTER else ""
    if now - max(node.last_beat_at, started) > SILENT_AFTER:
        return f"The worker {node.name} was silent for {SILENT_AFTER.seconds} s."
    if job.node_start and node.start != job.node_start:
        return f"The worker {node.name} was started anew." if not node.holds(job.run) else ""
    if node.leaving and node.last_beat_at > started:
        return f"The worker {node.name} was shut down."
    if node.last_beat_at - started > ONE_BEAT and not node.holds(job.run):
        return f"The worker {node.name} no longer holds the job."
    return ""


def _change(job: Job, change: Change) -> list[Job]:
    """Change one job under its lock, in a transaction of its own."""
    with transaction.atomic():
        row = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        batch = Batch.of(row)
        change(batch, row)
        return batch.save()
