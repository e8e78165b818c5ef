"""The models that a step may go on with instead of the job's own, as its form offers them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compressionhub.jobs.actions.checks import why_not
from compressionhub.jobs.compose.draft import Draft
from compressionhub.library.models import ModelVersion
from compressionhub.ui import units

MOST = 100


@dataclass(frozen=True)
class Student:
    """A model version; ``why_not`` says why it cannot be chosen, empty if it can."""

    key: str
    name: str
    size_bytes: int
    why_not: str

    @property
    def label(self) -> str:
        return f"{self.name}, {'does not suit' if self.why_not else units.file_size(self.size_bytes)}"


@dataclass(frozen=True)
class Students:
    """Those that suit first."""

    choices: tuple[Student, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(one.key for one in self.choices)

    @property
    def none_suits(self) -> bool:
        return bool(self.choices) and all(one.why_not for one in self.choices)

    @property
    def first_reason(self) -> str:
        return next((one.why_not for one in self.choices if one.why_not), "")


def students(draft: Draft, versions: Iterable[ModelVersion]) -> Students:
    """What a draft's steps may go on with: the team's other models, the newest of them; none where no step can."""
    job = draft.version
    if job is None or not any(step.kind.model_field() for step in draft.steps):
        return Students()
    others = [version for version in versions if version.pk != job.pk][:MOST]
    found = [Student(str(one.pk), str(one), one.size_bytes, why_not(job, one)) for one in others]
    return Students(tuple(sorted(found, key=lambda one: bool(one.why_not))))
