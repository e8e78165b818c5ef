"""Measured figures of an entry with what they rest on, so that a measurement answers *why* as an estimate does."""

from __future__ import annotations

from compressionhub.ui.templatetags.figures import is_share
from compressionhub.zoo.record import Record
from workers.estimate import Amount, Grade, InputFact
from workers.report import Interval

TIMED = "median of rounds in which baseline and variant take turns in one process; the interval by block bootstrap"
COUNTED = "counted from the file"
SCORED = "on test data, opened once; paired with the baseline's answers"
DECODED = "; the median time of one new token in each row, with the keys and values of {past} earlier tokens kept"
SERVED = "one request at a time on every core at once, one thread each; mean, with the p95 beside it"
PEAK = "most memory of the process at batch 1, less what it held before it loaded the network"


def measured(record: Record) -> dict[str, Amount]:
    """Every measured figure of the variant by key: metric names, ``latency-1``, ``service``, ``size``, ``zip``,
    ``memory``."""
    report = record.report
    before, after = report.baseline, report.result
    scores = after.metrics if record.is_labelled else {**after.metrics, record.headline: record.agreement}
    found = {name: _scored(record, name, interval) for name, interval in scores.items()}
    timing = TIMED + ("" if after.past_tokens is None else DECODED.format(past=after.past_tokens))
    for batch in after.latency:
        found[f"latency-{batch}"] = _two(
            record, timing, "ms", before.latency[batch].p50_ms, after.latency[batch].p50_ms
        )
    if report.window is not None:
        window = report.window
        found["window"] = _two(record, TIMED, "ms", window.baseline.p50_ms, window.result.p50_ms)
    found["service"] = _two(record, SERVED, "ms", before.service.mean_ms, after.service.mean_ms)
    found["size"] = _bytes(record, before.size_bytes, after.size_bytes)
    found["zip"] = _bytes(record, before.zip_bytes, after.zip_bytes)
    found["memory"] = _two(record, PEAK, "bytes", before.peak_memory_bytes, after.peak_memory_bytes)
    return found


def _bytes(record: Record, before: int, after: int) -> Amount:
    return _two(record, COUNTED, "bytes", before, after)


def _two(record: Record, method: str, unit: str, before: float, after: float) -> Amount:
    """A figure of the variant, from one measurement of each of both."""
    facts = (
        _fact(record, "before", "Baseline", unit, before, before, before),
        _fact(record, "after", "Variant", unit, after, after, after),
    )
    return Amount(value=after, low=after, high=after, unit=unit, method=method, inputs=facts)


def _scored(record: Record, name: str, after: Interval) -> Amount:
    before = record.before if name == record.headline else record.report.baseline.metrics.get(name, after)
    unit = "share" if is_share(name) else "ratio"
    facts = (
        _fact(record, "before", "Baseline", unit, before.low, before.value, before.high),
        _fact(record, "after", "Variant", unit, after.low, after.value, after.high),
    )
    low, high = min(after.low, after.value), max(after.high, after.value)
    method = f"{SCORED}; {after.n:,} samples"
    return Amount(value=after.value, low=low, high=high, unit=unit, method=method, inputs=facts)


def _fact(record: Record, name: str, title: str, unit: str, low: float, value: float, high: float) -> InputFact:
    environment = record.report.environment
    return InputFact(
        name=name, title=title, value=value, low=min(low, value), high=max(high, value), unit=unit,
        grade=Grade.MEASURED, as_of=environment.started_on,
        source=f"job #{record.origin.job} on {environment.cpu or environment.device}",
    )  # fmt: skip
