"""The sample team's first work, done through the real actions: upload, confirm, submit, publish, report, ask.

Nothing here is written into rows directly, so the sample is also a test of the whole way. Every part
looks for what is there already: a start that was cut off goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.models import Membership, Team, User
from compressionhub.accounts.permissions import Role
from compressionhub.estimates import actions as estimates
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.estimates.models import Workload
from compressionhub.jobs import actions as jobs
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library import actions as library
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.store import store
from compressionhub.zoo import actions as zoo
from compressionhub.zoo.approvals import actions as approvals
from compressionhub.zoo.deploying import record_deployment
from compressionhub.zoo.models import Approval, Deployment, Entry
from compressionhub.zoo.reports import actions as reports
from workers.recipe import from_value

EXAMPLES = Path(settings.BASE_DIR) / "examples" / "digits"
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 600
T = TypeVar("T")


@dataclass(frozen=True)
class SampleModel:
    name: str
    file: str
    description: str


@dataclass(frozen=True)
class SampleJob:
    """A recipe for one of the models, and the name and sentence under which its result is published."""

    model: str
    entry: str
    summary: str
    steps: tuple[dict[str, Any], ...]


DATA_NAME = "handwritten digits"
DATA_TEXT = "1,797 handwritten digits of 8 × 8 pixels, from the UCI optical recognition set as scikit-learn ships it."
MODELS = (
    SampleModel("digits-cnn", "digits-cnn.onnx", "A small convolutional network that reads a handwritten digit."),
    SampleModel("digits-mlp", "digits-mlp.onnx", "A fully connected network that reads a handwritten digit."),
)
GATE = Gate(max_drop_points=1.0)
WORKLOAD_NAME = "Letters of a national post (sample)"
DIGITS_A_DAY = 100e6 * 20  # a hundred million letters, twenty digits read on each: invented, like the team
PLACE = {"provider": "azure", "region": "eastus", "instance": "Standard_D4s_v6"}  # its processor has published times
SERVED_FOR, REPLACED_FOR = timedelta(days=90), timedelta(days=30)
JOB_RATES = {"usd_per_hour": 0.202, "watts": 20.0}
QUESTION = "May it take its baseline's place? (sample)"
ASKED = "This is a sample of a request. The baseline serves untouched; the report says what the variant changes."
JOBS = (
    SampleJob(
        "digits-cnn",
        "digits-cnn-int8",
        "Convolutions in 8 bits: these run on the processor's own int8 instructions.",
        ({"technique": "static-int8"},),
    ),
    SampleJob(
        "digits-cnn",
        "digits-cnn-fp16",
        "Half the file. The processor widens float16 before it computes, so nothing gets faster.",
        ({"technique": "fp16"},),
    ),
    SampleJob(
        "digits-mlp",
        "digits-mlp-pruned-int8",
        "Small weights to zero, then 8 bits: zeros shrink the zipped file only, the 8 bits shrink all of it.",
        ({"technique": "magnitude-pruning", "sparsity": 0.3}, {"technique": "static-int8"}),
    ),
)


class NotInTime(Exception):
    """A worker did not finish a part of the sample in time."""


def seed(*, say: Callable[[str], None]) -> None:
    """Fill the first team: a workload, a dataset, two models, three jobs, entries for those that pass, deployments, and
    a request for approval on a report.

    Raises:
        NotInTime: if no worker does the work within ten minutes.
    """
    team, owner = first_team()
    _workload(team, owner)
    dataset = _dataset(team, owner)
    versions = {sample.name: _version(sample, team, owner) for sample in MODELS}
    say("Sample files uploaded; waiting for a worker to verify them.")
    _until(lambda: _ready(dataset), f"verifying {dataset}")
    for version in versions.values():
        _confirm(version, dataset, owner)
    submitted = [(sample, _job(sample, versions[sample.model], dataset, team, owner)) for sample in JOBS]
    say(f"{len(submitted)} sample jobs are queued.")
    for sample, job in submitted:
        _publish(sample, job, owner, say)
    _deployments(team, owner, versions)
    _request(team, owner)


def first_team() -> tuple[Team, User]:
    """The oldest team and its owner."""
    team = Team.objects.order_by("created_at").first()
    owner = Membership.objects.filter(team=team, role=Role.OWNER).select_related("user").first() if team else None
    if team is None or owner is None:
        raise NotInTime("Expected a team with an owner, found none. Start the hub with 'up' first.")
    return team, owner.user


def _workload(team: Team, owner: User) -> None:
    """The team's usual workload, so that savings have figures as soon as there is an entry."""
    if Workload.objects.filter(team=team).exists():
        return
    author = str(owner)
    usual = {"name": WORKLOAD_NAME, "requests_per_day": DIGITS_A_DAY, "peak_factor": 2.5, "sla_p95_ms": 20, **PLACE}
    assumed = {"workload": {**usual, "author": author}, "job": {**JOB_RATES, "author": author}}
    estimates.create(team=team, by=owner, assumed=Assumptions.model_validate(assumed))


