"""Jobs in the API: techniques, submit, state, events, cancel, download."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Union
from uuid import UUID

from django.db.models import Exists
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Header, Query, Router, Status
from pydantic import Field

from compressionhub.accounts.bearer import AsyncBearer, AsyncSession, Caller
from compressionhub.accounts.models import ApiToken, Scope
from compressionhub.jobs import actions, sse
from compressionhub.jobs.gate import Gate, GateResult
from compressionhub.jobs.models import Artifact, Job
from compressionhub.jobs.queries import JobQuerySet
from compressionhub.jobs.states import State
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.sending import SentFile
from workers.errors import Frozen, Problem
from workers.facts import Span
from workers.recipe import MOST_STEPS, from_value, techniques
from workers.recipe import step as one_step
from workers.report import Report, Sensitivity
from workers.technique import Technique

router = Router(tags=["jobs"])
MOST = 100
# One schema per technique, told apart by its slug: the documentation of the API lists every parameter.
if TYPE_CHECKING:
    StepIn = Technique
else:
    StepIn = Annotated[Union[tuple(techniques().values())], Field(discriminator="technique")]  # noqa: UP007


def _content(kind: str) -> dict[str, Any]:
    """What an operation answers that is not JSON."""
    return {"responses": {200: {"description": "OK", "content": {kind: {"schema": {"type": "string"}}}}}}


class Asked(HttpRequest):
    """A request whose caller is known."""

    auth: Caller


class TechniqueOut(Frozen):
    slug: str
    title: str
    card: str
    family: str
    needs: list[str]
    source: str
    version: int
    parameters: dict[str, Any]


class JobIn(Frozen):
    """What to do: which model version, with which data, which steps."""

    model_version: UUID
    dataset: UUID
    steps: list[StepIn] = Field(min_length=1, max_length=MOST_STEPS)
    device: str = Field(default="host-1t", max_length=60)
    seed: int = Field(default=0, ge=0, lt=2**31)
    gate: Gate = Gate()


class SensitivityIn(Frozen):
    """Which layers does this step harm, on this model version, by the validation rows of this dataset?"""

    model_version: UUID
    dataset: UUID
    step: StepIn
    device: str = Field(default="host-1t", max_length=60)
    seed: int = Field(default=0, ge=0, lt=2**31)


class StepOut(Frozen):
    index: int
    technique: str
    title: str
    parameters: dict[str, Any]
    state: str
    share: float
    seconds: float | None


class ArtifactOut(Frozen):
    name: str
    sha256: str
    size_bytes: int


class JobOut(Frozen):
    """A job. ``position`` is that of its newest event; ``report`` is there once it was measured."""

    id: UUID
    number: int
    kind: str
    state: State
    attempt: int
    lost_attempts: int
    position: int
    progress: float
    eta: Span | None
    model_version: UUID | None
    dataset: UUID | None
    device: str
    queue: str
    seed: int
    node: str
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: list[StepOut]
    artifacts: list[ArtifactOut]
    gate: Gate | None
    gate_result: GateResult | None
    report: Report | None
    sensitivity: Sensitivity | None
    problem: Problem | None


class ListIn(Frozen):
    """Which jobs; a page holds 100."""

    state: State | None = None
    page: int = Field(default=1, ge=1, le=10_000)


@router.get("/techniques", response=list[TechniqueOut], summary="List the techniques and their parameters")
def list_techniques(request: Asked) -> list[TechniqueOut]:
    return [
        TechniqueOut(
            slug=slug,
            title=kind.about.title,
            card=kind.card(),
            family=kind.about.family,
            needs=sorted(kind.about.needs),
            source=kind.about.source,
            version=kind.about.version,
            parameters=kind.model_json_schema(),
        )
        for slug, kind in techniques().items()
    ]


@router.post("/jobs", response={200: JobOut, 201: JobOut}, summary="Submit a job")
def submit(
    request: Asked,
    body: JobIn,
    idempotency_key: Annotated[str, Header(alias="Idempotency-Key", max_length=200)] = "",
) -> Status[JobOut]:
    """Queue a recipe. With an Idempotency-Key, sending the same body again gives the same job (200 instead of 201)."""
    caller = request.auth
    caller.require(Scope.WRITE)
    wanted: dict[str, Any] = {
        "version": get_object_or_404(ModelVersion.objects.visible_to(caller.user), pk=body.model_version),
        "dataset": get_object_or_404(Dataset.objects.visible_to(caller.user), pk=body.dataset),
        "recipe": from_value([step.model_dump() for step in body.steps]),
        "device": body.device,
        "seed": body.seed,
        "gate": body.gate,
    }
    if not idempotency_key:
        return Status(201, shown(actions.submit(by=caller.user, team=caller.team, **wanted)))
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    job, new = actions.submit_once(by=caller.user, team=caller.team, key=idempotency_key, body_sha256=digest, **wanted)
    return Status(201 if new else 200, shown(job))


@router.post("/sensitivity", response={201: JobOut}, summary="Find the layers that a technique harms")
def submit_sensitivity(request: Asked, body: SensitivityIn) -> Status[JobOut]:
    """Queue a job that treats each layer alone; once it has succeeded, ``sensitivity`` names the layers to exclude."""
    caller = request.auth
    caller.require(Scope.WRITE)
    job = actions.submit_sensitivity(
        by=caller.user,
        team=caller.team,
        version=get_object_or_404(ModelVersion.objects.visible_to(caller.user), pk=body.model_version),
        dataset=get_object_or_404(Dataset.objects.visible_to(caller.user), pk=body.dataset),
        step=one_step(body.step.model_dump()),
        device=body.device,
        seed=body.seed,
    )
    return Status(201, shown(job))


@router.get("/jobs", response=list[JobOut], summary="List jobs, newest first")
def list_jobs(request: Asked, which: Annotated[ListIn, Query()]) -> list[JobOut]:
    jobs = (
        Job.objects.visible_to(request.auth.user)
        .filter(team=request.auth.team)
        .with_progress()
        .prefetch_related("artifacts")
    )
    if which.state:
        jobs = jobs.filter(state=which.state)
    return [shown(job) for job in jobs[(which.page - 1) * MOST : which.page * MOST]]


@router.get("/jobs/{uuid:pk}", response=JobOut, summary="Read a job")
def read(request: Asked, pk: UUID) -> JobOut:
    return shown(_job(request.auth, pk))


@router.post("/jobs/{uuid:pk}/cancel", response={202: JobOut}, summary="Ask a job to stop")
def cancel(request: Asked, pk: UUID) -> Status[JobOut]:
    request.auth.require(Scope.WRITE)
    return Status(202, shown(actions.cancel(job=_job(request.auth, pk), by=request.auth.user)))


@router.post("/jobs/{uuid:pk}/retry", response={202: JobOut}, summary="Queue a failed or cancelled job again")
def retry(request: Asked, pk: UUID) -> Status[JobOut]:
    request.auth.require(Scope.WRITE)
    return Status(202, shown(actions.retry(job=_job(request.auth, pk), by=request.auth.user)))


@router.get(
    "/jobs/{uuid:pk}/artifacts/{str:name}",
    summary="Download a file the job made",
    openapi_extra=_content("application/octet-stream"),
)
def download(request: Asked, pk: UUID, name: str) -> SentFile:
    """The file, for example ``bundle.zip``. The download is written into the audit trail."""
    request.auth.require(Scope.WRITE)
    artifact = get_object_or_404(Artifact, job=_job(request.auth, pk), name=name)
    actions.record_download(artifact=artifact, by=request.auth.user)
    return SentFile(artifact.key, filename=artifact.name, sha256=artifact.sha256)


@router.get(
    "/jobs/{uuid:pk}/events",
    auth=[AsyncBearer(), AsyncSession()],
    summary="Follow a job's events (server-sent events)",
    openapi_extra=_content("text/event-stream"),
)
async def events(
    request: Asked,
    pk: UUID,
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=20)] = "",
    after: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> HttpResponseBase:
    """Each event has its position as id, its type as event, and ``{position, type, attempt, at, payload}`` as data.

    Give the last id you have seen as ``Last-Event-ID`` (or ``after``) to go on behind it. 204 says that the
    job has ended and nothing more will come.
    """
    seen = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 10 else after
    caller = request.auth
    return await sse.follow(pk, may_see=lambda: _jobs_of(caller), after=seen)


def _jobs_of(caller: Caller) -> JobQuerySet:
    """What a caller may see: a token acts for one team, whatever others its owner is on, and only while it works."""
    jobs = Job.objects.visible_to(caller.user).filter(team=caller.team)
    return jobs if caller.token is None else jobs.filter(Exists(ApiToken.objects.usable().filter(pk=caller.token.pk)))


def _job(caller: Caller, pk: UUID) -> Job:
    jobs = _jobs_of(caller)
    return get_object_or_404(jobs.with_progress().prefetch_related("artifacts"), pk=pk)


def shown(job: Job) -> JobOut:
    """A job as the API tells it."""
    return JobOut(
        id=job.pk,
        number=job.number,
        kind=job.kind,
        state=State(job.state),
        attempt=job.attempt,
        lost_attempts=job.lost_attempts,
        position=job.position,
        progress=job.progress,
        eta=job.eta,
        model_version=job.model_version_id,
        dataset=job.dataset_id,
        device=job.device,
        queue=job.queue,
        seed=job.seed,
        node=job.node,
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        gate=job.gate_value,
        gate_result=job.gate_result,
        report=job.report_value,
        sensitivity=job.sensitivity_value,
        problem=job.problem_value,
        steps=[
            StepOut(
                index=step.index,
                technique=step.technique,
                title=step.title,
                parameters=step.parameters,
                state=step.state,
                share=step.share,
                seconds=step.seconds,
            )
            for step in job.steps.all()
        ],
        artifacts=[
            ArtifactOut(name=item.name, sha256=item.sha256, size_bytes=item.size_bytes) for item in job.artifacts.all()
        ],
    )
