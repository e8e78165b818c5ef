"""What can be done with jobs: check, write, audit, announce on commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.fleet.devices import profile
from compressionhub.fleet.models import Node
from compressionhub.fleet.routing import Route, route
from compressionhub.jobs import announce, journal, tickets, wishes
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import EVALUATE, Artifact, IdempotencyKey, Job, SavedRecipe, Step
from compressionhub.jobs.states import Kind, State, StepState
from compressionhub.library.models import Dataset, ModelVersion
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.preflight import START_SECONDS, Preflight, preflight
from workers.recipe import Recipe
from workers.technique import Need, Technique, can_be_taken_apart
from workers.ticket import Limits

URGENT, NORMAL = 0, 5


def outlook(
    *, version: ModelVersion, dataset: Dataset, recipe: Recipe, device: str = "host-1t"
) -> tuple[Preflight, Route]:
    """What a job would take and where it would run: the checks of ``submit`` without a person and without writing.

    Raises:
        WrongState: if the model or the dataset is not ready, or the contract is not confirmed.
        Invalid: if the data, the recipe or the device cannot be used, with what would help.
        YoursToFix: if the recipe's formats do not chain or its needs are not met.
    """
    facts, data = _ready_model(version), _ready_data(dataset)
    target = profile(device)
    recipe.check(data)
    _check_roles(recipe, data)
    _check_fits(recipe, facts, data, target)
    found = route(recipe, target, now=timezone.now())
    return _preflight(recipe, facts, data, target, found), found


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
    _check_owned(team, version, dataset)
    forecast, found = outlook(version=version, dataset=dataset, recipe=recipe, device=device)
    if forecast.refused:
        raise Invalid(
            forecast.refused,
            hint="Choose a smaller batch of data, fewer steps or a larger worker.",
            code="job.too-large",
        )
    job = _queue(
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
    Step.objects.bulk_create(_steps(job, recipe, forecast))
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
    _check_owned(team, version, dataset)
    facts, data, target = _ready_model(version), _ready_data(dataset), profile(device)
    if not can_be_taken_apart(type(step)):
        raise Invalid(
            f"Expected a technique that treats layers one by one, found {step.about.title}.",
            hint="Choose one whose layers can be excluded and that neither trains nor searches.",
            code="sensitivity.technique",
        )
    recipe = Recipe(steps=(step,))
    recipe.check(data)
    _check_validation(data)
    _check_calibration(recipe, data)
    _check_fits(recipe, facts, data, target)
    found = route(recipe, target, now=timezone.now())
    job = _queue(
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
    one, layers = step.forecast(facts).seconds, sum(1 for layer in facts.layers if layer.params) + 1
    spans = [Span(value=one.value * layers, low=one.low * layers, high=one.high * layers)]
    Step.objects.bulk_create(_step_rows(job, [(step.technique, step.model_dump(mode="json"))], spans))
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
    return _queue(
        team=item.team, kind=Kind.INSPECT, by=by or item.uploaded_by, version=version, dataset=dataset, priority=URGENT
    )


@transaction.atomic
def submit_trial(*, version: ModelVersion, dataset: Dataset, by: User | None = None) -> Job:
    """Queue ten samples through a contract. The library has checked who asks."""
    return _queue(team=version.team, kind=Kind.TRY, by=by, version=version, dataset=dataset, priority=URGENT)


@transaction.atomic
def cancel(*, job: Job, by: User) -> Job:
    """Ask a job to stop: between two batches, or by force a second later.

    Raises:
        NotAllowed: if ``by`` may not cancel jobs of this team.
        WrongState: if the job has already ended or is already stopping.
    """
    require(by, Verb.CANCEL_JOB, job.team)
    job = Job.objects.select_for_update().get(pk=job.pk)
    job.move_to(State.CANCELLING)
    journal.write(job, "cancel_asked", by=str(by))
    audit(by, "job.cancel", job)
    transaction.on_commit(lambda: wishes.stop_job(job))
    transaction.on_commit(lambda: announce.moved(job))
    return job


@transaction.atomic
def retry(*, job: Job, by: User) -> Job:
    """Queue a failed or cancelled job again; it goes on from its last cached step.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        WrongState: if the job has not failed and was not cancelled.
    """
    require(by, Verb.SUBMIT_JOB, job.team)
    job = Job.objects.select_for_update().get(pk=job.pk)
    if not job.can_retry:  # the table lets a running job be queued again too: that is the relay's move
        raise WrongState(
            f"Expected a job that failed or was cancelled, found one that is {job.get_state_display()}.",
            hint="Run it again instead: that makes a new job.",
            code="job.wrong-state",
        )
    job.move_to(State.QUEUED, save=False)
    _blank_for_retry(job)
    job.save()
    job.steps.exclude(state__in=(StepState.DONE, StepState.CACHED)).update(
        state=StepState.WAITING, done=0, total=0, text=""
    )
    journal.write(job, "queued", by=str(by), retry=True)
    audit(by, "job.retry", job, attempt=job.attempt)
    _send_on_commit(job)
    return job


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


@transaction.atomic
def save_recipe(*, team: Team, name: str, recipe: Recipe, by: User) -> SavedRecipe:
    """Keep a recipe under a name; a recipe of that name is replaced.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        Invalid: if the name is empty or too long.
    """
    require(by, Verb.SUBMIT_JOB, team)
    clean = " ".join(name.split())
    if not 1 <= len(clean) <= 80:
        raise Invalid(f"Expected a name of 1 to 80 letters, found {len(clean)}.", hint="Choose a shorter name.")
    value = recipe.model_dump(mode="json")
    saved, _ = SavedRecipe.objects.update_or_create(team=team, name=clean, defaults={"recipe": value, "created_by": by})
    audit(by, "recipe.save", saved)
    return saved


def record_download(*, artifact: Artifact, by: User) -> None:
    """Write down who takes a file a job made.

    Raises:
        NotAllowed: if ``by`` may not download artifacts of this team.
    """
    require(by, Verb.DOWNLOAD, artifact.job.team)
    audit(by, "job.download", artifact.job, file=artifact.name, sha256=artifact.sha256)


def _queue(
    *, team: Team, kind: Kind, by: User | None, version: ModelVersion | None, dataset: Dataset | None, **values: Any
) -> Job:
    """Write the row and its first event, and send the ticket once they are committed."""
    job = Job.objects.create(
        team=team,
        kind=kind,
        number=_next_number(team),
        submitted_by=by,
        model_version=version,
        dataset=dataset,
        **values,
    )
    journal.write(job, "queued", at=job.queued_at, by=str(by) if by else "", retry=False)
    _send_on_commit(job)
    return job


def _send_on_commit(job: Job) -> None:
    transaction.on_commit(lambda: tickets.send_by_id(job.pk))
    transaction.on_commit(lambda: announce.moved(job))


def _next_number(team: Team) -> int:
    """One more than the team's last job. The team's row is locked, so two submissions do not meet."""
    Team.objects.select_for_update().get(pk=team.pk)
    last = Job.objects.filter(team=team).aggregate(last=Max("number"))["last"]
    return int(last or 0) + 1


def _blank_for_retry(job: Job) -> None:
    job.attempt += 1
    job.lost_attempts = job.seq = 0
    job.run = job.node = job.node_start = ""
    job.queued_at = timezone.now()
    job.started_at = job.finished_at = job.problem = job.report = None
    job.progress, job.eta_seconds = 0.0, None


def _check_owned(team: Team, version: ModelVersion, dataset: Dataset) -> None:
    if version.team != team or dataset.team != team:
        raise Invalid(
            "Expected a model and a dataset of this team.",
            hint="Choose both from the library.",
            code="job.foreign-input",
        )


def _ready_model(version: ModelVersion) -> ModelFacts:
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


def _ready_data(dataset: Dataset) -> DatasetFacts:
    facts = dataset.facts
    if not dataset.is_ready or facts is None:
        raise WrongState(
            f"Expected a verified dataset, found {dataset} {dataset.get_state_display().lower()}.",
            hint="Wait for its verification, or upload it again.",
            code="job.data-not-ready",
        )
    return facts


def _check_roles(recipe: Recipe, data: DatasetFacts) -> None:
    test = data.roles.get(Role.TEST)
    if test is None or not test.rows:
        raise Invalid(
            "Expected test data to judge the result on, found none.",
            hint="Choose a dataset with x_test and y_test.",
            code="job.no-test-data",
        )
    _check_calibration(recipe, data)


def _check_validation(data: DatasetFacts) -> None:
    validation = data.roles.get(Role.VALIDATION)
    if validation is None or not validation.rows:
        raise Invalid(
            "Expected validation data to measure each layer on, found none.",
            hint="Choose a dataset with train rows: a tenth of them is taken.",
            code="job.no-validation-data",
        )


def _check_calibration(recipe: Recipe, data: DatasetFacts) -> None:
    shared = data.overlaps.get(Role.CALIBRATION, 0)
    if shared and any(Need.CALIBRATION in step.about.needs for step in recipe.steps):
        raise Invalid(
            f"Expected calibration rows that are not test rows, found {shared} that are both.",
            hint="Remove them from the calibration data, or choose a technique that needs none.",
            code="job.calibration-overlaps-test",
        )


def _check_fits(recipe: Recipe, facts: ModelFacts, data: DatasetFacts, device: DeviceProfile) -> None:
    for position, step in enumerate(recipe.steps, start=1):
        fit = step.fits(facts, data, device)
        if fit.word == "does-not-fit":
            raise Invalid(
                f"Step {position}, {step.about.title}, does not fit: {fit.reason}",
                hint="Remove or replace the step.",
                code="job.does-not-fit",
            )


def _preflight(recipe: Recipe, facts: ModelFacts, data: DatasetFacts, device: DeviceProfile, found: Route) -> Preflight:
    """Against the largest living worker of the queue, and never more than a ticket allows."""
    limits = Limits()
    nodes = Node.objects.alive(timezone.now()).serving(found.queue)
    largest = max((int(node.facts["memory_bytes"]) for node in nodes), default=limits.memory_bytes)
    memory_bytes = min(limits.memory_bytes, largest)
    return preflight(recipe, facts, data, device, memory_bytes=memory_bytes, disk_bytes=limits.disk_bytes)


def _steps(job: Job, recipe: Recipe, forecast: Preflight) -> list[Step]:
    """A row per step and one for the evaluation, each with the seconds it is expected to take."""
    spans = [item.forecast.seconds for item in forecast.steps]
    spans.append(_evaluation_span(forecast, spans))
    named: list[tuple[str, dict[str, Any]]] = [(step.technique, step.model_dump(mode="json")) for step in recipe.steps]
    return _step_rows(job, [*named, (EVALUATE, {})], spans)


def _step_rows(job: Job, named: Sequence[tuple[str, dict[str, Any]]], spans: Sequence[Span]) -> list[Step]:
    return [
        Step(
            job=job,
            index=index,
            technique=slug,
            parameters=values,
            forecast_seconds=max(span.value, 0.1),
            forecast_low_seconds=max(span.low, 0.05),
            forecast_high_seconds=max(span.high, 0.2),
        )
        for index, ((slug, values), span) in enumerate(zip(named, spans, strict=True))
    ]


def _evaluation_span(forecast: Preflight, steps: list[Span]) -> Span:
    """What is left of the whole job's forecast without its start and its steps."""
    whole, start = forecast.seconds, START_SECONDS
    return Span(
        value=max(1.0, whole.value - start.value - sum(span.value for span in steps)),
        low=max(0.5, whole.low - start.low - sum(span.low for span in steps)),
        high=max(2.0, whole.high - start.high - sum(span.high for span in steps)),
    )
