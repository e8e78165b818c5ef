"""The zoo: published records, never edited, only superseded or withdrawn."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.jobs.models import Job
from compressionhub.library.models import ModelVersion, TrainedModel, teams_of
from compressionhub.zoo.deployment import Deployment as Deployment
from compressionhub.zoo.deployment import DeploymentFigures as DeploymentFigures
from compressionhub.zoo.record import Record
from compressionhub.zoo.timed import Timed, timed


class Visibility(models.TextChoices):
    TEAM = "team", "The team"
    EVERYONE = "everyone", "Everyone signed in"


class Standing(models.TextChoices):
    LISTED = "listed", "listed"
    SUPERSEDED = "superseded", "superseded"
    WITHDRAWN = "withdrawn", "withdrawn"


class FrozenEntry(Exception):
    """Somebody tried to edit what was published."""

    def __init__(self) -> None:
        super().__init__("A published entry is never edited: supersede or withdraw it.")


class EntryQuerySet(models.QuerySet["Entry"]):
    def visible_to(self, user: Any) -> EntryQuerySet:
        """The person's teams' entries and those published for everyone signed in."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(Q(team__in=teams_of(user)) | Q(visibility=Visibility.EVERYONE))

    def listed(self) -> EntryQuerySet:
        return self.filter(standing=Standing.LISTED)


class Entry(models.Model):
    """One published variant.

    ``record`` is the whole truth; the columns beside it repeat what lists filter and sort by. Points, ratios
    and intervals are measured; ``drop_points`` above zero is worse than the baseline.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="entries")
    name = models.CharField(max_length=80)
    summary = models.CharField(max_length=300, blank=True)
    visibility = models.CharField(max_length=10, choices=Visibility.choices, default=Visibility.TEAM)
    standing = models.CharField(max_length=10, choices=Standing.choices, default=Standing.LISTED)
    standing_reason = models.CharField(max_length=300, blank=True)
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="supersedes"
    )
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="entry")
    model = models.ForeignKey(TrainedModel, null=True, on_delete=models.SET_NULL, related_name="entries")
    baseline = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="entries")
    published_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    published_at = models.DateTimeField(default=timezone.now, editable=False)
    record_json = models.JSONField()

    task = models.CharField(max_length=20)
    families = models.JSONField(default=list)
    device = models.CharField(max_length=60)
    verdict = models.CharField(max_length=20)
    drop_points = models.FloatField()
    speedup = models.FloatField()
    size_ratio = models.FloatField()
    size_bytes = models.BigIntegerField()

    objects = EntryQuerySet.as_manager()

    class Meta:
        ordering = ["-published_at"]
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"], condition=Q(standing="listed"), name="one_listed_entry_of_a_name_per_team"
            ),
        ]
        indexes = [
            models.Index(fields=["standing", "-published_at"], name="entry_by_time"),
            # Holds all that home adds up over tens of thousands of entries, so that no record is read.
            models.Index(
                fields=[
                    "standing", "team", "model", "baseline", "visibility", "speedup", "size_bytes", "size_ratio"
                ],
                name="entry_in_numbers",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("zoo:entry", args=[self.pk])

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert, or change the standing; nothing else.

        Raises:
            FrozenEntry: for any other change.
        """
        may_change = {"standing", "standing_reason", "superseded_by"}
        if not self._state.adding and not set(kwargs.get("update_fields") or ["*"]) <= may_change:
            raise FrozenEntry
        super().save(*args, **kwargs)

    @cached_property
    def record(self) -> Record:
        return Record.model_validate(self.record_json)

    @cached_property
    def timed(self) -> Timed:
        """Kept, because what it predicts for other machines is asked for again and again."""
        return timed(self.record)

    @property
    def is_listed(self) -> bool:
        return self.standing == Standing.LISTED

    @property
    def family(self) -> str:
        """The family of its techniques, or ``combined`` for several."""
        return self.families[0] if len(self.families) == 1 else "combined"


# The other models of this app live beside what is done with them; Django finds them through this module.
from compressionhub.zoo.approvals.models import Approval as Approval
from compressionhub.zoo.reports.models import Report as Report
from compressionhub.zoo.reports.models import ShareLink as ShareLink
