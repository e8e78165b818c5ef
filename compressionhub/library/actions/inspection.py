"""What the sandbox found out, written down. Called for the hub itself, never by a person."""

from __future__ import annotations

from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.library.models import Dataset, ModelVersion, State
from workers.contract import Contract
from workers.errors import Problem
from workers.events import Tried
from workers.facts import DatasetFacts, ModelFacts
from workers.report import Measured
from workers.ticket import Blob

Item = TypeVar("Item", ModelVersion, Dataset)


@transaction.atomic
def record_model_inspection(
    *, version: ModelVersion, facts: ModelFacts, contract: Contract, sha256: str = "", converted: Blob | None = None
) -> ModelVersion:
    """Write what the sandbox found in a model. A contract that a person edited or confirmed is not replaced.

    A file that came in another form keeps its place as ``original``; everything else goes by its ONNX form.
    """
    version = _locked(version)
    if converted is not None:
        version.original = version.original or version.blob.model_copy(update={"sha256": sha256 or version.sha256})
        version.store_key, version.size_bytes, sha256 = converted.key, converted.size_bytes, converted.sha256
        version.filename = converted.name
    version.facts = facts
    if version.contract_is_guess:
        version.contract = contract
    return _record_ready(version, sha256)


def _locked(version: ModelVersion) -> ModelVersion:
    return ModelVersion.objects.select_for_update(of=("self",)).select_related("model__team").get(pk=version.pk)


@transaction.atomic
def record_dataset_inspection(*, dataset: Dataset, facts: DatasetFacts, sha256: str = "") -> Dataset:
    """Write what the sandbox found in a dataset."""
    dataset = Dataset.objects.select_for_update(of=("self",)).select_related("team").get(pk=dataset.pk)
    dataset.facts = facts
    return _record_ready(dataset, sha256)


def _record_ready(item: Item, sha256: str) -> Item:
    item.state, item.problem, item.verified_at = State.READY, None, timezone.now()
    item.sha256 = sha256 or item.sha256
    item.save()
    audit(None, "library.verified", item, item.team)
    return item


@transaction.atomic
def record_rejection(*, item: ModelVersion | Dataset, problem: Problem, sha256: str = "") -> None:
    """Write why a file was refused, in words a person can act on."""
    item.state, item.problem, item.verified_at = State.REJECTED, problem, timezone.now()
    item.sha256 = sha256 or item.sha256
    item.save(update_fields=["state", "problem_json", "verified_at", "sha256"])
    audit(None, "library.rejected", item, item.team, code=problem.code)


@transaction.atomic
def record_trial(*, version: ModelVersion, dataset: Dataset, tried: Tried) -> None:
    """Write what ten samples gave, and the contract they went through where it is still a guess.

    A guess made with the data at hand is better than the one made from the network alone: whether values
    run from 0 to 255 or to 1, and how the classes are called, stands in the data. A contract that a person
    edited while the samples were on their way stays, and the answer to the older one is dropped.
    """
    version = _locked(version)
    if version.contract_is_guess:
        version.contract = tried.contract
    elif tried.contract != version.contract:
        return
    version.tried, version.tried_on, version.trial_problem, version.trial_asked_at = tried, dataset, None, None
    version.save(update_fields=["contract_json", "tried_json", "tried_on", "trial_problem_json", "trial_asked_at"])
    audit(None, "contract.tried", version, version.team, metric=tried.metric, value=tried.measured.value)


@transaction.atomic
def record_trial_failure(*, version: ModelVersion, problem: Problem) -> None:
    """Write why ten samples could not be run."""
    version.trial_problem, version.trial_asked_at = problem, None
    version.save(update_fields=["trial_problem_json", "trial_asked_at"])
    audit(None, "contract.try-failed", version, version.team, code=problem.code)


@transaction.atomic
def record_measurement(*, version: ModelVersion, measured: Measured, dataset: Dataset, device: str) -> None:
    """Write what a job measured on the untouched network: its task metrics on test data and its latency.

    Args:
        device: the title of the device profile it was measured on.
    """
    version.measured, version.measured_on, version.measured_device = measured, dataset, device[:200]
    version.measured_at = timezone.now()
    version.save(update_fields=["measured_json", "measured_on", "measured_device", "measured_at"])
