"""What a sensitivity job's page says: a sentence, bars in graph order, the recipe without the harmed layers."""

from __future__ import annotations

from typing import Any

from compressionhub.jobs.models import Job
from compressionhub.ui import units
from compressionhub.ui.bands import band
from workers.recipe import Recipe
from workers.report import LayerLoss, Loss, SamplesTried, Sensitivity
from workers.technique import Technique, can_be_taken_apart

MOST_NAMES = 3


def title(found: Sensitivity) -> str:
    """The answer: how many layers to leave out, or that none needs to be."""
    harmed = [layer for layer in _treated(found) if layer.loss.is_more_than_noise]
    if found.excluded:
        return f"Leave out {_layers(len(found.excluded))} of {len(found.layers)}"
    if not harmed:
        return "No layer alone loses more than noise"
    alone = "one layer alone loses" if len(harmed) == 1 else f"{len(harmed)} layers alone lose"
    return f"Nothing to leave out, though {alone} more than noise"


def text(found: Sensitivity) -> str:
    """What everything loses, what is left with the exclusions, and how many calibration rows are enough."""
    parts = [f"Treated as a whole, the network loses {loss(found.everything, found.unit)} of {found.metric}"]
    if found.tried and found.excluded:
        best = min(found.tried, key=lambda one: (one.loss.points is None, one.loss.points))
        parts[0] += f"; without {_named(found.excluded)} it loses {loss(best.loss, found.unit)}"
    if found.enough is not None:
        parts.append(
            f"From {units.count(found.enough)} calibration rows on, more of them change nothing that can be told"
        )
    elif len(found.calibration) > 1:
        parts.append("More calibration rows still matter at the largest number tried")
    together = sum(layer.together > 1 for layer in _treated(found))
    if together:
        parts.append(
            f"{units.count(together)} layers were treated with their neighbours, lost no more than noise together, and "
            "show what their group lost"
        )
    parts.append(f"Measured on {units.count(found.rows)} validation rows; test data was not opened")
    return ". ".join(parts) + "."


def loss(value: Loss, unit: str) -> str:
    """Points lost with their interval: ``0.42 points (0.13 to 0.71)``."""
    if value.points is None:
        return "everything: it gave no figure"
    word = "points" if unit == "points" else "%"
    noise = "" if value.is_more_than_noise else ", within noise"
    return f"{units.number(value.points, 2)} {word} ({units.span(value.low, value.high, 2)}{noise})"


def _layers(count: int) -> str:
    return "one layer" if count == 1 else f"{count} layers"


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def bars(found: Sensitivity) -> dict[str, Any]:
    """Points lost by each layer alone, in graph order; those to leave out in red."""
    worst = set(found.excluded)
    data = [
        {
            "value": round(layer.loss.points or 0.0, 3),
            "itemStyle": {"color": "$bad" if layer.name in worst else "$accent"},
        }
        for layer in _treated(found)
    ]
    unit = "points" if found.unit == "points" else "%"
    return {
        "grid": {"left": 52, "right": 16, "top": 28, "bottom": 60},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": [layer.name for layer in _treated(found)],
            "splitLine": {"show": False},
            "axisLabel": {"hideOverlap": True, "rotate": 30, "width": 110, "overflow": "truncate"},
        },
        "yAxis": {"type": "value", "splitNumber": 4, "name": f"{unit} lost", "axisLine": {"show": False}},
        "series": [{"type": "bar", "name": f"{unit} lost", "data": data, "barMaxWidth": 26}],
    }


def bars_label(found: Sensitivity) -> str:
    return "; ".join(f"{layer.name} {loss(layer.loss, found.unit)}" for layer in _treated(found))


def _treated(found: Sensitivity) -> list[LayerLoss]:
    return [layer for layer in found.layers if layer.treated]


def ladder(found: Sensitivity) -> dict[str, Any]:
    """What is lost over the number of calibration rows, with the interval as a band."""
    known = [one for one in found.calibration if one.loss.points is not None]
    return {
        "grid": {"left": 52, "right": 24, "top": 28, "bottom": 30},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [str(one.samples) for one in known], "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": True, "splitNumber": 4, "axisLine": {"show": False}},
        "series": [
            *band([one.loss.low for one in known], [one.loss.high for one in known]),
            {
                "type": "line",
                "name": "lost",
                "data": [[str(one.samples), round(one.loss.points or 0.0, 3)] for one in known],
                "symbol": "circle",
                "symbolSize": 7,
                "lineStyle": {"color": "$accent", "width": 2},
                "itemStyle": {"color": "$accent"},
            },
        ],
    }


def ladder_label(found: Sensitivity) -> str:
    return "; ".join(_rung(one, found.unit) for one in found.calibration)


def _rung(one: SamplesTried, unit: str) -> str:
    return f"{one.samples} rows: {loss(one.loss, unit)}"


def recipe_without(job: Job) -> Recipe | None:
    """The recipe with the harmed layers excluded: that of the job that raised the question, else the step alone."""
    found, asked = job.sensitivity_value, job.recipe_value
    if found is None or asked is None:
        return None
    step = asked.steps[0]
    better = step.model_copy(update={"excluded": found.excluded})
    source = job.copy_of.recipe_value if job.copy_of else None
    if source is None or step not in source.steps:
        return Recipe(steps=(better,))
    return source.model_copy(update={"steps": tuple(better if one == step else one for one in source.steps)})


def steps_that_can_be_asked(recipe: Recipe | None) -> list[tuple[int, Technique]]:
    """The steps of a recipe whose layers can be measured one by one, with their places."""
    steps = recipe.steps if recipe else ()
    return [(place, step) for place, step in enumerate(steps) if can_be_taken_apart(type(step))]