def _deployments(team: Team, owner: User, versions: dict[str, ModelVersion]) -> None:
    """Both networks serve the workload; one of them was replaced by its variant since. Invented, like the team."""
    workload, today = Workload.objects.filter(team=team, name=WORKLOAD_NAME).first(), timezone.localdate()
    if workload is None or Deployment.objects.filter(team=team).exists():
        return
    for version in versions.values():
        record_deployment(team=team, by=owner, served=version, workload=workload, since=today - SERVED_FOR)
    replaced = Entry.objects.listed().filter(team=team, name=JOBS[0].entry).first()
    if replaced is not None:
        record_deployment(team=team, by=owner, served=replaced, workload=workload, since=today - REPLACED_FOR)


def _request(team: Team, owner: User) -> None:
    """One frozen report, on the variant whose baseline serves untouched, and the request to let it take over."""
    workload = Workload.objects.filter(team=team, name=WORKLOAD_NAME).first()
    waiting = Deployment.objects.running().filter(team=team, workload=workload, entry=None).values("baseline")
    names = [sample.entry for sample in JOBS]
    entry = Entry.objects.listed().filter(team=team, name__in=names, baseline__in=waiting).first()
    if workload is None or entry is None or Approval.objects.filter(team=team).exists():
        return
    with transaction.atomic():
        report = reports.make(team=team, by=owner, entries=[entry], workload=workload, question=QUESTION)
        approvals.ask(report=report, by=owner, why=ASKED)


def _dataset(team: Team, owner: User) -> Dataset:
    known = Dataset.objects.filter(team=team, name=DATA_NAME).first()
    if known:
        return known
    dataset = library.add_dataset(
        team=team, by=owner, name=DATA_NAME, blob=store().put(EXAMPLES / "digits.npz", name="digits.npz")
    )
    library.describe(item=dataset, by=owner, name=DATA_NAME, description=DATA_TEXT)
    return dataset


def _version(sample: SampleModel, team: Team, owner: User) -> ModelVersion:
    known = ModelVersion.objects.filter(model__team=team, model__name=sample.name).first()
    if known:
        return known
    version = library.add_model(
        team=team, by=owner, name=sample.name, blob=store().put(EXAMPLES / sample.file, name=sample.file)
    )
    library.describe(item=version.model, by=owner, name=sample.name, description=sample.description)
    return version


def _confirm(version: ModelVersion, dataset: Dataset, owner: User) -> None:
    """Try ten samples, then confirm the contract, as a person would."""
    _until(lambda: _ready(version), f"verifying {version}")
    if version.is_confirmed:
        return
    if version.tried is None and not version.is_being_tried:
        library.try_contract(version=version, dataset=dataset, by=owner)
    tried = _until(lambda: _fresh(version).tried, f"trying {version} on ten samples")
    if tried.no_better_than_chance:
        raise NotInTime(f"{version} guesses no better than chance on the sample data.")
    library.confirm_contract(version=version, by=owner)


def _job(sample: SampleJob, version: ModelVersion, dataset: Dataset, team: Team, owner: User) -> Job:
    recipe = from_value({"name": sample.entry, "steps": list(sample.steps)})
    known = Job.objects.filter(team=team, kind=Kind.COMPRESS, model_version=version, recipe__name=sample.entry).first()
    return known or jobs.submit(by=owner, team=team, version=version, dataset=dataset, recipe=recipe, gate=GATE)


def _publish(sample: SampleJob, job: Job, owner: User, say: Callable[[str], None]) -> None:
    ended = _until(
        lambda: Job.objects.filter(pk=job.pk, state__in=(State.SUCCEEDED, State.FAILED, State.CANCELLED)).first(),
        f"running {job}",
    )
    result = ended.gate_result
    if hasattr(ended, "entry"):
        return
    if (
        ended.state != State.SUCCEEDED
        or result is None
        or not result.passed
        or ended.report_value is None
        or ended.report_value.verdict.word is None
    ):
        say(f"{job} is kept as evidence: {'; '.join(result.reasons) if result else ended.state}.")
        return
    zoo.publish(job=ended, by=owner, name=sample.entry, summary=sample.summary)
    say(f"{sample.entry} is in the zoo: {ended.report_value.verdict.word}.")


def _ready(item: T) -> T | None:
    fresh: Any = _fresh(item)
    if fresh.is_rejected:
        raise NotInTime(f"{fresh} was refused: {fresh.problem.message if fresh.problem else 'no reason'}")
    return fresh if fresh.is_ready else None


def _fresh(item: T) -> T:
    item.refresh_from_db()  # type: ignore[attr-defined]
    return item


def _until(ask: Callable[[], T | None], what: str) -> T:
    """Ask twice a second until there is an answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(POLL_SECONDS)
    raise NotInTime(
        f"Expected a worker to finish {what} within {PATIENCE_SECONDS // 60} minutes. "
        "See the Fleet page, then run 'manage.py seed_demo'."
    )
