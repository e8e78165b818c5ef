"""The four limits of a comparison and the orders in which variants are ranked.

The server gives each slider its stops with their labels and each variant its rank; the browser only compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

STOPS = 48
USUAL_LOSS = 1.0  # points: the gate a job starts with
ANY: Final = "any"
Key = tuple[float, ...]


@dataclass(frozen=True)
class Stop:
    """A place of a slider; no value is no limit."""

    value: float | None
    label: str


@dataclass(frozen=True)
class Limit:
    """One slider: its stops, where it stands, and what a variant beyond it is said to be over."""

    key: str
    title: str
    word: str
    column: str
    stops: tuple[Stop, ...]
    at: int

    @property
    def value(self) -> float | None:
        return self.stops[self.at].value

    @property
    def label(self) -> str:
        return self.stops[self.at].label

    @property
    def last(self) -> int:
        return len(self.stops) - 1

    def excess(self, figure: float | None) -> float:
        """How far beyond it a figure lies, in widths of the slider."""
        if self.value is None or not self.is_broken_by(figure):
            return 0.0
        width = max((stop.value for stop in self.stops if stop.value), default=1.0)
        return math.inf if figure is None else (figure - self.value) / width

    def is_broken_by(self, figure: float | None) -> bool:
        """Whether a figure lies beyond it; one that is not known does, as soon as there is a limit."""
        return self.value is not None and (figure is None or figure > self.value)


@dataclass(frozen=True)
class Kind:
    """What a limit is about, and which column of a row shows it. ``write`` makes its labels.

    With a ``step`` its stops are even ones from zero; without, they follow the figures.
    """

    key: str
    title: str
    word: str
    write: Callable[[float], str]
    column: str = ""
    step: float = 0.0


def limit(kind: Kind, figures: Iterable[float | None], asked: str | None, *, usual: float | None = None) -> Limit:
    """A slider over some figures, standing where it was asked to.

    Args:
        asked: a number in the unit of the figures, or "any"; anything else counts as not asked.
        usual: where it stands if nobody asked; None for no limit.
    """
    known = [each for each in figures if each is not None and math.isfinite(each)]
    wanted = _number(asked) if asked is not None else usual
    places = _even(max(known, default=0.0), kind.step) if kind.step else _places(known)
    values = sorted({*places, *([] if wanted is None else [wanted])})
    stops = (*(Stop(value, kind.write(value)) for value in values), Stop(None, ANY))
    at = values.index(wanted) if wanted is not None else len(values)
    return Limit(kind.key, kind.title, kind.word, kind.column or kind.key, stops, at)


def _number(asked: str) -> float | None:
    try:
        found = float(asked)
    except ValueError:
        return None
    return found if 0 <= found <= 1e15 else None


def _places(known: Sequence[float]) -> list[float]:
    """Round figures from the least to the most: even steps over a narrow span, even ratios over a wide one."""
    least, most = max(0.0, min(known, default=0.0)), max(known, default=0.0)
    if most <= 0:
        return [0.0]
    positive = min(each for each in known if each > 0)
    if least == 0 or most / positive < 8:
        step = _nice((most - least) / STOPS or most / STOPS)
        return _even(most, step, first=math.floor(least / step))
    ratio = (most / positive) ** (1 / STOPS)
    return sorted({_up(positive * ratio**place) for place in range(STOPS + 1)} | {_up(most)})


def _even(most: float, step: float, *, first: int = 0) -> list[float]:
    """Steps of one width, wider ones where they would be too many, up to the figure ``most``."""
    wide = _nice(max(step, most / STOPS / 2)) if first == 0 else step
    return [round(place * wide, 12) for place in range(first, max(first, math.ceil(most / wide - 1e-9)) + 1)]


def _nice(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= step * (1 - 1e-9))


def _up(value: float) -> float:
    """Rounded up to two digits, so that the figure it was made of lies within."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / power * (1 - 1e-12)) * power, 12)


ORDERS: Final[dict[str, str]] = {
    "saves": "saves most", "safest": "loses least accuracy", "fastest": "runs fastest", "waits": "waits least",
    "smallest": "smallest file",
}  # fmt: skip


def ranks(keys: Mapping[str, Sequence[Key]]) -> list[dict[str, int]]:
    """The place of each variant in each order, from keys of which the least goes first."""
    count = len(next(iter(keys.values()), ()))
    found: list[dict[str, int]] = [{} for _ in range(count)]
    for order, values in keys.items():
        for place, at in enumerate(sorted(range(count), key=values.__getitem__)):
            found[at][order] = place
    return found
