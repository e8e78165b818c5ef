"""What must hold of a model, a dataset and a recipe before a job of them is queued."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from compressionhub.accounts.models import Team
from compressionhub.errors import HubError, Invalid, WrongState
from compressionhub.library.models import Dataset, ModelVersion
from workers.alike import NotAlike, see_borders_match, see_contracts_match
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.recipe import Recipe
from workers.technique import Need, Technique, can_be_taken_apart


def check_owned(team: Team, version: ModelVersion, dataset: Dataset) -> None:
    if version.team != team or dataset.team != team:
        raise Invalid(
            "Expected a model and a dataset of this team.",
            hint="Choose both from the library.",
            code="job.foreign-input",
        )


def ready_model(version: ModelVersion) -> ModelFacts:
    facts = version.facts
    if not version.is_ready or facts is None:
        raise WrongState(
            f"Expected a verified model, found {version} {version.get_state_display().lower()}.",
            hint="Wait for its verification, or upload it again.",
            code="job.model-not-ready",
        )
    if not version.is_confirmed:
        raise WrongState(
            f"Expected a confirmed input contract; nobody has confirmed that of {version} yet.",
            hint="Open the model, try it on ten samples and confirm.",
            code="job.contract-not-confirmed",
        )
    return facts


def ready_data(dataset: Dataset) -> DatasetFacts:
    facts = dataset.facts
    if not dataset.is_ready or facts is None:
        raise WrongState(
            f"Expected a verified dataset, found {dataset} {dataset.get_state_display().lower()}.",
            hint="Wait for its verification, or upload it again.",
            code="job.data-not-ready",
        )
    return facts


def check_roles(recipe: Recipe, data: DatasetFacts) -> None:
    test = data.roles.get(Role.TEST)
    if test is None or not test.rows:
        raise Invalid(
            "Expected test data to judge the result on, found none.",
            hint="Choose a dataset with x_test and y_test.",
            code="job.no-test-data",
        )
    check_calibration(recipe, data)


def check_validation(data: DatasetFacts) -> None:
    validation = data.roles.get(Role.VALIDATION)
    if validation is None or not validation.rows:
        raise Invalid(
            "Expected validation data to measure each layer on, found none.",
            hint="Choose a dataset with train rows: a tenth of them is taken.",
            code="job.no-validation-data",
        )


def check_layer_by_layer(step: Technique) -> None:
    """Whether the harm of a technique can be told layer from layer."""
    if not can_be_taken_apart(type(step)):
        raise Invalid(
            f"Expected a technique that treats layers one by one, found {step.about.title}.",
            hint="Choose one whose layers can be excluded and that neither trains nor searches.",
            code="sensitivity.technique",
        )


def check_calibration(recipe: Recipe, data: DatasetFacts) -> None:
    shared = data.overlaps.get(Role.CALIBRATION, 0)
    if shared and any(Need.CALIBRATION in step.about.needs for step in recipe.steps):
        raise Invalid(
            f"Expected calibration rows that are not test rows, found {shared} that are both.",
            hint="Remove them from the calibration data, or choose a technique that needs none.",
            code="job.calibration-overlaps-test",
        )


def check_fits(
    recipe: Recipe,
    facts: ModelFacts,
    data: DatasetFacts,
    device: DeviceProfile,
    *,
    others: Mapping[str, ModelFacts] = MappingProxyType({}),
) -> None:
    """Whether each step suits the network it works on: the job's, or one of ``others`` once a step goes on with it."""
    for position, step in enumerate(recipe.steps, start=1):
        facts = others.get(step.other_model, facts)
        fit = step.fits(facts, data, device)
        if fit.word == "does-not-fit":
            raise Invalid(
                f"Step {position}, {step.about.title}, does not fit: {fit.reason}",
                hint="Remove or replace the step.",
                code="job.does-not-fit",
            )


def check_others(version: ModelVersion, others: Mapping[str, ModelVersion]) -> dict[str, ModelFacts]:
    """What is known of the other models, once each can stand in the place of the job's.

    Raises:
        WrongState: if one is not ready, or its contract is not confirmed.
        NotAlike: if one takes or answers something else.
    """
    return {name: _suited(version, other) for name, other in others.items()}


def why_not(version: ModelVersion, other: ModelVersion) -> str:
    """Why one model cannot stand in another's place, in a sentence; empty if it can."""
    try:
        _suited(version, other)
    except (HubError, NotAlike) as error:
        return error.message
    return ""


def _suited(version: ModelVersion, other: ModelVersion) -> ModelFacts:
    ours, facts = ready_model(version), ready_model(other)
    if version.contract is None or other.contract is None:
        raise Invalid("Expected an input contract of both models.", hint="Open the model and confirm its contract.")
    see_contracts_match(version.contract, other.contract, name=str(other))
    see_borders_match(ours, facts, name=str(other))
    return facts
