"""The energy-label style summary of an entry: one arrow per quantity on a log ladder of 1x to 8x, without letters."""

import math
from dataclasses import dataclass

from compressionhub.zoo.record import Record

LADDER = (1, 2, 4, 8)
SPEED_WORDS: dict[str | None, str] = {"faster": "Faster", "slower": "Slower", "not-faster": "Not faster"}


@dataclass(frozen=True)
class Arrow:
    """One quantity against its baseline. ``tip``, ``low`` and ``high`` are percent of the ladder's width."""

    title: str
    under: str
    ratio: float
    low: float
    high: float
    exact: bool
    value: float
    unit: str
    baseline: float

    @property
    def tip(self) -> float:
        return place(self.ratio)

    @property
    def band_start(self) -> float:
        return place(self.low)

    @property
    def band_width(self) -> float:
        return max(0.0, place(self.high) - place(self.low))

    @property
    def is_worse(self) -> bool:
        return self.ratio < 0.95


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


def arrows(record: Record) -> list[Arrow]:
    """What the entry gained: latency per batch, size on disk, size to ship, memory."""
    report = record.report
    found = [_latency(record, batch) for batch in report.delta.speedup]
    before, after = report.baseline, report.result
    found.append(_exact("Smaller", "Not smaller", "file on disk", before.size_bytes, after.size_bytes))
    found.append(_exact("Smaller to ship", "Not smaller to ship", "zipped", before.zip_bytes, after.zip_bytes))
    found.append(
        _exact("Less memory", "More memory", "peak, batch 1", before.peak_memory_bytes, after.peak_memory_bytes)
    )
    return found


def _latency(record: Record, batch: str) -> Arrow:
    ratio, report = record.report.delta.speedup[batch], record.report
    threads = "1 thread" if report.environment.threads == 1 else f"{report.environment.threads} threads"
    return Arrow(
        title=SPEED_WORDS.get(report.verdict.batches.get(batch), "Speed"),
        under=f"batch {batch}, {threads}",
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        exact=False,
        value=report.result.latency[batch].p50_ms,
        unit="ms",
        baseline=report.baseline.latency[batch].p50_ms,
    )


def _exact(better: str, worse: str, under: str, before: int, after: int) -> Arrow:
    ratio = before / max(after, 1)
    return Arrow(
        title=better if ratio > 1 else worse,
        under=under,
        ratio=ratio,
        low=ratio,
        high=ratio,
        exact=True,
        value=after,
        unit="bytes",
        baseline=before,
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
