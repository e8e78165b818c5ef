"""One work done twice: by the best peer there is, and by a recipe of ours."""

from dataclasses import dataclass


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
class Took:
    """Seconds on the clock and on all processors together, of a command and what it started."""

    seconds: float
    processor_seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.processor_seconds / 60:.1f} CPU-minutes"
