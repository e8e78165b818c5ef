"""The compare page: what was asked for, and everything the page is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse

from compressionhub.estimates import said
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.ui import units
from compressionhub.ui.ids import as_uuid
from compressionhub.ui.range_bar import RangeBar
from compressionhub.zoo import charts
from compressionhub.zoo.compare import changed
from compressionhub.zoo.compare.estimated import Estimated
from compressionhub.zoo.compare.evidence import Evidence, models_of
from compressionhub.zoo.compare.limits import ORDERS, USUAL_LOSS, Kind, Limit, limit
from compressionhub.zoo.compare.ranking import Placed, placed, sentence
from compressionhub.zoo.compare.rows import Row, Text, baseline, rows
from compressionhub.zoo.compare.why import NO_WORKLOAD
from workers.errors import YoursToFix

MOST: Final = 1000
SHOWN: Final = 25
TOLD: Final = 6
CHANGED: Final = 3
ON_A_DEVICE: Final = "This workload runs on a device with a battery; its page tells how long that lasts."
ZEROS: Final[dict[str, float]] = {"change": 0.0, "speed": 1.0}
MEASURED: Final[dict[str, str]] = {"change": "A", "speed": "A"}
COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("change", "Accuracy, points", "loss"), ("speed", "Speed-up, batch 1", ""), ("p95", "p95 at peak", "p95"),
    ("bill", "Bill a month", "bill"), ("kg", "CO₂e a month", "kg"),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The selection, the limits and the order of an address. Without a selection, everything listed is compared."""

    chosen: tuple[UUID, ...]
    model: UUID | None
    order: str
    limits: Mapping[str, str]

    @classmethod
    def of(cls, query: QueryDict) -> Asked:
        order = query.get("order", "")
        words = [word for each in query.getlist("v") for word in each.split(",")]
        return cls(
            chosen=tuple(dict.fromkeys(key for word in words if (key := as_uuid(word)) is not None))[:MOST],
            model=as_uuid(query.get("model", "")),
            order=order if order in ORDERS else "saves",
            limits={key: str(query[key]) for key in ("loss", "p95", "bill", "kg") if key in query},
        )


@dataclass(frozen=True)
class Bar:
    """A bar of a row, in percent of its track; what is None is not drawn."""

    dot: str | None
    base: str | None
    band: tuple[str, str] | None
    zero: str | None
    limit: str | None
    worse: bool = False


NO_BAR: Final = Bar(None, None, None, None, None)


@dataclass(frozen=True)
class Cell:
    """A figure with what stands beside it; ``bar`` is None where the column's bar has no sense, as of a baseline."""

    key: str
    title: str
    figure: str
    beside: str
    grade: str
    bar: Bar | None

    @property
    def is_estimated(self) -> bool:
        return self.key not in MEASURED


@dataclass(frozen=True)
class Links:
    """Where a variant's figures come from, up to its id, and requests for approval that wait, by entry."""

    why: str = ""
    approvals: Mapping[UUID, str] = field(default_factory=dict)


def _points(value: float) -> str:
    return f"{value:g} point{'' if value == 1 else 's'}"


