"""Workloads: what a team has to serve, and everything it assumes about that."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.library.models import teams_of


class TableSetQuerySet(models.QuerySet["TableSet"]):
    def visible_to(self, user: Any) -> TableSetQuerySet:
        """Those of the person's teams."""
        return self.filter(team__in=teams_of(user))


class FrozenTables(Exception):
    """Somebody tried to edit a set of tables."""

    def __init__(self) -> None:
        super().__init__("A set of tables is never edited: upload a newer table.")


class TableSet(models.Model):
    """One set of tables as estimates used it: never edited, so that an old estimate can be made again.

    Those without a team are the packaged ones of the day on which they were first used. ``texts`` holds the CSV files
    by kind; ``changed`` is the kind that was uploaded, and ``said`` what that changed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="table_sets")
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=16, db_index=True)
    texts = models.JSONField()
    changed = models.CharField(max_length=20, blank=True)
    said = models.CharField(max_length=300, blank=True)
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    uploaded_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TableSetQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["team", "number"], name="table_sets_of_a_team_are_numbered"),
            models.UniqueConstraint(fields=["version"], condition=Q(team=None), name="packaged_tables_are_kept_once"),
        ]

    def __str__(self) -> str:
        return f"tables {self.number}" if self.team_id else f"packaged tables {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert, and never again.

        Raises:
            FrozenTables: for a change.
        """
        if not self._state.adding:
            raise FrozenTables
        super().save(*args, **kwargs)


class WorkloadQuerySet(models.QuerySet["Workload"]):
    def visible_to(self, user: Any) -> WorkloadQuerySet:
        """The workloads of the person's teams."""
        return self.filter(team__in=teams_of(user))


class Workload(models.Model):
    """One use of a team's networks. ``assumed_json`` is an ``Assumptions``; the first of a team is its usual one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="workloads")
    name = models.CharField(max_length=120)
    is_usual = models.BooleanField(default=False, help_text="Entries are shown with this workload of the team.")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(auto_now=True)
    assumed_json = models.JSONField()

    objects = WorkloadQuerySet.as_manager()

    class Meta:
        ordering = ["-is_usual", "name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="one_workload_of_a_name_per_team"),
            models.UniqueConstraint(fields=["team"], condition=Q(is_usual=True), name="one_usual_workload_per_team"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def assumed(self) -> Assumptions:
        return Assumptions.model_validate(self.assumed_json)
