"""How measured figures are written: task metrics by name, changes in points, words of filters."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from django import template

from compressionhub.ui import markers, units, words
from compressionhub.ui.words import VERDICTS
from workers.metric import metrics
from workers.report import Interval, MetricDelta

register = template.Library()

FAMILIES: Final[dict[str, str]] = {family.value: label for family, label in markers.LABELS.items()}


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
def metric_alone(value: float, name: str) -> str:
    """A value without an interval: a share in percent, another figure to three digits."""
    return units.percent(value, 2) if is_share(name) else units.significant(value)


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


@register.filter("bytes")
def bytes_filter(value: float | None) -> str:
    return units.file_size(value)


@register.filter
def ms(value: float | None) -> str:
    return units.milliseconds(value)


@register.filter
def timed(batch: str, past_tokens: int | None) -> str:
    return units.timed(batch, past_tokens)


@register.filter
def tokens_per_second(one_step_ms: float, batch: str) -> str:
    """``batch`` rows gain a token each in a step."""
    return units.tokens_per_second(one_step_ms, int(batch))


@register.filter
def percent(value: float | None, places: int = 2) -> str:
    """A share from 0 to 1."""
    return units.percent(value, places)


@register.filter
def points(value: float | None) -> str:
    """A difference of shares."""
    return units.points(value)


@register.filter
def times(value: float | None, places: int = 2) -> str:
    return units.times(value, places)


@register.filter
def count(value: float | None) -> str:
    return units.count(value)


@register.filter
def shaped(tensor: Any) -> str:
    """Shape and type of one sample: ``1 × 28 × 28, float32``; an axis without a fixed size is ``any``."""
    return units.shaped(tensor.shape, tensor.dtype)


@register.filter
def duration(value: float | None) -> str:
    """Seconds."""
    return units.duration(value)


@register.filter
def about(value: float | None) -> str:
    """Seconds, rounded to what a person can use."""
    return units.about(value)


@register.filter
def watt_hours(value: float | None) -> str:
    """``0.24 Wh``, three digits."""
    return units.UNKNOWN if value is None or not units.is_known(value) else f"{units.significant(value)} Wh"


@register.filter
def short_number(value: float | None, prefixes: str = "") -> str:
    """``short_number:"si"`` writes G where people say billion."""
    return units.short_number(value, si=prefixes == "si")


@register.filter
def clock(value: datetime | None) -> str:
    return units.clock(value)


@register.filter
def day(value: date | None) -> str:
    return units.day(value)


@register.filter
def who(person: object) -> str:
    return words.who(person)


@register.filter
def get(mapping: Mapping[str, Any] | None, key: str) -> Any:
    """The value under a key, or None."""
    return mapping.get(key) if mapping else None


@register.filter
def sentence(text: str) -> str:
    return words.sentence(text)
