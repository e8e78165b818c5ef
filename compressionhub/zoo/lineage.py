"""What jobs made of a model version, for the tree on its page."""

from collections.abc import Iterator

from compressionhub.accounts.models import User
from compressionhub.jobs.gate import headline
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library.lineage import Node
from compressionhub.library.models import ModelVersion
from compressionhub.ui.units import file_size, points, times
from compressionhub.ui.words import VERDICTS
from compressionhub.zoo.models import Entry, Standing
from workers.report import Report
from workers.technique import Family

MOST = 60


def nodes(version: ModelVersion, user: User) -> Iterator[Node]:
    """One node per finished compression: listed where it is in the zoo, else kept as evidence."""
    made = Job.objects.visible_to(user).filter(model_version=version, kind=Kind.COMPRESS, state=State.SUCCEEDED)
    entries = {entry.job_id: entry for entry in Entry.objects.visible_to(user).filter(baseline=version)}
    for job in made.order_by("number")[:MOST]:
        if job.report_value is not None:
            yield _node(job, job.report_value, entries.get(job.pk))


def _node(job: Job, report: Report, entry: Entry | None) -> Node:
    listed = entry is not None and entry.standing == Standing.LISTED
    steps = job.recipe_value.steps if job.recipe_value else ()
    families = {step.about.family for step in steps}
    family = families.pop() if len(families) == 1 else Family.COMBINED
    return Node(
        key=str(job.pk),
        title=entry.name if entry else f"#{job.number} {job.recipe_summary}",
        lines=(_change(report), _verdict(report)),
        kind="listed" if listed else "kept",
        family=str(family),
        url=entry.get_absolute_url() if entry else job.get_absolute_url(),
    )


def _change(report: Report) -> str:
    size, name = file_size(report.result.size_bytes), headline(report)
    if name is None:
        return size
    delta = report.delta.metrics[name]
    if name != "accuracy":
        return f"{name} {delta.value:+.3g} · {size}"
    return f"{points(delta.value)}{'' if delta.distinguishable else ', within noise'} · {size}"


def _verdict(report: Report) -> str:
    speedup = report.delta.speedup.get("1")
    word = VERDICTS[report.verdict.word].text
    return f"{word}, {times(speedup.value)}" if speedup else word
