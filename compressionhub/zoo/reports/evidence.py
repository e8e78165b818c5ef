"""What a report holds for ever. Nothing in it is computed again, looked up again or read from another row.

The types stand on their own: the engine's may grow, and a report of last year must still open.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from compressionhub.library.names import display_name
from workers.errors import Frozen

MOST_LETTERS = 2000

GradeLetter = Literal["A", "B", "C", "D"]


class Cell(Frozen):
    """One figure with its range, unit, class and sources. Shares run from 0 to 1; months are in the unit.

    ``state`` is known, never or unknown; the last has a ``reason`` instead of a value.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    value: float | None
    low: float | None
    high: float | None
    unit: str
    grade: GradeLetter | None = Field(validation_alias=AliasChoices("class", "grade"), serialization_alias="class")
    source: str
    method: str = ""
    state: Literal["known", "never", "unknown"] = "known"
    reason: str = ""

    @property
    def is_known(self) -> bool:
        return self.value is not None


class Row(Frozen):
    """A figure of the baseline and of the variant, and their difference in one or two units."""

    slug: str
    title: str
    before: Cell
    after: Cell
    saved: Cell | None = None
    share: Cell | None = None
    limit: str = ""


class CarbonParts(Frozen):
    """Carbon a month of one network, in kg: use and hardware, and the total with its range."""

    name: str
    use: float
    embodied: float
    total: Cell


class Variant(Frozen):
    """One published variant as it stood, with every figure against its own baseline."""

    entry: str
    name: str
    model: str
    model_version: int
    job: int
    verdict: str
    techniques: tuple[str, ...]
    gate: str
    published: str
    baseline_sha256: str
    bundle_sha256: str
    headline: str
    says: tuple[str, ...]
    rows: tuple[Row, ...]
    carbon: tuple[CarbonParts, ...] = ()
    unknown: str = ""

    def row(self, slug: str) -> Row | None:
        return next((row for row in self.rows if row.slug == slug), None)


class Ground(Frozen):
    """Something the figures rest on: data with a class, or somebody's choice with an author."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    title: str
    value: float
    low: float
    high: float
    unit: str
    said: str
    grade: GradeLetter | None = Field(validation_alias=AliasChoices("class", "grade"), serialization_alias="class")
    author: str = ""
    source: str = ""
    as_of: date | None = None
    year: int | None = None
    region: str = ""
    licence: str = ""
    stale: str = ""
    unverified: bool = False


class Formula(Frozen):
    """How one kind of figure was computed."""

    title: str
    formula: str


class Evidence(Frozen):
    """Everything that stands on a report."""

    version: Literal[1] = 1
    team: str
    number: int
    title: str
    question: str
    answer: str
    workload: str
    setting: str
    made_by: str
    made_at: datetime
    variants: tuple[Variant, ...] = Field(min_length=1)
    grounds: tuple[Ground, ...]
    formulas: tuple[Formula, ...]
    stale: tuple[str, ...]
    tables_version: str
    approval: str

    @property
    def is_comparison(self) -> bool:
        return len(self.variants) > 1


def written(evidence: Evidence) -> str:
    """The evidence as the one text that is kept and hashed: sorted keys, no control or direction characters."""
    plain = _clean(evidence.model_dump(mode="json"))
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def digest(text: str) -> str:
    """The sha256 of a written evidence."""
    return hashlib.sha256(text.encode()).hexdigest()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return display_name(value, most=MOST_LETTERS)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return value
