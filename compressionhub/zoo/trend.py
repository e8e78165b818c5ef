"""Spend over time, with and without compression, as recorded deployments tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.urls import reverse

from compressionhub.estimates import said
from compressionhub.ui import units
from workers.serving.workload import Currency

if TYPE_CHECKING:
    from compressionhub.zoo.portfolio import Line

WINDOW_DAYS = 365
MOST_NAMED = 5
MOST_MARKED = 60


@dataclass(frozen=True)
class Month:
    """What a month took: each deployment's bill by the days it served."""

    first: date
    days: int
    paid: float
    without: float
    unit: str

    @property
    def said(self) -> tuple[str, str, str]:
        return tuple(said.figure(each, self.unit) for each in (self.paid, self.without, self.without - self.paid))  # type: ignore[return-value]


@dataclass(frozen=True)
class Trend:
    """The chart, the same in words, and by month."""

    option: dict[str, Any]
    label: str
    span: str
    note: str
    months: tuple[Month, ...]


class _Served(NamedTuple):
    """A deployment with a known bill, in the currency it is shown in."""

    line: Line
    paid: float
    without: float

    def on(self, day: date) -> bool:
        return self.line.since <= day and (self.line.until is None or day < self.line.until)


def drawn(
    lines: Sequence[Line], paid: Sequence[float], without: Sequence[float], today: date, currency: Currency | None
) -> Trend | None:
    """The chart of a year, or of as long as something is recorded; None where no bill is known.

    Args:
        paid, without: the bill of each line, in dollars, with and without compression; not-a-number where not known.
    """
    rate, unit = (currency.per_usd, currency.code) if currency else (1.0, "$")
    bills = zip(lines, paid, without, strict=True)
    served = [_Served(line, now * rate, bare * rate) for line, now, bare in bills if isfinite(now) and isfinite(bare)]
    if not served:
        return None
    first = max(min(each.line.since for each in served), today - timedelta(days=WINDOW_DAYS))
    steps = _steps(served, first, today)
    months = tuple(_months(served, first, today, unit))
    _, last_paid, last_without = steps[-1]
    now, bare = said.figure(last_paid, unit), said.figure(last_without, unit)
    return Trend(
        option=_option(served, steps, unit),
        label=f"Monthly spend from {units.day(first)} to {units.day(today)}: now {now}, without compression {bare}.",
        span=f"{units.day(first)} to {units.day(today)}",
        note=_note(lines, served),
        months=months,
    )


def _steps(served: Sequence[_Served], first: date, today: date) -> list[tuple[date, float, float]]:
    """Day, paid and without, whenever either changes; the last one is today's."""
    changes: dict[date, list[float]] = {first: [0.0, 0.0], today: [0.0, 0.0]}
    for each in served:
        for day, sign in ((max(each.line.since, first), 1), (each.line.until, -1)):
            if day is None or (each.line.until is not None and each.line.until <= first) or day > today:
                continue
            change = changes.setdefault(day, [0.0, 0.0])
            change[0] += sign * each.paid
            change[1] += sign * each.without
    paid = without = 0.0
    steps = []
    for day in sorted(changes):
        paid, without = paid + changes[day][0], without + changes[day][1]
        steps.append((day, paid, without))
    return steps


def _months(served: Sequence[_Served], first: date, today: date, unit: str) -> Iterable[Month]:
    since = np.array([each.line.since.toordinal() for each in served])
    until = np.array([(each.line.until or date.max).toordinal() for each in served])
    paid, without = (np.array([getattr(each, which) for each in served]) for which in ("paid", "without"))
    start = first
    while start <= today:
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = min(following, today + timedelta(days=1))
        days = (following - start.replace(day=1)).days
        served_days = np.minimum(until, end.toordinal()) - np.maximum(since, start.toordinal())
        shares = np.maximum(served_days, 0) / days
        yield Month(start, (end - start).days, float(shares @ paid), float(shares @ without), unit)
        start = following


def _note(lines: Sequence[Line], served: Sequence[_Served]) -> str:
    missing = len(lines) - len(served)
    told = ["From recorded deployments alone; nothing is known of the time before them."]
    if missing:
        told.append(f"{missing} deployment{' is' if missing == 1 else 's are'} left out: no bill is known.")
    if sum(bool(each.line.variant) for each in served) > MOST_MARKED:
        told.append(f"Rings stand for the {MOST_MARKED} variants that save most.")
    return " ".join(told)


