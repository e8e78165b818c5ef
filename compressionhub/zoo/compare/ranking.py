"""Which rows hold the limits, in what order they stand, and which one to choose. ``compare.js`` does the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compressionhub.zoo.compare.limits import Limit
from compressionhub.zoo.compare.rows import Row
from workers.serving.shown import NOTHING


@dataclass(frozen=True)
class Placed:
    """A row in its place. ``fit`` says whether it holds the limits, else which one it breaks or what is missing.

    ``broken`` tells every limit it is over with its figure, ``excess`` by how much in all.
    """

    row: Row
    holds: bool
    fit: str
    broken: tuple[str, ...] = ()
    excess: float = 0.0


def placed(rows: Sequence[Row], limits: Sequence[Limit], order: str) -> list[Placed]:
    """The rows in order: those that hold all limits first."""
    money = any(row.share is not None for row in rows)
    found = [_place(row, limits, money) for row in rows]
    return sorted(found, key=lambda each: (not each.holds, each.row.ranks[order]))


def _place(row: Row, limits: Sequence[Limit], money: bool) -> Placed:
    over = [limit for limit in limits if limit.is_broken_by(row.limited[limit.key])]
    told = tuple(f"{limit.word} at {row.texts[limit.column][0]}" for limit in over)
    excess = sum(limit.excess(row.limited[limit.key]) for limit in over)
    if money and row.share is None:
        return Placed(row, False, row.reason, told, excess)
    return Placed(row, not over, f"over {over[0].word}" if over else "within limits", told, excess)


def sentence(found: Sequence[Placed], order: str) -> str:
    """Which one to choose, or why none."""
    if not found:
        return ""
    best = found[0]
    if best.holds and order == "saves" and (best.row.share or 0) < -NOTHING:
        return f"No variant within these limits saves money. The nearest is {best.row.name}: it {best.row.says}"
    if best.holds:
        return f"Choose {best.row.name}: it {best.row.says}"
    near = min((each for each in found if each.broken), key=lambda each: each.excess, default=None)
    if near is None:
        return "No variant can be chosen: what each would cost is not known."
    return f"No variant holds all limits. The nearest miss is {near.row.name}, over {' and '.join(near.broken)}."
