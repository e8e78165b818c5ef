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


class WorkloadQuerySet(models.QuerySet["Workload"]):
    def visible_to(self, user: Any) -> WorkloadQuerySet:
        """The workloads of the person's teams."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
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
