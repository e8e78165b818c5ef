"""A job: what was asked, where it is and how it went."""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team
from compressionhub.jobs.gate import Gate, GateResult
from compressionhub.jobs.queries import JobQuerySet
from compressionhub.jobs.states import ACTIVE, ENDED, Kind, State, check_move
from compressionhub.library.models import Dataset, ModelVersion
from workers.errors import Problem
from workers.facts import Span
from workers.preflight import Preflight
from workers.recipe import Recipe, from_value
from workers.report import Checkpoint, Report, Sensitivity

MOST_LOST_ATTEMPTS = 3


class Job(models.Model):
    """A piece of engine work. The row is the truth; the queue only carries a ticket for it.

    ``attempt`` rises with every new ticket; ``lost_attempts`` counts those that were lost and not
    those that a deployment sent back. ``position`` is the last JobEvent's. Times after ``submitted_at``
    are those of the stream.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="jobs")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    model_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.CASCADE, related_name="jobs")
    dataset = models.ForeignKey(Dataset, null=True, on_delete=models.CASCADE, related_name="jobs")
    others = models.ManyToManyField(
        ModelVersion, related_name="jobs_beside", help_text="Models that steps go on with, such as a student."
    )
    copy_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="copies")

    recipe = models.JSONField(null=True)
    device = models.CharField(max_length=60, default="host-1t")
    queue = models.CharField(max_length=10, default="cpu")
    gate = models.JSONField(null=True)
    seed = models.BigIntegerField(default=0)
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 goes first, 9 last.")
    preflight = models.JSONField(null=True)

    attempt = models.PositiveIntegerField(default=1)
    lost_attempts = models.PositiveIntegerField(default=0)
    run = models.CharField(max_length=80, blank=True)
    node = models.CharField(max_length=120, blank=True)
    node_start = models.CharField(max_length=80, blank=True)
    position = models.PositiveIntegerField(default=0)
    seq = models.PositiveIntegerField(default=0, help_text="The highest event number of the current run.")

    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    submitted_at = models.DateTimeField(default=timezone.now, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, help_text="When the current attempt was queued.")
    started_at = models.DateTimeField(null=True, help_text="When the current attempt started.")
    finished_at = models.DateTimeField(null=True)
    last_event_at = models.DateTimeField(null=True)

    progress = models.FloatField(default=0.0, help_text="Share of the whole job, 0 to 1.")
    eta_seconds = models.FloatField(null=True)
    eta_low_seconds = models.FloatField(null=True)
    eta_high_seconds = models.FloatField(null=True)
    cpu_percent = models.FloatField(null=True)
    memory_bytes = models.PositiveBigIntegerField(default=0)
    peak_memory_bytes = models.PositiveBigIntegerField(default=0)

    baseline = models.JSONField(null=True, help_text="Checkpoint of the untouched network on validation data.")
    found = models.JSONField(null=True, help_text="What an inspection or a trial found out.")
    hashes = models.JSONField(default=dict)
    report = models.JSONField(null=True)
    problem = models.JSONField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-submitted_at"]
        constraints = [models.UniqueConstraint(fields=["team", "number"], name="job_number_once_per_team")]
        indexes = [
            models.Index(fields=["state", "queue", "priority", "queued_at"], name="job_queue_order"),
            models.Index(fields=["team", "-submitted_at"], name="job_by_team_and_time"),
            # Holds all that home asks of tens of thousands of jobs, so that no report is read.
            models.Index(fields=["team", "state", "kind", "finished_at", "started_at", "id"], name="job_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"Job #{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.pk])

    @property
    def socket_path(self) -> str:
        return f"/ws/jobs/{self.pk}/"

    @property
    def group(self) -> str:
        """The channel-layer group that its pages listen to."""
        return f"job-{self.pk}"

    def move_to(self, state: State, *, save: bool = True) -> None:
        """Change the state.

        Raises:
            WrongState: if the table of moves does not allow it.
        """
        check_move(State(self.state), state)
        self.state = state
        if save:
            self.save(update_fields=["state"])

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def can_cancel(self) -> bool:
        return self.state in (State.QUEUED, State.RUNNING)

    @property
    def can_retry(self) -> bool:
        return self.state in (State.FAILED, State.CANCELLED)

    @property
    def attempt_shown(self) -> int:
        """Which of the three tries this is; tries that a deployment sent back do not count."""
        return min(self.lost_attempts + 1, MOST_LOST_ATTEMPTS)

    @property
    def most_attempts(self) -> int:
        return MOST_LOST_ATTEMPTS

    @cached_property
    def recipe_value(self) -> Recipe | None:
        return from_value(self.recipe) if self.recipe else None

    @property
    def recipe_summary(self) -> str:
        """The steps in a row, for a heading: ``Magnitude pruning → Static INT8``."""
        return " → ".join(item.about.title for item in self.recipe_value.steps) if self.recipe_value else ""

    @cached_property
    def report_value(self) -> Report | None:
        return Report.model_validate(self.report) if self.report else None

    @cached_property
    def baseline_value(self) -> Checkpoint | None:
        return Checkpoint.model_validate(self.baseline) if self.baseline else None

    @cached_property
    def sensitivity_value(self) -> Sensitivity | None:
        """What a sensitivity job found out."""
        if self.kind != Kind.SENSITIVITY or not self.found:
            return None
        return Sensitivity.model_validate(self.found["sensitivity"])

    @cached_property
    def problem_value(self) -> Problem | None:
        return Problem.model_validate(self.problem) if self.problem else None

    @cached_property
    def preflight_value(self) -> Preflight | None:
        return Preflight.model_validate(self.preflight) if self.preflight else None

    @cached_property
    def gate_value(self) -> Gate | None:
        return Gate.model_validate(self.gate) if self.gate else None

    @property
    def gate_result(self) -> GateResult | None:
        """How the result stands at the gate; nothing before it was measured."""
        return self.gate_value.judge(self.report_value) if self.gate_value and self.report_value else None

    @property
    def eta(self) -> Span | None:
        """Seconds left, with their range."""
        if self.eta_seconds is None or self.eta_low_seconds is None or self.eta_high_seconds is None:
            return None
        return Span(value=self.eta_seconds, low=self.eta_low_seconds, high=self.eta_high_seconds)

    def seconds_so_far(self, now: datetime | None = None) -> float | None:
        """How long the current attempt has run, or ran."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.finished_at or now or timezone.now()) - self.started_at).total_seconds())


class IdempotencyKey(models.Model):
    """A key a client gave with a submission, so that sending it twice makes one job."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    body_sha256 = models.CharField(max_length=64)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
