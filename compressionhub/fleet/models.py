"""Worker hosts as the relay has heard of them, and the relay's own state."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import models
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.library.models import teams_of
from compressionhub.ui import units
from compressionhub.ui.words import who
from workers.emulation import Anchor
from workers.emulation.latency_file import LatencyFile
from workers.facts import NodeFacts

SILENT_AFTER = timedelta(seconds=30)
LAST_MS = 253_402_300_799_000  # the last second of the year 9999; whoever writes an entry may choose its id


def stream_time(ms: int) -> datetime:
    """The moment of a stream entry. ``ms`` is the first half of its id: milliseconds since 1970, by Valkey's clock."""
    return datetime.fromtimestamp(min(ms, LAST_MS) / 1000, tz=UTC)


class NodeQuerySet(models.QuerySet["Node"]):
    def alive(self, now: datetime) -> NodeQuerySet:
        """Those that beat in the last 30 seconds and have not said goodbye."""
        return self.filter(leaving=False, last_beat_at__gte=now - SILENT_AFTER)

    def serving(self, queue: str) -> list[Node]:
        """Those that take tickets from a queue."""
        return [node for node in self if queue in node.facts["queues"]]


class Node(models.Model):
    """A worker host. Times are those of the stream, never the host's own clock."""

    name = models.CharField(max_length=120, primary_key=True)
    start = models.CharField(max_length=80, help_text="Names one life of the worker process.")
    facts = models.JSONField()
    runs = models.JSONField(default=list)
    previous_runs = models.JSONField(default=list, help_text="The runs named by the beat before the last one.")
    leaving = models.BooleanField(default=False)
    first_beat_at = models.DateTimeField()
    last_beat_at = models.DateTimeField()

    objects = NodeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def about(self) -> NodeFacts:
        """What the host is and can do, as it said with its last beat."""
        return NodeFacts.model_validate(self.facts)

    def is_alive(self, now: datetime) -> bool:
        return not self.leaving and now - self.last_beat_at <= SILENT_AFTER

    def holds(self, run: str) -> bool:
        """Whether one of the last two beats named the run; one beat may cross the run's first event on its way."""
        return any(held[2] == run for held in (*self.runs, *self.previous_runs))


class WorkerToken(models.Model):
    """The right of one worker, by its name, to fetch the inputs of its jobs and to hand in results. Kept as a hash."""

    node = models.CharField(max_length=120, primary_key=True)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["node"]

    def __str__(self) -> str:
        return self.node


class RelayState(models.Model):
    """One row: how far the relay is, for the Fleet page and ``/metrics``."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    holder = models.CharField(max_length=80, blank=True)
    last_entry = models.CharField(max_length=40, blank=True)
    applied = models.PositiveBigIntegerField(default=0)
    waiting = models.PositiveIntegerField(default=0, help_text="Entries in the stream that are not applied yet.")
    delay_ms = models.PositiveIntegerField(
        default=0, help_text="From an event entering the stream to its rows, lately."
    )
    worst_delay_ms = models.PositiveIntegerField(default=0, help_text="The longest of the last minute.")
    refused = models.PositiveBigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"relay {self.holder}, {self.delay_ms} ms behind"

    @classmethod
    def current(cls) -> RelayState:
        """The one row, or a blank one where no relay has ever run."""
        return cls.objects.filter(pk=1).first() or cls()


class SetAsideEvent(models.Model):
    """A stream entry the relay could not apply, or refused, with the reason."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entry = models.CharField(max_length=40, unique=True)
    job = models.UUIDField(null=True)
    node = models.CharField(max_length=120, blank=True)
    type = models.CharField(max_length=40, blank=True)
    body = models.TextField()
    error = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.entry}: {self.error[:80]}"


class DeviceTimeQuerySet(models.QuerySet["DeviceTime"]):
    def visible_to(self, user: Any) -> DeviceTimeQuerySet:
        return self.filter(team__in=teams_of(user))

    def of(self, team: Team | UUID, device: str) -> DeviceTimeQuerySet:
        """A team's times on a profile, newest first."""
        return self.filter(team=team, device=device)


class DeviceTime(models.Model):
    """A latency file that a team uploaded for a device profile: its network's time there, and an anchor for others."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="device_times")
    device = models.CharField(max_length=60)
    name = models.CharField(max_length=120, help_text="The name of the file.")
    sha256 = models.CharField(max_length=64)
    body_json = models.JSONField()
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    uploaded_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeviceTimeQuerySet.as_manager()

    class Meta:
        ordering = ["-uploaded_at"]
        constraints = [
            models.UniqueConstraint(fields=["team", "device", "sha256"], name="one_device_time_of_a_content_per_team")
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.device}"

    def get_absolute_url(self) -> str:
        return reverse("fleet:device", args=[self.device])

    @property
    def body(self) -> LatencyFile:
        return LatencyFile.model_validate(self.body_json)

    @property
    def anchor(self) -> Anchor:
        """The time as the predictor takes it, with who brought it and when."""
        brought = f"uploaded by {who(self.uploaded_by)} on {units.day(self.uploaded_at)}"
        return self.body.anchor(f"latency file {self.name}, {brought}")
