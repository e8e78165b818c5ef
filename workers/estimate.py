"""What an estimate is, and the figure it returns: a value with its range, its class and everything it rests on.

A figure's class is the worst among its data inputs. What somebody chose (traffic, floor, limit, horizon) is
named with its author and has no class. Nothing here knows how a figure is computed; that is one file each in
``workers/estimates``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

import workers.estimates
from workers.errors import Frozen
from workers.registry import members
from workers.report import GRADE

PRICE_DAYS = 180
GRID_YEARS = 2


class Grade(StrEnum):
    """How firm a data input is, and with it every figure that rests on it."""

    MEASURED = "A"
    MODELLED = "B"
    TABLE = "C"
    ASSUMED = "D"

    @property
    def word(self) -> str:
        return {"A": "measured", "B": "modelled", "C": "from a table", "D": "assumed"}[self.value]


def worst(grades: Iterable[Grade | None]) -> Grade | None:
    """The least firm of some grades; choices (None) do not count. None if there is no data at all."""
    return max((grade for grade in grades if grade is not None), default=None)


class InputFact(Frozen):
    """One input of a figure: data with a class, or a choice with an author; an override is data with an author.

    ``ages`` says by which rule it grows stale. ``year`` is for tables that state no day.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    title: str
    value: float
    low: float
    high: float
    unit: str
    grade: Grade | None = Field(default=None, validation_alias=GRADE, serialization_alias="class")
    author: str = ""
    source: str = ""
    as_of: date | None = None
    year: int | None = None
    licence: str = ""
    region: str = ""
    ages: Literal["price", "grid", "no"] = "no"
    unverified: bool = False

    @model_validator(mode="after")
    def _somebody_answers_for_it(self) -> Self:
        if self.grade is None and not self.author:
            raise ValueError(f"expected a class or an author for {self.name!r}, found neither")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"expected low <= value <= high for {self.name!r}: {self.low}, {self.value}, {self.high}")
        return self

    @property
    def is_choice(self) -> bool:
        return self.grade is None

    def stale(self, on: date) -> str:
        """Why this input is too old on a day, as a sentence; empty where it is not."""
        if self.ages == "price":
            return self._stale_price(on)
        return self._stale_grid(on) if self.ages == "grid" else ""

    def _stale_price(self, on: date) -> str:
        if self.as_of is None:
            return f"{self.title}: the source states no date."
        if on - self.as_of > timedelta(days=PRICE_DAYS):
            return f"{self.title}: of {self.as_of.isoformat()}, {(on - self.as_of).days} days old."
        return ""

    def _stale_grid(self, on: date) -> str:
        year = self.as_of.year if self.year is None and self.as_of is not None else self.year
        if year is None:
            return f"{self.title}: the source states no year."
        if on.year - year > GRID_YEARS:
            return f"{self.title}: of {year}, {on.year - year} calendar years old."
        return ""


State = Literal["known", "never", "unknown"]


class Amount(Frozen):
    """One figure. ``never`` is a payback that does not come; ``unknown`` has a reason instead of a value.

    A missing ``high`` of a known figure means that it has no upper end (a payback that may never come).
    """

    model_config = ConfigDict(serialize_by_alias=True)

    value: float | None
    low: float | None
    high: float | None
    unit: str
    grade: Grade | None = Field(default=None, validation_alias=GRADE, serialization_alias="class")
    method: str
    inputs: tuple[InputFact, ...] = ()
    state: State = "known"
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _take_the_worst_grade(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not {"grade", "class"}.isdisjoint(values):
            return values
        inputs = values.get("inputs", ())
        if not all(isinstance(each, InputFact) for each in inputs):
            return values
        return {**values, "grade": worst(each.grade for each in inputs)}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        least = worst(each.grade for each in self.inputs)
        if least is not None and (self.grade is None or self.grade < least):
            raise ValueError(f"expected class {least} or worse, as its inputs are, found {self.grade}")
        if (self.value is None) != (self.state != "known"):
            raise ValueError(f"a figure that is {self.state} has value {self.value}")
        if self.state == "unknown" and not self.reason:
            raise ValueError("a figure that is not known says why")
        if self.value is not None and not _ordered(self.low, self.value, self.high):
            raise ValueError(f"expected low <= value <= high, found {self.low}, {self.value}, {self.high}")
        return self

    @classmethod
    def of(
        cls, value: float, low: float, high: float, unit: str, *, method: str, inputs: tuple[InputFact, ...]
    ) -> Amount:
        """A figure from plain numbers, in which infinity means never and not-a-number is refused."""
        grade = worst(each.grade for each in inputs)
        if math.isnan(value):
            raise ValueError("a figure that is not known needs a reason: use Amount.unknown")
        never = math.isinf(value)
        return cls(
            value=None if never else value, low=_finite(low), high=_finite(high), unit=unit, grade=grade,
            method=method, inputs=inputs, state="never" if never else "known",
        )  # fmt: skip

    @classmethod
    def unknown(cls, unit: str, reason: str, *, method: str = "", inputs: tuple[InputFact, ...] = ()) -> Amount:
        """A figure that cannot be given, with the reason as a sentence."""
        grade = worst(each.grade for each in inputs)
        return cls(
            value=None, low=None, high=None, unit=unit, grade=grade, method=method, inputs=inputs, state="unknown",
            reason=reason,
        )  # fmt: skip

    @property
    def is_known(self) -> bool:
        return self.state == "known"

    @property
    def is_never(self) -> bool:
        return self.state == "never"

    def stale(self, on: date) -> tuple[str, ...]:
        """What among its inputs is too old on a day: a badge each."""
        return tuple(sentence for each in self.inputs if (sentence := each.stale(on)))

    def data(self) -> tuple[InputFact, ...]:
        return tuple(each for each in self.inputs if not each.is_choice)

    def choices(self) -> tuple[InputFact, ...]:
        return tuple(each for each in self.inputs if each.is_choice)

    def overrides(self) -> tuple[InputFact, ...]:
        """Data that somebody typed in instead of a table."""
        return tuple(each for each in self.inputs if each.author and not each.is_choice)


def _ordered(low: float | None, value: float, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class AboutEstimate(Frozen):
    """What an estimate says of itself.

    ``formula`` is one line with the symbols of ``legend``. ``cancels`` names the inputs that stand on both sides
    of a relative saving and drop out of it, so that they lend it neither range nor class. ``compares`` is false for a
    figure that is a comparison itself.
    """

    title: str
    unit: str
    formula: str
    legend: str
    source: str
    example: str
    lower_is_better: bool = True
    cancels: frozenset[str] = frozenset()
    compares: bool = True


class Estimate(ABC):
    """One kind of figure. Its file is named like its slug."""

    about: ClassVar[AboutEstimate]

    @classmethod
    def slug(cls) -> str:
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    @classmethod
    def card(cls) -> str:
        """The first line of the docstring: one sentence for a page."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    @abstractmethod
    def example(cls) -> Amount:
        """The figure of the worked example that ``about.example`` tells."""


class NotKnown(Exception):
    """A figure cannot be given; the reason is a sentence for the reader."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@cache
def estimates() -> dict[str, type[Estimate]]:
    """Every estimate by slug."""
    return members(workers.estimates, Estimate)  # type: ignore[type-abstract]