def _option(served: Sequence[_Served], steps: list[tuple[date, float, float]], unit: str) -> dict[str, Any]:
    paid = [[_at(day), round(each, 4)] for day, each, _ in steps]
    without = [[_at(day), round(each, 4)] for day, _, each in steps]
    saved = [[_at(day), round(max(0.0, above - below), 4)] for day, below, above in steps]
    last = [said.figure(each, unit) for each in steps[-1][1:]]
    written = {"year": "{MMM} {yyyy}", "month": "{MMM}", "day": "{d} {MMM}"}
    return {
        "grid": {"left": 64, "right": 150, "top": 18, "bottom": 28},
        "narrow": {"plain": True, "grid": {"left": 56, "right": 16, "top": 18, "bottom": 28}},
        "tooltip": {"trigger": "item", "formatter": "$fmt:tip"},
        "xAxis": {
            "type": "time", "min": _at(steps[0][0]), "max": _at(steps[-1][0]), "splitLine": {"show": False},
            "splitNumber": 5, "axisLabel": {"hideOverlap": True, "formatter": written},
        },
        "yAxis": {
            "type": "value", "min": 0, "splitNumber": 4, "axisLine": {"show": False},
            "axisLabel": {"formatter": "$fmt:short"},
        },
        "series": [
            _gap("_", paid, {}), _gap("Saved", saved, {"areaStyle": {"color": "$accent/band"}}),
            _line("Without compression", without, last[1], {"color": "$base", "width": 1.5, "type": [4, 3]}, "$ink-2"),
            _line("Paid", paid, last[0], {"color": "$accent", "width": 2.5}, "$ink"),
            *_marks(served, steps, unit),
        ],
    }  # fmt: skip


PLAIN = {"type": "line", "step": "end", "symbol": "none"}


def _gap(name: str, data: list[list[Any]], look: dict[str, Any]) -> dict[str, Any]:
    """The shaded band between both lines: what is paid carries what is saved, neither drawn as a line."""
    return {**PLAIN, "name": name, "data": data, "stack": "gap", "silent": True, "lineStyle": {"width": 0}, **look}


def _line(name: str, data: list[list[Any]], last: str, look: dict[str, Any], ink: str) -> dict[str, Any]:
    label = {"show": True, "formatter": f"{name}\n{last}", "color": ink, "lineHeight": 16}
    return {
        **PLAIN, "name": name, "data": data, "lineStyle": look, "endLabel": label, "silent": True,
        "labelLayout": {"moveOverlap": "shiftY"},
    }  # fmt: skip


def _marks(served: Sequence[_Served], steps: list[tuple[date, float, float]], unit: str) -> list[dict[str, Any]]:
    """A ring where a variant began to serve, for those that save most; the first of them are named."""
    paid_on = {day: paid for day, paid, _ in steps}
    began = [each for each in served if each.line.variant and each.line.since in paid_on]
    ordered = sorted(began, key=lambda each: each.paid - each.without)[:MOST_MARKED]
    name = {"show": True, "position": "bottom", "distance": 8, "color": "$ink-2", "formatter": "$fmt:name"}
    return [
        {
            "type": "scatter", "symbolSize": 10, "data": [_mark(each, paid_on, unit) for each in some],
            "itemStyle": {"color": "$surface", "borderColor": "$accent", "borderWidth": 2},
            **({"label": name, "labelLayout": {"hideOverlap": True}} if named else {}),
        }
        for named, some in ((True, ordered[:MOST_NAMED]), (False, ordered[MOST_NAMED:]))
    ]  # fmt: skip


def _mark(each: _Served, paid_on: dict[date, float], unit: str) -> dict[str, Any]:
    place = [_at(each.line.since), paid_on[each.line.since]]
    address = reverse("zoo:deployment", args=[each.line.pk])
    return {"value": place, "name": each.line.name, "url": address, "tip": _tip(each, unit)}


def _tip(each: _Served, unit: str) -> str:
    saves = said.figure(each.without - each.paid, unit)
    return f"{each.line.name}: {each.line.variant} from {units.day(each.line.since)}, saves {saves} a month"


def _at(day: date) -> str:
    return day.isoformat()
