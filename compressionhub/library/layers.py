"""Where size and work sit in a network: the chart per layer, and the sentence under it."""

from typing import Any

from compressionhub.ui.chart_heights import at_least
from compressionhub.ui.units import percent
from workers.facts import LayerFacts, ModelFacts

MOST_BARS = 60
LETTER_PIXELS = 6.6


def shown(facts: ModelFacts) -> tuple[LayerFacts, ...]:
    """The layers worth a bar, in graph order: where there are too many, those that hold or do the most."""
    working = [layer for layer in facts.layers if layer.params or layer.macs]
    if len(working) <= MOST_BARS:
        return tuple(working)
    weight = {id(layer): _share(layer.params, facts.params) + _share(layer.macs, facts.macs) for layer in working}
    least = sorted(weight.values(), reverse=True)[MOST_BARS - 1]
    return tuple(layer for layer in working if weight[id(layer)] >= least)[:MOST_BARS]


def chart_height(facts: ModelFacts) -> int:
    """A height that gives each bar room."""
    return at_least(50 + 20 * len(shown(facts)))


def chart(facts: ModelFacts) -> dict[str, Any]:
    """Two columns of bars over the same layers: parameters and multiply-accumulates."""
    layers = shown(facts)
    names = [layer.name[-34:] or layer.op for layer in layers]
    left = min(240, 18 + round(LETTER_PIXELS * max(map(len, names), default=0)))
    columns = (
        ("Parameters", [layer.params for layer in layers]),
        ("MACs, for one sample", [layer.macs for layer in layers]),
    )
    return {
        "grid": [_grid(left, "49%"), _grid("57%", "3%")],
        "title": [_title(columns[0][0], left), _title(columns[1][0], "57%")],
        "tooltip": {"trigger": "axis"},
        "xAxis": [_figures(index) for index in range(2)],
        "yAxis": [_layers(index, names) for index in range(2)],
        "series": [_bars(index, name, values) for index, (name, values) in enumerate(columns)],
        "narrow": {
            "grid": [_grid(left, "37%"), _grid("70%", "4%")],
            "title": [_title("Parameters", left), _title("MACs", "70%")],
        },
    }


def _grid(left: int | str, right: str) -> dict[str, Any]:
    return {"left": left, "right": right, "top": 44, "bottom": 6}


def _title(text: str, left: int | str) -> dict[str, Any]:
    return {"text": text, "left": left, "top": 0, "textStyle": {"fontSize": 12, "fontWeight": 500, "color": "$ink-2"}}


def _figures(index: int) -> dict[str, Any]:
    label = {"fontSize": 12, "formatter": "$fmt:short"}
    return {
        "type": "value",
        "gridIndex": index,
        "position": "top",
        "splitNumber": 2,
        "axisLine": {"show": False},
        "axisLabel": label,
    }


def _layers(index: int, names: list[str]) -> dict[str, Any]:
    label = {"show": index == 0, "fontSize": 12, "color": "$ink-2", "width": 220, "overflow": "truncate"}
    if len(names) <= 21:
        label["interval"] = 0
    return {
        "type": "category",
        "gridIndex": index,
        "data": names,
        "inverse": True,
        "axisLine": {"show": False},
        "splitLine": {"show": False},
        "axisLabel": label,
    }


def _bars(index: int, name: str, values: list[int]) -> dict[str, Any]:
    style = {"color": "$base", "borderRadius": [0, 2, 2, 0]}
    return {
        "type": "bar",
        "name": name,
        "xAxisIndex": index,
        "yAxisIndex": index,
        "data": values,
        "barMaxWidth": 10,
        "itemStyle": style,
    }


def sentence(facts: ModelFacts) -> str:
    """Which layer holds the most and which works the most, and what follows for pruning."""
    if not facts.layers or not facts.params:
        return ""
    largest = max(facts.layers, key=lambda layer: layer.params)
    holds = f"{largest.name or largest.op} holds {percent(_share(largest.params, facts.params), 0)} of the parameters"
    if not facts.macs:
        return f"{holds}."
    busiest = max(facts.layers, key=lambda layer: layer.macs)
    if busiest is largest:
        return f"{holds} and does {percent(_share(busiest.macs, facts.macs), 0)} of the work: shrinking it saves both."
    does = f"{busiest.name or busiest.op} does {percent(_share(busiest.macs, facts.macs), 0)} of the work"
    return f"{holds}, {does}: pruning the first shrinks the file, pruning the second saves time."


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
