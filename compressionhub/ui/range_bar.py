"""The range bar: value, interval, baseline, limit and the line of no change on one axis, drawn by the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compressionhub.ui.units import is_known


@dataclass(frozen=True)
class RangeBar:
    """Everything a bar may show, in the unit of its axis. What is None is not drawn.

    The axis runs from ``start`` to ``end``; without them it spans what is shown, with a tenth to spare.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    base: float | None = None
    zero: float | None = None
    limit: float | None = None
    start: float | None = None
    end: float | None = None
    label: str = ""
    worse: bool = False

    @property
    def axis(self) -> tuple[float, float]:
        """Where the track begins and ends."""
        shown = list(_known((self.value, self.low, self.high, self.base, self.zero, self.limit)))
        low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
        spare = (high - low) / 10 or abs(high) / 2 or 1.0
        return (low - spare if self.start is None else self.start, high + spare if self.end is None else self.end)

    def _at(self, value: float | None) -> str | None:
        """Where a value stands, as a percentage of the track; values off the axis stand at its end."""
        if value is None or not is_known(value):
            return None
        start, end = self.axis
        share = (value - start) / (end - start) if end > start else 0.5
        return f"{min(1.0, max(0.0, share)) * 100:.1f}%"

    @property
    def value_at(self) -> str | None:
        return self._at(self.value)

    @property
    def base_at(self) -> str | None:
        return self._at(self.base)

    @property
    def zero_at(self) -> str | None:
        return self._at(self.zero)

    @property
    def limit_at(self) -> str | None:
        return self._at(self.limit)

    @property
    def band(self) -> tuple[str, str] | None:
        """Left end and width of the interval."""
        left, right = self._at(self.low), self._at(self.high)
        if left is None or right is None:
            return None
        return left, f"{max(0.8, float(right[:-1]) - float(left[:-1])):.1f}%"


def _known(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None and is_known(value))
