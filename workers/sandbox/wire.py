"""The lines between a child and its parent: one JSON object each, checked before anybody believes them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from workers.errors import Frozen
from workers.events import CHILD_MAY_SAY, EVENT, Event
from workers.ticket import Limits, Order

ALONE_WANTED = b'{"control":"alone"}'
ALONE_OVER = b'{"control":"together"}'
GO = b"go\n"

LONGEST_LINE_BYTES = 8 << 20
# Facts of a network of a thousand layers take megabytes; everything else a child says fits on a page.
MAY_BE_LONG = frozenset(
    {"model_inspected", "dataset_inspected", "tried", "judged", "evaluated", "sensitivity_measured"}
)
SHORT_LINE_BYTES = 64 << 10
MOST_BYTES = 256 << 20
LINES_AT_ONCE = 2000
LINES_A_SECOND = 200.0


@dataclass(frozen=True)
class AloneWanted:
    """The child is about to time something and waits until it runs alone: answer with ``Child.go``."""


@dataclass(frozen=True)
class AloneOver:
    """The child has finished timing."""


@dataclass(frozen=True)
class Tick:
    """What the child and everything it started use now."""

    cpu_percent: float
    memory_bytes: int
    peak_memory_bytes: int
    processes: int


class Start(Frozen):
    """The one line a child waits for."""

    order: Order
    folder: Path
    readable: tuple[Path, ...] = ()
    limits: Limits


class Flood(Exception):
    """The child says more than its parent is ready to hear."""


class Garbled(Exception):
    """The child said something that is no event of its own."""


@dataclass
class Allowance:
    """How many lines a child may still send: a full bucket at first, refilled at a steady rate."""

    now: Callable[[], float] = time.monotonic
    left: float = LINES_AT_ONCE
    _filled: float = field(default=-1.0, repr=False)

    def take(self) -> None:
        """Use up one line.

        Raises:
            Flood: if none is left.
        """
        now = self.now()
        if self._filled >= 0:
            self.left = min(LINES_AT_ONCE, self.left + (now - self._filled) * LINES_A_SECOND)
        self._filled = now
        if self.left < 1:
            raise Flood(f"more than {LINES_A_SECOND:.0f} lines a second")
        self.left -= 1


@dataclass
class Lines:
    """Cuts what arrives into lines and lines into messages."""

    allowance: Allowance = field(default_factory=Allowance)
    _rest: bytearray = field(default_factory=bytearray)
    _bytes: int = 0

    def feed(self, chunk: bytes) -> Iterator[Event | AloneWanted | AloneOver]:
        """The messages that ``chunk`` completes.

        Raises:
            Flood: if a line, the rate or the sum is too much.
            Garbled: if a line is neither an event a child may send nor a control line.
        """
        self._bytes += len(chunk)
        if self._bytes > MOST_BYTES:
            raise Flood(f"more than {MOST_BYTES >> 20} MiB")
        self._rest += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                self.allowance.take()
                yield read(line)
        if len(self._rest) > LONGEST_LINE_BYTES:
            raise Flood(f"a line of over {LONGEST_LINE_BYTES >> 20} MiB")


def read(line: bytes) -> Event | AloneWanted | AloneOver:
    """Read one line of a child.

    Raises:
        Garbled: if it is neither an event a child may send nor a control line.
    """
    if line == ALONE_WANTED:
        return AloneWanted()
    if line == ALONE_OVER:
        return AloneOver()
    try:
        event: Event = EVENT.validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise Garbled(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None
    if event.type not in CHILD_MAY_SAY:
        raise Garbled(f"{event.type} is not a child's to say")
    if len(line) > SHORT_LINE_BYTES and event.type not in MAY_BE_LONG:
        raise Garbled(f"{event.type} of {len(line)} bytes, at most {SHORT_LINE_BYTES} expected")
    return event


def start_line(order: Order, *, folder: Path, readable: Sequence[Path], limits: Limits) -> bytes:
    """What ``Child.begin`` sends."""
    start = Start(order=order, folder=folder, readable=tuple(readable), limits=limits)
    return start.model_dump_json().encode() + b"\n"
