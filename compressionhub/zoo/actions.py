"""Publishing, superseding, withdrawing, downloading: check, write, audit."""

from django.core import signing
from django.db import transaction

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State
from compressionhub.library.names import display_name
from compressionhub.zoo import kept
from compressionhub.zoo.models import Entry, Standing, Visibility
from compressionhub.zoo.record import FileRecord, Origin, Record, StepRecord
from workers.facts import Role
from workers.recipe import Recipe

LINK_SECONDS = 300
LINK_SALT = "zoo.download"


@transaction.atomic
def publish(
    *,
    job: Job,
    by: User,
    name: str,
    summary: str = "",
    visibility: Visibility = Visibility.TEAM,
    supersedes: Entry | None = None,
) -> Entry:
    """Put a finished job's result into the zoo as a record that is never edited.

    Raises:
        NotAllowed: if ``by`` may not publish for this team.
        WrongState: if the job has not succeeded, was published before, or its result was not measured.
        GateNotPassed: if the result breaks a rule of its gate.
        Invalid: if the name is empty or taken.
    """
    require(by, Verb.PUBLISH, job.team)
    record = record_of(job)
    if supersedes is not None:
        retire(entry=supersedes, by=by, standing=Standing.SUPERSEDED, reason=f"superseded by {name}")
    entry = Entry(
        team=job.team,
        name=_free_name(job, name),
        summary=summary.strip()[:300],
        visibility=visibility,
        job=job,
        published_by=by,
        model=job.model_version.model if job.model_version else None,
        baseline=job.model_version,
        record_json=record.model_dump(mode="json"),
        **_columns(record),
    )  # type: ignore[misc]
    entry.save()
    if supersedes is not None:
        supersedes.superseded_by = entry
        supersedes.save(update_fields=["superseded_by"])
    kept.forget(entry.baseline)
    audit(by, "entry.publish", entry, visibility=visibility, job=job.number)
    return entry


class GateNotPassed(WrongState):
    """The result breaks its gate; it stays as evidence and is never listed."""

    code = "entry.gate-not-passed"


def record_of(job: Job) -> Record:
    """Freeze a job's result as it would be published.

    Raises:
        WrongState, GateNotPassed: if it may not be published at all.
    """
    if (
        job.state != State.SUCCEEDED
        or job.report_value is None
        or job.gate_value is None
        or job.model_version is None
        or job.recipe_value is None
    ):
        raise WrongState(
            "Expected a job that succeeded and was measured.",
            hint="Wait until it ends, or run it again.",
            code="entry.no-result",
        )
    if Entry.objects.filter(job=job).exists():
        raise WrongState(
            "This job's result is in the zoo already.", hint="Open its entry.", code="entry.published-before"
        )
    if job.report_value.verdict.word is None:
        raise WrongState(
            "Expected a measured verdict; the host was too noisy to time anything.",
            hint="Run the job again when the worker is quieter.",
            code="entry.no-verdict",
        )
    result = job.gate_value.judge(job.report_value)
    if not result.passed:
        raise GateNotPassed(
            f"The gate is not passed. {'; '.join(result.reasons)}.",
            hint="Try a milder recipe, or keep the result as evidence on the job's page.",
        )
    return _record(job)


def _record(job: Job) -> Record:
    report, recipe, version, gate = job.report_value, job.recipe_value, job.model_version, job.gate_value
    assert report and recipe and version and gate
    files = tuple(
        FileRecord(name=a.name, key=a.key, sha256=a.sha256, size_bytes=a.size_bytes) for a in job.artifacts.all()
    )
    if not any(file.name == "bundle.zip" for file in files) or version.contract is None:
        raise WrongState(
            "Expected a stored bundle; this job left none.", hint="Run the job again.", code="entry.no-bundle"
        )
    return Record(
        report=report,
        recipe=recipe.model_dump(mode="json"),
        recipe_yaml=recipe.as_yaml(),
        steps=_steps(recipe),
        contract=version.contract,
        gate=gate,
        gate_result=gate.judge(report),
        files=files,
        origin=_origin(job),
        warnings=report.notes,
    )


