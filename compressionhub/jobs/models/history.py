"""What a job leaves behind: every event in order, the figures measured, the files made."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from compressionhub.jobs.models.job import Job


class JobEvent(models.Model):
    """What happened, in the order in which pages learn of it.

    ``position`` rises by one per job over all attempts. Rows that the hub writes itself (queued again,
    asked to stop) have no ``seq``; those of a worker are unique by (job, attempt, run, seq).
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    position = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    run = models.CharField(max_length=80, blank=True)
    seq = models.PositiveIntegerField(null=True)
    type = models.CharField(max_length=40)
    at = models.DateTimeField()
    payload = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["job", "position"], name="event_position_once_per_job"),
            models.UniqueConstraint(fields=["job", "attempt", "run", "seq"], name="event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.type}"

    def as_row(self) -> dict[str, Any]:
        """The event as pages, the socket and the event stream of the API see it."""
        return {
            "position": self.position,
            "type": self.type,
            "attempt": self.attempt,
            "at": self.at.isoformat(),
            "payload": self.payload,
        }


class Stage(models.TextChoices):
    """Which network a measurement is of, and on which data."""

    BASELINE = "baseline", "baseline, validation data"
    STEP = "step", "after a step, validation data"
    FINAL_BASELINE = "final-baseline", "baseline, test data"
    FINAL = "final", "result, test data"
    CURVE = "curve", "curve"


class Measurement(models.Model):
    """One measured figure of a job; never thinned. Points of a curve carry ``x``."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="measurements")
    stage = models.CharField(max_length=20, choices=Stage.choices)
    step = models.PositiveSmallIntegerField(null=True)
    name = models.CharField(max_length=80)
    x = models.FloatField(null=True)
    value = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n = models.PositiveBigIntegerField(null=True)
    position = models.PositiveIntegerField(help_text="The event it came with.")

    class Meta:
        ordering = ["position", "id"]
        indexes = [models.Index(fields=["job", "stage", "name"], name="measurement_by_stage")]

    def __str__(self) -> str:
        return f"{self.stage} {self.name} {self.value}"


class Artifact(models.Model):
    """A file a job made, as stored. ``name`` is its name inside a bundle."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    attempt = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="artifact_name_once_per_job")]

    def __str__(self) -> str:
        return self.name
