"""Deployments: somebody's statement that a version serves a workload from a date, and what the engine says of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.estimates.models import Workload
from compressionhub.library.models import ModelVersion, teams_of


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def visible_to(self, user: Any) -> DeploymentQuerySet:
        """The deployments of the person's teams."""
        return self.filter(team__in=teams_of(user))

    def counted(self) -> DeploymentQuerySet:
        """Without those that were ended on the day they began, which never served."""
        return self.exclude(until=F("since"))

    def running(self) -> DeploymentQuerySet:
        return self.filter(until=None)

    def without_figures(self, made_from: str) -> DeploymentQuerySet:
        """Those whose figures are missing or, where they run, were made by another release."""
        return self.filter(Q(figures=None) | Q(until=None) & ~Q(figures__made_from=made_from))

    def of_versions(self, versions: Iterable[ModelVersion]) -> DeploymentQuerySet:
        """Of those versions, untouched or as a variant; with all that a row of the history shows."""
        return self.filter(baseline__in=versions).select_related("entry", "baseline__model", "recorded_by", "workload")


class Deployment(models.Model):
    """From ``since`` on, until the day ``until`` on which it stopped, a version serves a workload.

    What serves is ``entry``, a variant of ``baseline``, or ``baseline`` itself where there is none. ``assumed_json``
    is the workload as it was when this was recorded: a later change of the workload does not rewrite what was
    stated. ``actual_monthly`` is the traffic that came, in predictions a month, as ``actual_by`` entered it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="deployments")
    baseline = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    entry = models.ForeignKey("zoo.Entry", null=True, on_delete=models.PROTECT, related_name="deployments")
    workload = models.ForeignKey(Workload, null=True, on_delete=models.SET_NULL, related_name="deployments")
    assumed_json = models.JSONField()
    since = models.DateField()
    until = models.DateField(null=True, blank=True)
    actual_monthly = models.FloatField(null=True, blank=True)
    actual_by = models.CharField(max_length=150, blank=True)
    actual_on = models.DateField(null=True, blank=True)
    recorded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-since", "-recorded_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="deployment_ends_after_it_began"
            ),
            models.UniqueConstraint(
                fields=["baseline", "workload"],
                condition=Q(until=None),
                name="one_running_deployment_per_version_and_workload",
            ),
        ]
        indexes = [models.Index(fields=["team", "until"], name="deployment_running")]

    def __str__(self) -> str:
        return f"{self.served} for {self.workload_name}"

    def get_absolute_url(self) -> str:
        return reverse("zoo:deployment", args=[self.pk])

    @property
    def served(self) -> str:
        """What serves, by name."""
        return self.entry.name if self.entry else f"{self.baseline} baseline"

    @property
    def workload_name(self) -> str:
        """The workload as it was called when this was recorded."""
        return str(self.assumed_json["workload"]["name"])

    @property
    def is_running(self) -> bool:
        return self.until is None

    @property
    def assumes(self) -> tuple[object, ...]:
        """Equal for deployments that assume the same."""
        return json.dumps(self.assumed_json, sort_keys=True), self.actual_monthly, self.actual_by

    @property
    def assumed(self) -> Assumptions:
        """What was assumed, with the traffic that came in place of the assumed one where somebody entered it."""
        found = Assumptions.model_validate(self.assumed_json)
        if self.actual_monthly is None:
            return found
        authors = {**found.workload.authors, "predictions_per_month": f"{self.actual_by} (actual traffic)"}
        changes = {"requests_per_day": None, "predictions_per_month": self.actual_monthly, "authors": authors}
        return found.model_copy(update={"workload": found.workload.model_copy(update=changes)})

    @property
    def has_older_assumptions(self) -> bool:
        """Whether the workload was changed after this was recorded."""
        if self.workload is None:
            return False
        return bool(self.workload.assumed.differing(Assumptions.model_validate(self.assumed_json)))


class DeploymentFigures(models.Model):
    """What the engine said of a deployment, kept because a portfolio adds up a thousand of them.

    A row that is missing, or made by another release while its deployment runs, is made when somebody next looks.
    ``numbers`` repeats value, low, high and class of each figure for sums (``zoo/numbers.py``); ``amounts`` holds them
    whole.
    """

    deployment = models.OneToOneField(Deployment, primary_key=True, on_delete=models.CASCADE, related_name="figures")
    made_from = models.CharField(max_length=60)
    best = models.ForeignKey("zoo.Entry", null=True, on_delete=models.SET_NULL, related_name="+")
    says = models.CharField(max_length=300, blank=True)
    numbers = models.BinaryField()
    amounts = models.JSONField()

    def __str__(self) -> str:
        return f"figures of {self.deployment_id}"