def _steps(recipe: Recipe) -> tuple[StepRecord, ...]:
    return tuple(
        StepRecord(technique=step.technique, title=step.about.title, family=step.about.family, summary=step.summary())
        for step in recipe.steps
    )


def _origin(job: Job) -> Origin:
    version, dataset = job.model_version, job.dataset
    facts = dataset.facts if dataset else None
    return Origin(
        model=version.model.name if version else "",
        version=version.number if version else 0,
        dataset=dataset.name if dataset else "",
        job=job.number,
        submitted_by=str(job.submitted_by or ""),
        baseline_sha256=version.sha256 if version else "",
        data_sha256=dataset.sha256 if dataset else "",
        test_rows=facts.roles[Role.TEST].rows if facts and Role.TEST in facts.roles else 0,
    )


def _columns(record: Record) -> dict[str, object]:
    """What lists filter and sort by, repeated from the record."""
    families = list(dict.fromkeys(step.family for step in record.steps))
    return {
        "task": record.contract.task,
        "families": families,
        "device": record.report.environment.cpu[:60],
        "verdict": record.report.verdict.word,
        "drop_points": record.drop[0],
        "speedup": record.speedup.value,
        "size_ratio": record.size_ratio,
        "size_bytes": record.report.result.size_bytes,
    }


def _free_name(job: Job, name: str) -> str:
    name = display_name(name, most=80)
    if not name:
        raise Invalid(
            "Expected a name for the entry, found none.",
            hint="Give it a short name, such as prune20-int8.",
            code="entry.no-name",
        )
    if Entry.objects.listed().filter(team=job.team, name=name).exists():
        raise Invalid(
            f"An entry called {name} is listed already.",
            hint="Choose another name, or withdraw or supersede that entry first.",
            code="entry.name-taken",
        )
    return name


@transaction.atomic
def retire(*, entry: Entry, by: User, standing: Standing, reason: str) -> Entry:
    """Take an entry off the list; its page stays, with the reason.

    Raises:
        NotAllowed: if ``by`` may not publish for this team.
        WrongState: if it is not listed any more.
    """
    require(by, Verb.PUBLISH, entry.team)
    entry = Entry.objects.select_for_update().get(pk=entry.pk)
    if entry.standing != Standing.LISTED:
        raise WrongState(f"This entry is {entry.standing} already.", hint="Reload the page.", code="entry.not-listed")
    reason = " ".join(reason.split())[:300]
    entry.standing, entry.standing_reason = standing, reason
    entry.save(update_fields=["standing", "standing_reason"])
    kept.forget(entry.baseline)
    audit(by, f"entry.{standing}", entry, reason=reason)
    return entry


def link_to(*, by: User, entry: Entry, name: str = "bundle.zip") -> str:
    """Sign a download of one file for five minutes, and write down who asked.

    Raises:
        NotAllowed: if ``by`` may not download artifacts here.
        Invalid: if the entry has no such file.
    """
    if entry.visibility != Visibility.EVERYONE:
        require(by, Verb.DOWNLOAD, entry.team)
    elif not by.memberships.exists():
        raise NotAllowed("To download artifacts, a team is needed; you are on none.", hint="Ask an admin to add you.")
    file = next((file for file in entry.record.files if file.name == name), None)
    if file is None:
        raise Invalid(
            f"Expected a file of this bundle, found {name!r}.",
            hint="Choose one of those on the page.",
            code="entry.no-such-file",
        )
    audit(by, "entry.download", entry, file=name, sha256=file.sha256)
    return signing.dumps({"entry": str(entry.pk), "file": name}, salt=LINK_SALT)


def follow(token: str) -> tuple[Entry, FileRecord]:
    """Open a signed link.

    Raises:
        WrongState: if it is older than five minutes or was not made here.
    """
    try:
        said = signing.loads(token, salt=LINK_SALT, max_age=LINK_SECONDS)
        entry = Entry.objects.get(pk=said["entry"])
    except (signing.BadSignature, Entry.DoesNotExist):
        raise WrongState(
            "Expected a download link that is at most five minutes old.",
            hint="Open the entry and press Download again.",
            code="entry.link-expired",
        ) from None
    return entry, next(file for file in entry.record.files if file.name == said["file"])
