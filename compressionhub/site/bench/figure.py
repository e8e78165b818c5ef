"""A measured figure beside what it should reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``measured`` and ``reach`` carry their units."""

    title: str
    measured: str
    reach: str
    good: bool
