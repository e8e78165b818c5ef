"""What a published record says that a comparison needs. Records never change, so each is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from compressionhub.jobs.gate import is_relative
from compressionhub.ui.templatetags.figures import metric, metric_word
from compressionhub.zoo.models import Entry
from compressionhub.zoo.record import Record
from compressionhub.zoo.timed import Timed
from workers.errors import YoursToFix
from workers.recipe import from_value
from workers.report import Changes, Ratio

MOST_KEPT = 20_000
AT_ONCE = 500
BATCHES = ("1", "32")


@dataclass(frozen=True, eq=False)
class Evidence:
    """One variant as it was measured against its own baseline.

    ``change`` is the headline metric's change with its interval (middle, worst, best), below zero is worse: in
    points, or in percent of the baseline where ``is_relative``. Times are medians at batch 1, with ``past_tokens`` of
    the next token. Attributes that a chart of entries reads are called as an entry's. There is one for each entry, so
    that what is said of it is kept by identity.
    """

    pk: UUID
    url: str
    name: str
    model: str
    version: int
    baseline_sha256: str
    published_at: datetime
    family: str
    verdict: str
    metric: str
    metric_before: str
    is_relative: bool
    is_labelled: bool
    change: tuple[float, float, float]
    distinguishable: bool
    rows: int
    speedups: dict[str, Ratio]
    batch_words: dict[str, str | None]
    because: str
    size_before: int
    size_after: int
    zip_before: int
    zip_after: int
    p50_before_ms: float
    p50_after_ms: float
    past_tokens: int | None
    gate: float
    timed: Timed
    changes: Changes | None

    @property
    def speedup(self) -> float:
        return self.speedups["1"].value

    @property
    def drop_points(self) -> float:
        return -self.change[0]

    @property
    def size_ratio(self) -> float:
        return self.size_before / self.size_after

    @property
    def unit(self) -> str:
        return "%" if self.is_relative else "points"

    def get_absolute_url(self) -> str:
        return self.url


_kept: OrderedDict[UUID, Evidence] = OrderedDict()


def evidence(keys: Sequence[UUID]) -> list[Evidence]:
    """The evidence of entries that a person may see, in the given order; what is gone is left out."""
    found = {key: kept for key in keys if (kept := _kept.get(key)) is not None}
    missing = [key for key in keys if key not in found]
    for start in range(0, len(missing), AT_ONCE):
        for entry in Entry.objects.filter(pk__in=missing[start : start + AT_ONCE]).select_related("baseline"):
            found[entry.pk] = _kept[entry.pk] = _read(entry)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return [found[key] for key in keys if key in found]


def forget() -> None:
    """Read every record anew; for tests that edit what nobody may edit."""
    _kept.clear()


def _read(entry: Entry) -> Evidence:
    record = entry.record
    report, name, changes = record.report, record.headline, record.report.changes
    before = record.before
    return Evidence(
        pk=entry.pk, url=entry.get_absolute_url(), name=entry.name, model=record.origin.model,
        version=record.origin.version, baseline_sha256=record.origin.baseline_sha256,
        published_at=entry.published_at, family=entry.family,
        verdict=entry.verdict, metric=metric_word(name), metric_before=metric(before, name),
        is_relative=is_relative(name), is_labelled=record.is_labelled,
        change=record.change, distinguishable=record.delta.distinguishable,
        rows=record.origin.test_rows or before.n,
        speedups={batch: report.delta.speedup[batch] for batch in BATCHES if batch in report.delta.speedup},
        batch_words=dict(report.verdict.batches), because=_because(entry, record),
        size_before=report.baseline.size_bytes, size_after=report.result.size_bytes,
        zip_before=report.baseline.zip_bytes, zip_after=report.result.zip_bytes,
        p50_before_ms=report.baseline.latency["1"].p50_ms, p50_after_ms=report.result.latency["1"].p50_ms,
        past_tokens=report.result.past_tokens,
        gate=record.gate.max_drop_points, timed=entry.timed, changes=_counted(changes),
    )  # fmt: skip


def _counted(changes: Changes | None) -> Changes | None:
    """Without the single samples: a comparison counts them, the entry's page lists them."""
    return changes and changes.model_copy(update={"samples": ()})


def _because(entry: Entry, record: Record) -> str:
    """Why it is slower or no faster, where a step of its recipe knows that of the device it was measured on."""
    facts = entry.baseline.facts if entry.baseline is not None else None
    if facts is None or (entry.verdict == "faster" and "slower" not in record.report.verdict.batches.values()):
        return ""
    try:
        steps = from_value(record.recipe).steps
    except YoursToFix:  # of an older version, whose parameters have changed since
        return ""
    device = entry.timed.here
    told = (step.fits(facts, None, device) for step in steps)
    return next((fit.reason for fit in told if fit.word in ("slower-here", "smaller-only", "little-gain")), "")


def models_of(found: Iterable[Evidence]) -> list[str]:
    """The models by name, each once."""
    return sorted({each.model for each in found})
