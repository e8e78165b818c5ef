"""How measured figures are written: task metrics by name, changes in points, words of filters."""

from typing import Final

from django import template

from compressionhub.ui import units
from compressionhub.ui.words import VERDICTS
from workers.metric import metrics
from workers.report import Interval, MetricDelta

register = template.Library()

FAMILIES: Final = {
    "quantization": "Quantization",
    "pruning": "Pruning",
    "distillation": "Distillation",
    "lowrank": "Low-rank",
    "sharing": "Weight sharing",
    "search": "Architecture search",
    "recovery": "Fine-tuning",
    "combined": "Several families",
}


def is_share(name: str) -> bool:
    """Whether a metric runs from 0 to 1 and is written in percent."""
    kind = metrics().get(name)
    return kind is None or kind.about.unit == "share"


@register.filter
def metric_word(name: str) -> str:
    """The title of a metric."""
    kind = metrics().get(name)
    return kind.about.title if kind else name.replace("_", " ")


@register.filter
def metric(interval: Interval | None, name: str) -> str:
    """The value: a share in percent with two decimals, another figure to the digits its interval allows."""
    if interval is None:
        return "–"
    return (
        units.percent(interval.value, 2)
        if is_share(name)
        else units.number(interval.value, units.places_for(interval.low, interval.high))
    )


@register.filter
def metric_interval(interval: Interval | None, name: str) -> str:
    """The 95 % interval, in the unit of the value."""
    if interval is None:
        return ""
    if is_share(name):
        return f"{units.number(interval.low * 100, 2)}–{units.number(interval.high * 100, 2)}"
    return units.span(interval.low, interval.high)


@register.filter
def metric_change(delta: MetricDelta | None, name: str) -> str:
    """The signed difference: points for shares."""
    if delta is None:
        return "–"
    return (
        f"{units.points(delta.value)}"
        if is_share(name)
        else units.number(delta.value, units.places_for(delta.low, delta.high), signed=True)
    )


@register.filter
def signed_points(value: float | None) -> str:
    """A figure that is in points already: ``−0.42``."""
    return units.number(value, 2, signed=True) if units.is_known(value) else units.UNKNOWN  # type: ignore[arg-type]


@register.filter
def plain(value: float | None) -> str:
    """A ratio without its sign of multiplication, for the ends of a range."""
    return units.times(value).rstrip("×") if value is not None else units.UNKNOWN


@register.filter
def facet_word(value: str, facet: str) -> str:
    """A filter's value as people say it."""
    if facet == "technique":
        return FAMILIES.get(value, value)
    return VERDICTS[value].text if facet == "verdict" and value in VERDICTS else value
