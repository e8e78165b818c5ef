"""Chart options of the zoo, as JSON for the page. Colours and formatters are token names."""

from collections.abc import Sequence
from typing import Any, Protocol

from compressionhub.ui.templatetags.figures import FAMILIES
from compressionhub.zoo.models import Entry


class Plotted(Protocol):
    """What stands in a scatter of trade-offs."""

    @property
    def speedup(self) -> float: ...
    @property
    def drop_points(self) -> float: ...
    @property
    def family(self) -> str: ...


MARKERS: dict[str, tuple[str, Any]] = {
    "quantization": ("circle", 9),
    "pruning": ("path://M5 .6 L9.7 9.2 H.3Z", 9),
    "distillation": ("path://M5 0 L10 5 L5 10 L0 5Z", 9),
    "lowrank": ("rect", 9),
    "sharing": ("path://M.3 .8 H9.7 L5 9.4Z", 9),
    "search": ("path://M3.5 0 h3 v3.5 H10 v3 H6.5 V10 h-3 V6.5 H0 v-3 h3.5Z", 9),
    "recovery": ("path://M0 3.2 H10 V6.8 H0Z", [11, 5]),
    "combined": ("path://M2.5 .7 h5 L10 5 L7.5 9.3 h-5 L0 5Z", 10),
}
NAMED_AT_MOST = 12
LABEL = {"position": "right", "color": "$ink", "fontSize": 12, "distance": 6, "formatter": "$fmt:name"}
FRONT: dict[str, Any] = {
    "type": "line",
    "step": "end",
    "symbol": "none",
    "silent": True,
    "lineStyle": {"type": [4, 3], "color": "$ink-3", "width": 1},
}


def trade_offs(entries: Sequence[Entry], front: Sequence[Entry]) -> dict[str, Any]:
    """Points change against speed-up: one series per family, the best trade-offs joined by a dashed line."""
    named = {entry.pk for entry in (entries if len(entries) <= NAMED_AT_MOST else front)}
    return {**frame(entries), "series": [*_points(entries, named), *_front(front), slower(entries)]}


def frame(entries: Sequence[Plotted]) -> dict[str, Any]:
    """Axes wide enough for all, without a point."""
    lowest, highest, step = _points_axis(entries)
    fastest = max([entry.speedup for entry in entries], default=1.0)
    return {
        "grid": {"left": 52, "right": 28, "top": 18, "bottom": 46},
        "tooltip": {"trigger": "item", "formatter": "$fmt:name"},
        "xAxis": {
            "type": "value",
            "min": _left(entries),
            "max": _ceil(fastest),
            "name": "Speed-up against own baseline, batch 1",
            "nameLocation": "middle",
            "nameGap": 30,
            "axisLabel": {"formatter": "$fmt:times"},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": lowest,
            "max": highest,
            "interval": step,
            "axisLabel": {"formatter": "$fmt:points"},
            "axisLine": {"show": False},
        },
        "narrow": {"plain": True, "grid": {"left": 44, "right": 12, "top": 18, "bottom": 46}},
    }


def families_of(entries: Sequence[Plotted]) -> list[tuple[str, str]]:
    """The families on the chart with their names, for the legend."""
    present = {entry.family for entry in entries}
    return [(family, name) for family, name in FAMILIES.items() if family in present]


def _points(entries: Sequence[Entry], named: set[Any]) -> list[dict[str, Any]]:
    return [
        {
            **empty_series(family, name),
            "data": [_point(entry, entry.pk in named) for entry in entries if entry.family == family],
        }
        for family, name in families_of(entries)
    ]


def empty_series(family: str, name: str) -> dict[str, Any]:
    """The points of a family, still without one; its id is the family."""
    symbol, size = MARKERS[family]
    return {
        "id": family,
        "name": name,
        "type": "scatter",
        "symbol": symbol,
        "symbolSize": size,
        "data": [],
        "itemStyle": {"color": f"$t-{family}", "opacity": 0.9},
        "labelLayout": {"hideOverlap": True},
        "label": LABEL,
    }


def names() -> dict[str, Any]:
    """Names beside points that another series draws; its id is ``names``."""
    return {
        "id": "names", "type": "scatter", "symbolSize": 9, "itemStyle": {"color": "transparent"}, "data": [],
        "labelLayout": {"hideOverlap": True}, "label": {**LABEL, "show": True},
    }  # fmt: skip


def _point(entry: Entry, named: bool) -> dict[str, Any]:
    return {
        "value": [round(entry.speedup, 3), round(-entry.drop_points, 3)],
        "name": entry.name,
        "label": {"show": named},
        "url": entry.get_absolute_url(),
    }


def _front(front: Sequence[Entry]) -> list[dict[str, Any]]:
    if len(front) < 2:
        return []
    data = [[round(entry.speedup, 3), round(-entry.drop_points, 3)] for entry in front]
    return [{**FRONT, "data": data}]


def _left(entries: Sequence[Plotted]) -> float:
    return 0.5 if all(entry.speedup >= 0.5 for entry in entries) else 0.0


def slower(entries: Sequence[Plotted]) -> dict[str, Any]:
    """The region in which a variant is slower than its baseline."""
    area = [
        {
            "xAxis": _left(entries),
            "itemStyle": {"color": "$bad-weak"},
            "label": {
                "show": True,
                "position": "insideTopLeft",
                "formatter": "slower than\nits baseline",
                "color": "$bad",
                "fontSize": 12,
                "lineHeight": 15,
            },
        },
        {"xAxis": 0.95},
    ]
    return {"type": "line", "data": [], "silent": True, "markArea": {"silent": True, "data": [area]}}


def _ceil(value: float) -> float:
    """The next half above, so that the axis ends on a label."""
    return max(1.5, -(-value // 0.5) * 0.5 + 0.5)


def _points_axis(entries: Sequence[Plotted]) -> tuple[float, float, float]:
    """Ends and step of the axis of points: at least from one point worse to half a point better."""
    changes = [-entry.drop_points for entry in entries]
    low, high = min([-1.0, *changes]), max([0.5, *changes])
    step = next((step for step in (0.5, 1, 2, 5, 10, 20) if (high - low) / step <= 6), 50)
    return low // step * step, -(-high // step) * step, step
