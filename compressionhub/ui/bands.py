"""An interval along a line of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLACES = 3


def band(low: Sequence[float], high: Sequence[float]) -> list[dict[str, Any]]:
    """Two stacked lines over the categories of the axis: an invisible floor and the filled rest."""
    plain = {
        "type": "line",
        "stack": "band",
        "symbol": "none",
        "silent": True,
        "lineStyle": {"width": 0},
        "tooltip": {"show": False},
    }
    rest = [round(top - bottom, PLACES) for bottom, top in zip(low, high, strict=True)]
    return [
        {**plain, "data": [round(each, PLACES) for each in low]},
        {**plain, "data": rest, "areaStyle": {"color": "$accent/band"}},
    ]
