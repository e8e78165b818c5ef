"""Requests that an entry may replace its baseline, and what was decided."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Team, User
from compressionhub.library.models import teams_of
from compressionhub.ui.words import who
from compressionhub.zoo.reports.models import Report


class Decision(models.TextChoices):
    OPEN = "open", "waiting for a decision"
    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"
    TAKEN_BACK = "taken-back", "taken back"


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def visible_to(self, user: Any) -> ApprovalQuerySet:
        """The requests of the person's teams."""
        return self.filter(team__in=teams_of(user))

    def waiting(self) -> ApprovalQuerySet:
        return self.filter(decision=Decision.OPEN)


class Approval(models.Model):
    """One request, on one report, and its decision. ``sha256`` is that of the evidence when it was asked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="approvals")
    entry = models.ForeignKey("zoo.Entry", on_delete=models.CASCADE, related_name="approvals")
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="approvals")
    sha256 = models.CharField(max_length=64)
    why = models.CharField(max_length=500)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.OPEN)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        app_label = "zoo"
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry"], condition=Q(decision="open"), name="one_open_request_per_entry"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.entry}, on report #{self.report.number}"

    def get_absolute_url(self) -> str:
        return reverse("approvals:approval", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.decision == Decision.OPEN

    @property
    def says(self) -> str:
        """What the evidence answers, who asks, and why."""
        asker = self.asked_by or who(None).capitalize()
        return f"{self.report.evidence.answer} {asker} asks to let it replace its baseline: {self.why}"

    @property
    def outdated(self) -> str:
        """Why the evidence no longer speaks for what is published, as a sentence; empty while it does."""
        if not self.entry.is_listed:
            reason = f": {self.entry.standing_reason}" if self.entry.standing_reason else ""
            return f"{self.entry} is {self.entry.standing}{reason}."
        if self.report.sha256 != self.sha256 or not self.report.is_intact:
            return "The report is not the text that was frozen."
        return ""
