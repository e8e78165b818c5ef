"""The energy-label style summary of an entry: one arrow per quantity on a log ladder of 1x to 8x, without letters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compressionhub.estimates import said
from compressionhub.ui import units
from compressionhub.zoo.measured import measured
from compressionhub.zoo.record import Record
from compressionhub.zoo.savings import Usual
from workers.estimate import Amount
from workers.serving.shown import NOTHING

LADDER = (1, 2, 4, 8)
SPEED_WORDS: dict[str | None, str] = {"faster": "Faster", "slower": "Slower", "not-faster": "Not faster"}


@dataclass(frozen=True)
class Arrow:
    """One quantity against its baseline. ``tip``, ``low`` and ``high`` are percent of the ladder's width.

    ``said`` is the variant's figure and ``beside`` what stands small next to it; ``why`` is that figure with all that
    it rests on. Without a ``ratio`` nothing is known of it, for the reason that ``beside`` gives.
    """

    key: str
    title: str
    under: str
    ratio: float | None
    low: float
    high: float
    said: str
    beside: str
    why: Amount

    @property
    def tip(self) -> float:
        return place(self.ratio or 0.0)

    @property
    def band_start(self) -> float:
        return place(self.low)

    @property
    def band_width(self) -> float:
        return max(0.0, place(self.high) - place(self.low))

    @property
    def is_exact(self) -> bool:
        return self.low == self.high

    @property
    def is_worse(self) -> bool:
        return self.ratio is not None and self.ratio < 0.95


@dataclass(frozen=True)
class AccuracyBar:
    """The headline metric's change in points on an axis from ``left`` to ``right``; positions are percent."""

    left: float
    right: float
    gate: float
    value: float
    low: float
    high: float
    dot: float
    band_start: float
    band_width: float
    zero: float
    limit: float


def place(ratio: float) -> float:
    """Percent along the ladder: 1x at 0, 8x at 100, capped on both sides."""
    return min(100.0, max(0.0, math.log2(max(ratio, 1e-9)) / math.log2(LADDER[-1]) * 100))


def arrows(record: Record, usual: Usual | None = None) -> list[Arrow]:
    """What the entry gained: latency per batch, size on disk and to ship, memory; and, estimated for the team's usual
    workload, money, energy and carbon."""
    report, why = record.report, measured(record)
    before, after = report.baseline, report.result
    sizes = (
        ("size", "Smaller", "Not smaller", "file on disk", before.size_bytes, after.size_bytes),
        ("zip", "Smaller to ship", "Not smaller to ship", "zipped", before.zip_bytes, after.zip_bytes),
        ("memory", "Less memory", "Not less memory", "at peak", before.peak_memory_bytes, after.peak_memory_bytes),
    )
    return [
        *(_latency(record, batch, why[f"latency-{batch}"]) for batch in report.delta.speedup),
        *(_exact(*size, why=why[size[0]]) for size in sizes),
        *(_estimated(usual, *each) for each in ESTIMATED if usual is not None),
    ]


ESTIMATED = (
    ("bill", "Cheaper", "Not cheaper", "cost-per-million"),
    ("energy", "Less energy", "Not less energy", "energy-per-inference"),
    ("carbon", "Less CO₂e", "Not less CO₂e", "sci"),
)


def _estimated(usual: Usual, name: str, better: str, worse: str, each: str) -> Arrow:
    """Before divided by after, from the share that is saved under the team's usual workload."""
    found = usual.found
    under = f"at {units.short_number(found.assumed.workload.monthly)} a month"
    if not found.is_known:
        why = Amount.unknown("share", found.unknown)
        return Arrow(name, better, under, None, 0, 0, units.UNKNOWN, found.unknown, why)
    share: Amount = getattr(found, name).share
    figure = found.after(each)
    if share.value is None:
        return Arrow(name, better, under, None, 0, 0, said.value(figure), share.reason, share)
    ratio, low, high = (_ratio(end if end is not None else share.value) for end in (share.value, share.low, share.high))
    beside = "exact" if low == high else f"{units.times(low).rstrip('×')} to {units.times(high)}"
    title = better if share.value > NOTHING else worse
    return Arrow(name, title, under, ratio, low, high, said.value(figure), beside, figure)


def _ratio(share: float) -> float:
    return 1 / max(1 - share, 1e-9)


def _latency(record: Record, batch: str, why: Amount) -> Arrow:
    ratio, report = record.report.delta.speedup[batch], record.report
    step = "" if report.result.past_tokens is None else "next token, "
    threads = "1 thread" if report.environment.threads == 1 else f"{report.environment.threads} threads"
    return Arrow(
        key=f"latency-{batch}",
        title=SPEED_WORDS.get(report.verdict.batches.get(batch), "Speed"),
        under=f"{step}batch {batch}, {threads}",
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        said=units.milliseconds(report.result.latency[batch].p50_ms),
        beside=f"{units.times(ratio.low).rstrip('×')} to {units.times(ratio.high)}",
        why=why,
    )


def _exact(key: str, better: str, worse: str, under: str, before: int, after: int, *, why: Amount) -> Arrow:
    ratio = before / max(after, 1)
    return Arrow(
        key=key,
        title=better if ratio > 1 else worse,
        under=under,
        ratio=ratio,
        low=ratio,
        high=ratio,
        said=units.file_size(after),
        beside=f"baseline {units.file_size(before)}",
        why=why,
    )


def accuracy_bar(record: Record) -> AccuracyBar:
    """The change of the headline metric with its interval and the gate; below zero is worse."""
    value, low, high = record.change
    gate = -record.gate.max_drop_points
    left, right = min(low, gate) * 1.2 - 0.2, max(high, 0.0) * 1.2 + 0.2

    def at(point: float) -> float:
        return (point - left) / (right - left) * 100

    return AccuracyBar(
        left=left,
        right=right,
        gate=gate,
        value=value,
        low=low,
        high=high,
        dot=at(value),
        band_start=at(low),
        band_width=at(high) - at(low),
        zero=at(0.0),
        limit=at(gate),
    )
