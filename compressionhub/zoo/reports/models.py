"""Reports, and the links that show one of them to people who have no account."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.library.models import teams_of
from compressionhub.zoo.reports.evidence import Evidence, digest


class FrozenReport(Exception):
    """Somebody tried to change or remove a report."""

    def __init__(self) -> None:
        super().__init__("A report is never changed: make another one.")


class ReportQuerySet(models.QuerySet["Report"]):
    def visible_to(self, user: Any) -> ReportQuerySet:
        """The reports of the person's teams."""
        return self.filter(team__in=teams_of(user))

    def update(self, **values: Any) -> int:
        raise FrozenReport

    def delete(self) -> tuple[int, dict[str, int]]:
        raise FrozenReport

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise FrozenReport


class Report(models.Model):
    """One frozen report.

    ``evidence_text`` is the whole truth, as the very text whose sha256 is ``sha256``: a JSON column would be
    written differently by each database. The entries beside it only say from where one gets to it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="reports")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    entries = models.ManyToManyField("zoo.Entry", related_name="reports")
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField(editable=False)
    evidence_text = models.TextField()
    sha256 = models.CharField(max_length=64)

    objects = ReportQuerySet.as_manager()

    class Meta:
        app_label = "zoo"
        ordering = ["-made_at"]
        constraints = [models.UniqueConstraint(fields=["team", "number"], name="report_number_once_per_team")]

    def __str__(self) -> str:
        return f"Report #{self.number}: {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("reports:report", args=[self.pk])

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise FrozenReport
        super().save(*args, force_insert=True, **{name: value for name, value in kwargs.items() if name == "using"})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise FrozenReport

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence.model_validate_json(self.evidence_text)

    @property
    def is_intact(self) -> bool:
        """Whether the text is the one that was frozen."""
        return digest(self.evidence_text) == self.sha256


class ShareLinkQuerySet(models.QuerySet["ShareLink"]):
    def visible_to(self, user: Any) -> ShareLinkQuerySet:
        """The links to reports of the person's teams."""
        return self.filter(report__team__in=teams_of(user))

    def usable(self) -> ShareLinkQuerySet:
        """Those that open now: neither revoked nor expired, and the team allows links."""
        return self.filter(
            Q(expires_at__gt=timezone.now()), revoked_at=None, report__team__shares_reports=True
        )  # fmt: skip


class ShareLink(models.Model):
    """A read-only way to one report without an account. Only the hash of its token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="links")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, editable=False)
    openings = models.PositiveIntegerField(default=0, editable=False)
    downloads = models.PositiveIntegerField(default=0, editable=False)
    last_opened_at = models.DateTimeField(null=True, editable=False)

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        app_label = "zoo"
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"link to {self.report}"

    @property
    def team(self) -> Team:
        return self.report.team

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()
