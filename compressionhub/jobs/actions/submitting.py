"""How jobs are asked for: by people with a recipe or a question, and by the library with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.fleet.devices import profile
from compressionhub.fleet.models import Node
from compressionhub.fleet.routing import Route, route
from compressionhub.jobs.actions.checks import (
    check_calibration,
    check_fits,
    check_layer_by_layer,
    check_others,
    check_owned,
    check_roles,
    check_validation,
    ready_data,
    ready_model,
)
from compressionhub.jobs.actions.queueing import queue, step_rows, steps
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import IdempotencyKey, Job, Step
from compressionhub.jobs.others import others_of
from compressionhub.jobs.states import Kind
from compressionhub.library.models import Dataset, ModelVersion
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.preflight import Preflight, preflight
from workers.recipe import Recipe
from workers.technique import Technique
from workers.ticket import Limits

URGENT, NORMAL = 0, 5


def outlook(
    *, version: ModelVersion, dataset: Dataset, recipe: Recipe, device: str = "host-1t"
) -> tuple[Preflight, Route]:
    """What a job would take and where it would run: the checks of ``submit`` without a person and without writing.

    Raises:
        WrongState: if the model or the dataset is not ready, or the contract is not confirmed.
        Invalid: if the data, the recipe or the device cannot be used, with what would help.
        NoSuchModel: if the recipe names a model that the team does not have.
        YoursToFix: if the recipe's steps conflict, its needs are not met, or a model it names does not suit.
    """
    facts, data = ready_model(version), ready_data(dataset)
    target = profile(device)
    recipe.check(data)
    check_roles(recipe, data)
    others = check_others(version, others_of(recipe, version.team))
    check_fits(recipe, facts, data, target, others=others)
    found = route(recipe, target, now=timezone.now())
    return _preflight(recipe, facts, data, target, found, others=others), found


@transaction.atomic
def submit(
    *,
    by: User,
    team: Team,
    version: ModelVersion,
    dataset: Dataset,
    recipe: Recipe,
    device: str = "host-1t",
    seed: int = 0,
    gate: Gate | None = None,
    copy_of: Job | None = None,
) -> Job:
    """Queue a recipe to be applied to a model version.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        WrongState, Invalid, YoursToFix: see ``outlook``; also Invalid if a memory or disk limit would be passed.
    """
    require(by, Verb.SUBMIT_JOB, team)
    check_owned(team, version, dataset)
    forecast, found = outlook(version=version, dataset=dataset, recipe=recipe, device=device)
    if forecast.refused:
        raise Invalid(
            forecast.refused,
            hint="Choose a smaller batch of data, fewer steps or a larger worker.",
            code="job.too-large",
        )
    job = queue(
        team=team,
        kind=Kind.COMPRESS,
        by=by,
        version=version,
        dataset=dataset,
        queue=found.queue,
        priority=NORMAL,
        recipe=recipe.model_dump(mode="json"),
        device=device,
        seed=seed,
        gate=(gate or Gate()).model_dump(mode="json"),
        preflight=forecast.model_dump(mode="json"),
        copy_of=copy_of,
    )
    job.others.set(others_of(recipe, team).values())
    Step.objects.bulk_create(steps(job, recipe, forecast))
    audit(by, "job.submit", job, recipe=job.recipe_summary, model=str(version), dataset=str(dataset))
    return job


@transaction.atomic
def submit_sensitivity(
    *,
    by: User,
    team: Team,
    version: ModelVersion,
    dataset: Dataset,
    step: Technique,
    device: str = "host-1t",
    seed: int = 0,
    copy_of: Job | None = None,
) -> Job:
    """Queue the search for the layers that a technique harms. ``copy_of``: the job whose result raised the question.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        WrongState, Invalid, YoursToFix: if the model, the data, the technique or the device cannot be used.
    """
    require(by, Verb.SUBMIT_JOB, team)
    check_owned(team, version, dataset)
    facts, data, target = ready_model(version), ready_data(dataset), profile(device)
    check_layer_by_layer(step)
    recipe = Recipe(steps=(step,))
    recipe.check(data)
    check_validation(data)
    check_calibration(recipe, data)
    check_fits(recipe, facts, data, target)
    found = route(recipe, target, now=timezone.now())
    job = queue(
        team=team,
        kind=Kind.SENSITIVITY,
        by=by,
        version=version,
        dataset=dataset,
        queue=found.queue,
        priority=NORMAL,
        recipe=recipe.model_dump(mode="json"),
        device=device,
        seed=seed,
        copy_of=copy_of,
    )
    named = [(step.technique, step.model_dump(mode="json"))]
    Step.objects.bulk_create(step_rows(job, named, [_span_of_layers(step, facts)]))
    audit(by, "job.sensitivity", job, technique=step.about.title, model=str(version), dataset=str(dataset))
    return job


@transaction.atomic
def submit_once(*, by: User, team: Team, key: str, body_sha256: str, **wanted: Any) -> tuple[Job, bool]:
    """Submit under a key: the same key with the same body gives the same job.

    Returns:
        The job, and whether it is new.

    Raises:
        WrongState: if the key was used with another body.
        NotAllowed, Invalid, YoursToFix: see ``submit``.
    """
    Team.objects.select_for_update().get(pk=team.pk)
    known = IdempotencyKey.objects.select_related("job").filter(team=team, user=by, key=key).first()
    if known is not None:
        if known.body_sha256 != body_sha256:
            raise WrongState(
                "This Idempotency-Key was used with another body.",
                hint="Use a new key for a new job.",
                code="job.key-reused",
            )
        return known.job, False
    job = submit(by=by, team=team, **wanted)
    IdempotencyKey.objects.create(team=team, user=by, key=key, body_sha256=body_sha256, job=job)
    return job, True


@transaction.atomic
def submit_inspection(*, item: ModelVersion | Dataset, by: User | None = None) -> Job:
    """Queue the verification of a file that arrived. The library calls for it; no person needs to be allowed."""
    version = item if isinstance(item, ModelVersion) else None
    dataset = item if isinstance(item, Dataset) else None
    return queue(
        team=item.team, kind=Kind.INSPECT, by=by or item.uploaded_by, version=version, dataset=dataset, priority=URGENT
    )


@transaction.atomic
def submit_trial(*, version: ModelVersion, dataset: Dataset, by: User | None = None) -> Job:
    """Queue ten samples through a contract. The library has checked who asks."""
    return queue(team=version.team, kind=Kind.TRY, by=by, version=version, dataset=dataset, priority=URGENT)


def run_again(*, job: Job, by: User) -> Job:
    """Submit a new job with the same model, data, recipe, device, seed and gate.

    Raises:
        Invalid: if the job is an inspection or a trial.
        NotAllowed, WrongState, YoursToFix: see ``submit``.
    """
    if job.kind == Kind.SENSITIVITY and job.model_version and job.dataset and job.recipe_value:
        return submit_sensitivity(
            by=by,
            team=job.team,
            version=job.model_version,
            dataset=job.dataset,
            step=job.recipe_value.steps[0],
            device=job.device,
            seed=job.seed,
            copy_of=job.copy_of,
        )
    if job.kind != Kind.COMPRESS or job.model_version is None or job.dataset is None or job.recipe_value is None:
        raise Invalid(
            "Only a job with a recipe can run again.", hint="Upload the file again to have it inspected again."
        )
    return submit(
        by=by,
        team=job.team,
        version=job.model_version,
        dataset=job.dataset,
        recipe=job.recipe_value,
        device=job.device,
        seed=job.seed,
        gate=job.gate_value,
        copy_of=job,
    )


def _span_of_layers(step: Technique, facts: ModelFacts) -> Span:
    """What a step takes on every layer with weights by itself, and once more on all of them."""
    one, times = step.forecast(facts).seconds, sum(1 for layer in facts.layers if layer.params) + 1
    return Span(value=one.value * times, low=one.low * times, high=one.high * times)


def _preflight(
    recipe: Recipe,
    facts: ModelFacts,
    data: DatasetFacts,
    device: DeviceProfile,
    found: Route,
    *,
    others: Mapping[str, ModelFacts],
) -> Preflight:
    """Against the largest living worker of the queue, and never more than a ticket allows."""
    limits = Limits()
    nodes = Node.objects.alive(timezone.now()).serving(found.queue)
    largest = max((int(node.facts["memory_bytes"]) for node in nodes), default=limits.memory_bytes)
    memory_bytes = min(limits.memory_bytes, largest)
    return preflight(
        recipe, facts, data, device, memory_bytes=memory_bytes, disk_bytes=limits.disk_bytes, others=others
    )
