"""Models in versions, datasets, and uploads on their way in."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.models import Membership, Team, User
from compressionhub.library import partial
from compressionhub.library.values import Value
from workers.contract import Contract
from workers.errors import Problem
from workers.events import Tried
from workers.facts import DatasetFacts, ModelFacts
from workers.report import Measured
from workers.ticket import Blob, DataOptions


class State(models.TextChoices):
    """How far a file is: not yet looked at, understood, or refused."""

    VERIFYING = "verifying", "Verifying"
    READY = "ready", "Ready"
    REJECTED = "rejected", "Rejected"


def teams_of(user: Any) -> models.QuerySet[Any, Any]:
    """The ids of a person's teams, as a subquery."""
    if not user.is_authenticated or not user.is_active:
        return Membership.objects.none().values("team")
    return Membership.objects.filter(user=user).values("team")


class ModelQuerySet(models.QuerySet["TrainedModel"]):
    def visible_to(self, user: Any) -> ModelQuerySet:
        return self.filter(team__in=teams_of(user))

    def with_versions(self) -> ModelQuerySet:
        """Each with its versions at hand, newest first."""
        newest_first = ModelVersion.objects.order_by("-number").select_related("uploaded_by")
        return self.prefetch_related(models.Prefetch("versions", queryset=newest_first))


class TrainedModel(models.Model):
    """A trained network under one name; its revisions are versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(max_length=120)
    description = models.TextField(max_length=2000, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="one_model_of_a_name_per_team")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("library:model", args=[self.pk])

    @property
    def latest(self) -> ModelVersion | None:
        """The newest version, without a query where versions were prefetched newest first."""
        found = list(self.versions.all())
        return max(found, key=lambda version: version.number) if found else None


class StoredFile(models.Model):
    """A file of a team in the store, verified in the sandbox. ``sha256`` is empty until a worker has read it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.VERIFYING)
    filename = models.CharField(max_length=255)
    store_key = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField()
    facts_json = models.JSONField(null=True, blank=True)
    problem_json = models.JSONField(null=True, blank=True)
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True)

    problem = Value(Problem, "problem_json")

    class Meta:
        abstract = True

    @property
    def blob(self) -> Blob:
        """The file as a ticket names it."""
        return Blob(key=self.store_key, name=self.filename, sha256=self.sha256, size_bytes=self.size_bytes)

    @property
    def is_verifying(self) -> bool:
        return self.state == State.VERIFYING

    @property
    def is_ready(self) -> bool:
        return self.state == State.READY

    @property
    def is_rejected(self) -> bool:
        return self.state == State.REJECTED


class VersionQuerySet(models.QuerySet["ModelVersion"]):
    def visible_to(self, user: Any) -> VersionQuerySet:
        return self.filter(model__team__in=teams_of(user))

    def ready(self) -> VersionQuerySet:
        return self.filter(state=State.READY)


class ModelVersion(StoredFile):
    """One immutable revision of a model. ``parent`` is what a recipe made it from; none for an upload."""

    model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    original_json = models.JSONField(null=True, blank=True, help_text="The upload, where it came in another form.")
    contract_json = models.JSONField(null=True, blank=True)
    contract_is_guess = models.BooleanField(default=True, help_text="No person has edited or confirmed it.")
    contract_confirmed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    contract_confirmed_at = models.DateTimeField(null=True, blank=True)
    tried_json = models.JSONField(null=True, blank=True)
    tried_on = models.ForeignKey("Dataset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    trial_asked_at = models.DateTimeField(null=True, blank=True)
    trial_problem_json = models.JSONField(null=True, blank=True)

    measured_json = models.JSONField(null=True, blank=True)
    measured_on = models.ForeignKey("Dataset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    measured_device = models.CharField(max_length=200, blank=True)
    measured_at = models.DateTimeField(null=True, blank=True)

    facts = Value(ModelFacts, "facts_json")
    original = Value(Blob, "original_json")
    measured = Value(Measured, "measured_json")
    contract = Value(Contract, "contract_json")
    tried = Value(Tried, "tried_json")
    trial_problem = Value(Problem, "trial_problem_json")
    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["model", "-number"]
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="one_version_of_a_number_per_model")]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("library:version", args=[self.model_id, self.number])

    @property
    def team(self) -> Team:
        return self.model.team

    @property
    def is_confirmed(self) -> bool:
        """Whether a person has confirmed the input contract, which the first job waits for."""
        return self.contract_confirmed_at is not None

    @property
    def is_being_tried(self) -> bool:
        return self.trial_asked_at is not None


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: Any) -> DatasetQuerySet:
        return self.filter(team__in=teams_of(user))

    def ready(self) -> DatasetQuerySet:
        return self.filter(state=State.READY)


class Dataset(StoredFile):
    """Data with declared roles. ``target`` names the column of labels where the bytes do not say it."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=120)
    description = models.TextField(max_length=2000, blank=True)
    target = models.CharField(max_length=200, blank=True)
    split_seed = models.PositiveIntegerField(default=0)

    facts = Value(DatasetFacts, "facts_json")
    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="one_dataset_of_a_name_per_team")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("library:dataset", args=[self.pk])

    @property
    def options(self) -> DataOptions:
        """What a ticket must say about the data beside its bytes."""
        return DataOptions(target=self.target, split_seed=self.split_seed)


class FileKind(models.TextChoices):
    MODEL = "model", "Model"
    DATASET = "dataset", "Dataset"


class UploadQuerySet(models.QuerySet["Upload"]):
    def of(self, user: Any) -> UploadQuerySet:
        """One's own unfinished uploads on teams one is still on: nobody else may see that they exist."""
        return self.filter(by=user, team__in=teams_of(user))

    def expired(self) -> UploadQuerySet:
        return self.filter(expires_at__lte=timezone.now())


class Upload(models.Model):
    """A file on its way in. How much of it has arrived is asked of the disk: a crash cannot make the two disagree."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=10, choices=FileKind.choices)
    name = models.CharField(max_length=120)
    filename = models.CharField(max_length=255)
    model = models.ForeignKey(TrainedModel, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    target = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    arrived_at = models.DateTimeField(null=True, blank=True)
    arrived_as = models.CharField(max_length=300, blank=True, help_text="The address of the page of what it became.")

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.filename

    def get_absolute_url(self) -> str:
        return reverse("library:upload", args=[self.pk])

    @property
    def arrived_bytes(self) -> int:
        """How much of it lies on disk."""
        return partial.length(self.pk)
