"""What one figure of a comparison rests on: measured ones from the record, estimated ones from the engine."""

from __future__ import annotations

from typing import Final

from compressionhub.estimates.assumptions import Assumptions
from compressionhub.ui.templatetags.figures import metric_word
from compressionhub.zoo.measured import measured
from compressionhub.zoo.models import Entry
from compressionhub.zoo.savings import Pair, Savings, savings_or_why
from workers.estimate import Amount

NO_WORKLOAD: Final = "No workload is set."
LATENCY: Final = "latency-1"
MEASURED: Final = {"speed": (LATENCY, "Latency at batch 1, p50"), "size": ("size", "Size")}
ESTIMATED: Final = {"p95": "p95 at peak", "bill": "Bill a month", "kg": "CO₂e a month"}
Told = tuple[str, Amount]


def why(entry: Entry, assumed: Assumptions | None, key: str, *, is_baseline: bool) -> list[Told]:
    """The figures of a cell by title, with all that they rest on; empty where there is no such cell."""
    if key in ESTIMATED:
        return _estimated(entry, assumed, key, is_baseline)
    headline = entry.record.headline
    name, title = {**MEASURED, "change": (headline, metric_word(headline))}.get(key, ("", ""))
    if not name:
        return []
    figure = measured(entry.record)[name]
    return [(f"{title}, baseline", _first(figure))] if is_baseline else [(title, figure)]


def _first(figure: Amount) -> Amount:
    """The baseline's side of a measured figure, which is its first input."""
    before = figure.inputs[0]
    return figure.model_copy(update={"value": before.value, "low": before.low, "high": before.high})


def _estimated(entry: Entry, assumed: Assumptions | None, key: str, is_baseline: bool) -> list[Told]:
    title = ESTIMATED[key]
    if assumed is None:
        return [(title, Amount.unknown("", NO_WORKLOAD))]
    found = savings_or_why(entry, assumed)
    if not found.is_known:
        return [(title, Amount.unknown("", found.unknown))]
    pair = _pair(found, key)
    if is_baseline:
        return [(f"{title}, baseline", pair.before)]
    return [(title, pair.after), *([("Share of the bill saved", pair.share)] if key == "bill" else [])]


def _pair(found: Savings, key: str) -> Pair:
    return found.wait if key == "p95" else found.bill if key == "bill" else found.carbon