class Comparison:
    """Variants beside each other under some assumptions, or none where the team has no workload."""

    def __init__(self, found: Sequence[Evidence], assumed: Assumptions | None, asked: Asked, links: Links) -> None:
        self.found, self.assumed, self.asked = found, assumed, asked
        self.fault: YoursToFix | None = None
        self.estimated: Estimated | None = None
        self.missing = NO_WORKLOAD if assumed is None else ON_A_DEVICE if assumed.device is not None else ""
        try:
            self.estimated = Estimated(found, assumed) if assumed is not None and not self.missing else None
        except YoursToFix as fault:
            self.fault, self.missing = fault, fault.message
        self.why = links.why
        self.rows: list[Row] = rows(found, self.estimated, missing=self.missing, approvals=links.approvals)
        self.baseline: Row | None = baseline(found, self.estimated)

    @property
    def why_at(self) -> str:
        """The address that tells what one figure rests on, up to the variant."""
        return f"{reverse('zoo:compare')}why/"

    # --- sentences

    @property
    def title(self) -> str:
        return f"Compare {units.counted(len(self.found), 'variant')}"

    @cached_property
    def says(self) -> str:
        """Against what, and under which workload."""
        models = models_of(self.found)
        against = (
            f"Against {self.baseline.name}"
            if self.baseline
            else f"Of {units.counted(len(models), 'model')}, each against its own baseline"
        )
        if self.assumed is None or self.missing:
            return f"{against}. {self.missing} Bill, wait and CO₂e are not known."
        work = self.assumed.workload
        place = work.on_premises.title if work.on_premises is not None else work.instance
        return f"{against}, at {units.short_number(work.monthly)} predictions a month on {place}."

    @property
    def unknown(self) -> str:
        """Why no figure of money is known of any variant; empty where one is."""
        if self.missing or not self.rows or any(row.share is not None for row in self.rows):
            return ""
        return self.rows[0].reason

    @property
    def stale(self) -> tuple[str, ...]:
        if self.estimated is None:
            return ()
        today = date.today()  # noqa: DTZ011
        return tuple(dict.fromkeys(old for each in self.estimated.inputs() if (old := each.stale(today))))

    # --- limits and places

    @cached_property
    def limits(self) -> list[Limit]:
        currency = self.estimated.currency if self.estimated else "$"
        kinds = (
            Kind("loss", "Accuracy loss at most", "accuracy limit", _points, column="change", step=0.05),
            Kind("p95", "p95 at peak at most", "latency limit", lambda value: said.figure(value, "ms")),
            Kind("bill", "Bill at most", "budget", lambda value: said.figure(value, currency)),
            Kind("kg", "CO₂e at most", "CO₂e limit", lambda value: said.figure(value, "kg CO2e")),
        )
        usual = {"loss": USUAL_LOSS}
        return [
            limit(
                kind,
                [row.limited[kind.key] for row in self.rows],
                self.asked.limits.get(kind.key),
                usual=usual.get(kind.key),
            )
            for kind in kinds
        ]

    @cached_property
    def placed(self) -> list[Placed]:
        return placed(self.rows, self.limits, self.asked.order)

    @cached_property
    def sentence(self) -> str:
        return sentence(self.placed, self.asked.order)

    @property
    def best(self) -> Row | None:
        """The one to choose; None where none holds the limits."""
        return self.placed[0].row if self.placed and self.placed[0].holds else None

    @property
    def orders(self) -> dict[str, str]:
        return ORDERS

    @property
    def holding(self) -> str:
        held = sum(each.holds for each in self.placed)
        return f"{units.count(held)} of {units.count(len(self.placed))} within limits"

    # --- what is drawn before any script runs

    @property
    def first(self) -> list[tuple[Placed, list[Cell]]]:
        return [(each, self._cells(each.row)) for each in self.placed[:SHOWN]]

    @property
    def blank(self) -> list[Cell]:
        """The cells of a row that a script fills."""
        return [Cell(key, title, "", "", MEASURED.get(key, ""), NO_BAR) for key, title, _ in COLUMNS]

    @property
    def baseline_cells(self) -> list[Cell]:
        return [] if self.baseline is None else self._cells(self.baseline)

    @property
    def heads(self) -> list[str]:
        """The title of each column with a bar."""
        return [title for _, title, _ in COLUMNS]

    @property
    def told(self) -> list[Placed]:
        return self.placed[:TOLD]

    @property
    def changes(self) -> tuple[list[str], list[tuple[str, list[Text]]]]:
        """Names of the best few with a record of what changed, and each line of it."""
        found = [each.row for each in self.placed if each.row.changed is not None][:CHANGED]
        lines = [(line, [row.changed[at] for row in found if row.changed]) for at, line in enumerate(changed.LINES)]
        return [row.name for row in found], lines

    def _cells(self, row: Row) -> list[Cell]:
        limits = {each.key: each.value for each in self.limits}
        return [
            Cell(
                key,
                title,
                *row.texts[key],
                MEASURED.get(key) or row.grades.get(key, ""),
                self._bar(key, row, limits.get(by)),
            )
            for key, title, by in COLUMNS
        ]

    def _bar(self, key: str, row: Row, at_most: float | None) -> Bar | None:
        spot = row.spots.get(key)
        if spot is None or spot[0] is None:
            return None if spot is None else NO_BAR
        value, low, high, base = spot
        start, end = self.axes[key]
        line = None if at_most is None else -at_most if key == "change" else at_most
        bar = RangeBar(
            value=value, low=low, high=high, base=base, zero=ZEROS.get(key), limit=line, start=start, end=end
        )
        return Bar(bar.value_at, bar.base_at, bar.band, bar.zero_at, bar.limit_at, key in row.worse)

    # --- what the script draws from

    @cached_property
    def axes(self) -> dict[str, tuple[float, float]]:
        """The ends of each column's axis, the same for all rows: money, waits and carbon from zero."""
        found = {}
        for key, _, _ in COLUMNS:
            shown = [each for row in self.rows for each in row.spots[key] if each is not None]
            low = min([*shown, ZEROS.get(key, 0.0)]) if key in ZEROS else 0.0
            high = max([*shown, ZEROS.get(key, 0.0)], default=1.0)
            spare = (high - low) * 0.06 or 1.0
            found[key] = (low - spare if key in ZEROS else 0.0, high + spare)
        return found

    @property
    def chart(self) -> dict[str, Any]:
        """The frame of the scatter; the script puts the points in, grey where they break a limit."""
        grey = {"color": "$base", "opacity": 0.35}
        series: list[dict[str, Any]] = [
            {"id": "out", "type": "scatter", "symbolSize": 6, "itemStyle": grey, "data": []}
        ]
        for family, name in charts.families_of(self.found):
            series.append(charts.empty_series(family, name))
        front = {"type": [4, 3], "color": "$ink-3", "width": 1}
        series += [
            {
                "id": "front",
                "type": "line",
                "step": "end",
                "symbol": "none",
                "silent": True,
                "lineStyle": front,
                "data": [],
            },
            charts.names(),
            charts.slower(self.found),
        ]
        return {**charts.frame(self.found), "series": series}

    @property
    def families(self) -> list[tuple[str, str]]:
        return charts.families_of(self.found)

    @property
    def verdicts(self) -> list[str]:
        return sorted({one.verdict for one in self.found})

    def as_json(self) -> dict[str, Any]:
        """What the browser filters, ranks and draws; it computes no figure itself."""
        return {
            "title": self.title,
            "says": self.says,
            "unknown": self.unknown,
            "problem": f"{self.fault.message} {self.fault.hint}" if self.fault else "",
            "limits": [
                {
                    "key": each.key,
                    "word": each.word,
                    "column": each.column,
                    "at": each.at,
                    "stops": [(one.value, one.label) for one in each.stops],
                }
                for each in self.limits
            ],
            "order": self.asked.order,
            "axes": self.axes,
            "zeros": ZEROS,
            "why": self.why,
            "whyAt": self.why_at,
            "baseline": {"texts": self.baseline.texts, "grades": self.baseline.grades} if self.baseline else None,
            "rows": [row.as_json() for row in self.rows],
        }  # fmt: skip
