"""Before and after, model by model: size on the left, latency on the right, baseline grey and variant teal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compressionhub.ui import units
from compressionhub.ui.chart_heights import at_least
from compressionhub.zoo.compare.evidence import Evidence

MOST_MODELS = 8
MOST_PIXELS = 380


def before_and_after(best: Sequence[Evidence]) -> dict[str, Any]:
    """Bars for each model's fastest listed variant beside its baseline; both scales start at zero."""
    shown = list(best)[:MOST_MODELS]
    sizes = [(one.size_before, one.size_after) for one in shown]
    times = [(one.p50_before_ms, one.p50_after_ms) for one in shown]
    timed = units.timed_together("1", [one.past_tokens for one in shown])
    return {
        "grid": [
            {"left": 130, "width": "34%", "top": 28, "bottom": 24},
            {"left": "62%", "right": 30, "top": 28, "bottom": 24},
        ],
        "narrow": {
            "grid": [
                {"left": 84, "width": "28%", "top": 36, "bottom": 24},
                {"left": "66%", "right": 24, "top": 36, "bottom": 24},
            ],
            "title": [_title("File", 80), _title(timed, "65%", width=104)],
            "xAxis": [_scale(0, "$fmt:bytes", parts=1), _scale(1, "$fmt:ms", parts=1)],
        },
        "tooltip": {"trigger": "item"},
        "title": [_title("File", 126), _title(timed, "61.5%")],
        "xAxis": [_scale(0, "$fmt:bytes"), _scale(1, "$fmt:ms")],
        "yAxis": [_names(0, [one.model for one in shown], show=True), _names(1, [""] * len(shown), show=False)],
        "series": [*_bars(0, sizes), *_bars(1, times)],
    }


def height(models: int) -> int:
    """A height that leaves about 50 pixels a model."""
    return at_least(60 + 50 * min(models, MOST_MODELS), most=MOST_PIXELS)


def label(best: Sequence[Evidence]) -> str:
    """The same figures in words."""
    return "; ".join(
        f"{one.model}: {units.file_size(one.size_before)} to {units.file_size(one.size_after)}, "
        f"{units.milliseconds(one.p50_before_ms)} to {units.milliseconds(one.p50_after_ms)}"
        for one in list(best)[:MOST_MODELS]
    )


def _title(text: str, left: int | str, width: int | None = None) -> dict[str, Any]:
    """A heading; with a width it goes on in the next line."""
    wrapped = {} if width is None else {"width": width, "overflow": "break", "lineHeight": 15}
    style = {"fontSize": 12, "fontWeight": 500, "color": "$ink-2", **wrapped}
    return {"text": text, "left": left, "top": 0, "textStyle": style}


def _scale(index: int, formatter: str, parts: int = 2) -> dict[str, Any]:
    return {
        "type": "value",
        "gridIndex": index,
        "min": 0,
        "splitNumber": parts,
        "axisLine": {"show": False},
        "axisLabel": {"formatter": formatter, "hideOverlap": True},
    }


def _names(index: int, names: list[str], *, show: bool) -> dict[str, Any]:
    look = {"show": show, "color": "$ink-2", "interval": 0, "width": 110, "overflow": "truncate"}
    return {
        "type": "category",
        "gridIndex": index,
        "data": names,
        "inverse": True,
        "axisLine": {"show": False},
        "splitLine": {"show": False},
        "axisLabel": look,
    }


def _bars(index: int, pairs: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Baseline above, variant below, in each row."""
    plain = {"type": "bar", "xAxisIndex": index, "yAxisIndex": index, "barWidth": 9, "barGap": "30%"}
    looks = (("baseline", "$base"), ("variant", "$accent"))
    return [
        {
            **plain,
            "name": name,
            "data": [pair[place] for pair in pairs],
            "itemStyle": {"color": colour, "borderRadius": [0, 2, 2, 0]},
        }
        for place, (name, colour) in enumerate(looks)
    ]
