"""The deeds a child is asked for, the limits it has, and what is seen of it."""

from dataclasses import dataclass

from workers.events import Event, Log
from workers.sandbox import AloneOver, AloneWanted, Outcome, Tick
from workers.ticket import Limits

ORDERS = "tests.workers.sandbox_orders:perform"
MIB = 1 << 20
LIMITS = Limits(memory_bytes=1 << 30, disk_bytes=64 * MIB, wall_seconds=20)
QUICK = LIMITS.model_copy(update={"wall_seconds": 1})


@dataclass
class Ran:
    """What a finished child said and how it ended."""

    said: list[Event | AloneWanted | AloneOver | Tick]
    outcome: Outcome
    seconds: float
    group: int

    @property
    def text(self) -> str:
        return next((message.text for message in self.said if isinstance(message, Log)), "")
