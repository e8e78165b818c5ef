"""A step of a job: its technique, how far it is, and what it left."""

from __future__ import annotations

from functools import cached_property

from django.db import models

from compressionhub.jobs.models.job import Job
from compressionhub.jobs.states import StepState
from workers.recipe import techniques
from workers.report import Checkpoint
from workers.technique import Technique

EVALUATE = "evaluate"


class Step(models.Model):
    """One step of a compress job; the last one evaluates."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    index = models.PositiveSmallIntegerField()
    technique = models.CharField(max_length=80)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.WAITING)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    text = models.CharField(max_length=200, blank=True)
    says = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(null=True)
    forecast_seconds = models.FloatField(default=1.0)
    forecast_low_seconds = models.FloatField(default=1.0)
    forecast_high_seconds = models.FloatField(default=1.0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    checkpoint = models.JSONField(null=True)

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["job", "index"], name="step_index_once_per_job")]

    def __str__(self) -> str:
        return f"{self.index + 1} {self.title}"

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def is_evaluation(self) -> bool:
        return self.technique == EVALUATE

    @cached_property
    def configured(self) -> Technique | None:
        """The technique with its parameters; none for the evaluation."""
        kind = techniques().get(self.technique)
        return kind.model_validate(self.parameters) if kind else None

    @property
    def title(self) -> str:
        return (
            "Evaluate and verify"
            if self.is_evaluation
            else self.configured.about.title
            if self.configured
            else self.technique
        )

    @property
    def family(self) -> str:
        return str(self.configured.about.family) if self.configured else ""

    @property
    def summary(self) -> str:
        if self.is_evaluation:
            return "reload in a clean process, compare"
        return self.configured.summary() if self.configured else ""

    @property
    def is_over(self) -> bool:
        return self.state in (StepState.DONE, StepState.CACHED)

    @property
    def share(self) -> float:
        """How far the step is, 0 to 1."""
        if self.is_over:
            return 1.0
        return min(1.0, self.done / self.total) if self.total and self.state == StepState.RUNNING else 0.0

    @cached_property
    def checkpoint_value(self) -> Checkpoint | None:
        return Checkpoint.model_validate(self.checkpoint) if self.checkpoint else None
