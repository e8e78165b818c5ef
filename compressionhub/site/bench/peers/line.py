"""One work done twice: by the best peer there is, and by a recipe of ours."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """A row of the table. What was measured carries its units; ``note`` says how long it took and what differs."""

    work: str
    peer: str
    ours: str
    reach: str
    good: bool
    note: str = ""

    @property
    def verdict(self) -> str:
        return "reached" if self.good else "not reached"


@dataclass(frozen=True)
class Options:
    """What a person asked for.

    ``cnn`` is a trained network for the works on pictures; with ``published`` a peer that has to train, which takes
    minutes, is quoted and not run.
    """

    cnn: Path | None = None
    published: bool = False


@dataclass(frozen=True)
class Took:
    """Seconds on the clock and on all processors together, of a command and what it started."""

    seconds: float
    processor_seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.processor_seconds / 60:.1f} CPU-minutes"
