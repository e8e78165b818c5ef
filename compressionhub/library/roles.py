"""The roles of a dataset as its page shows them."""

from dataclasses import dataclass

from compressionhub.ui.units import count
from workers.facts import DatasetFacts, Role

ORDER = (Role.TRAIN, Role.CALIBRATION, Role.VALIDATION, Role.TEST)
SAYS = {
    Role.TRAIN: "fine-tunes and distils",
    Role.CALIBRATION: "sets the ranges of int8; never overlaps test",
    Role.VALIDATION: "judges every step and decides early stops",
    Role.TEST: "opened once, by the final evaluation",
}
MOST_OVERLAP = 0.01
MOST_CLASSES = 40


@dataclass(frozen=True)
class RoleRow:
    """One role: how many rows, where they come from, and how many of the test rows stand in it too."""

    role: Role
    says: str
    rows: int
    declared: bool
    overlap: int
    overlap_is_bad: bool
    overlap_is_refused: bool

    @property
    def overlap_text(self) -> str:
        return f"{count(self.overlap)} rows"


def rows(facts: DatasetFacts) -> list[RoleRow]:
    """The roles that hold anything, in the order of their use."""
    found = []
    for role in ORDER:
        if role not in facts.roles:
            continue
        held, overlap = facts.roles[role], facts.overlaps.get(role, 0)
        refused = role is Role.CALIBRATION and overlap > 0
        bad = refused or (held.rows > 0 and overlap / held.rows > MOST_OVERLAP)
        found.append(RoleRow(role, SAYS[role], held.rows, held.declared, overlap, bad, refused))
    return found


@dataclass(frozen=True)
class ClassRow:
    """One class and how many rows of each role bear it."""

    name: str
    counts: tuple[int, ...]


def class_table(facts: DatasetFacts) -> list[ClassRow]:
    """The classes by role; the first forty where there are more."""
    held = [facts.roles[role].class_counts for role in ORDER if role in facts.roles]
    names = facts.target.classes[:MOST_CLASSES]
    return [ClassRow(name, tuple(counts.get(name, 0) for counts in held)) for name in names] if any(held) else []
