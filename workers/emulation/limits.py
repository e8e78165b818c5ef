"""A device's memory as a cap on a process here: a control group where this worker may make one.

Version 2 of the kernel's control groups needs the memory controller handed down to the worker's own group, version 1
a writable one. Elsewhere the process limits its own data segment (RLIMIT_DATA): that stops it before it takes
more than the device has, but counts what it reserves, not what it uses.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

Means = Literal["cgroup v2", "cgroup v1", "RLIMIT_DATA"]
OWN = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")
LIMIT_FILES = {"cgroup v2": "memory.max", "cgroup v1": "memory.limit_in_bytes"}
PEAK_FILES = {"cgroup v2": "memory.peak", "cgroup v1": "memory.max_usage_in_bytes"}
FILE_WORDS = {"cgroup v2": "file", "cgroup v1": "total_cache"}


@dataclass(frozen=True)
class Charged:
    """What the kernel charged to a group: the most ever, pages of files now, and whether it ended a process."""

    peak_bytes: int
    file_bytes: int
    killed: bool


@dataclass(frozen=True)
class Cap:
    """A cap on the processes that enter it; without a folder it is only a number they limit themselves to."""

    means: Means
    bytes: int
    folder: Path | None = None

    def enter(self, process: int) -> None:
        """Charge what a process takes from now on.

        Raises:
            OSError: if the kernel refuses.
        """
        if self.folder is not None:
            (self.folder / "cgroup.procs").write_text(str(process))

    def charged(self) -> Charged | None:
        """What was charged so far; nothing where no group counts."""
        if self.folder is None:
            return None
        stat = _pairs(self.folder / "memory.stat")
        return Charged(
            peak_bytes=int((self.folder / PEAK_FILES[self.means]).read_text()),
            file_bytes=stat.get(FILE_WORDS[self.means], 0),
            killed=self._kills() > 0,
        )

    def _kills(self) -> int:
        where = "memory.events" if self.means == "cgroup v2" else "memory.oom_control"
        return _pairs(self.folder / where).get("oom_kill", 0) if self.folder else 0


@contextmanager
def cap(memory_bytes: int) -> Iterator[Cap]:
    """A cap for one process after another; its group goes with it."""
    found = _group(memory_bytes)
    try:
        yield found
    finally:
        if found.folder is not None:
            with contextlib.suppress(OSError):
                found.folder.rmdir()


def means() -> Means:
    """How this worker would hold a process to a device's memory."""
    with cap(1 << 30) as found:
        return found.means


def _group(memory_bytes: int) -> Cap:
    for kind, parent in _parents():
        folder = parent / f"workers-{os.getpid()}-{uuid4().hex[:8]}"
        try:
            folder.mkdir()
            (folder / LIMIT_FILES[kind]).write_text(str(memory_bytes))
            (folder / PEAK_FILES[kind]).read_text()
            _forbid_swap(folder, memory_bytes)
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        return Cap(means=kind, bytes=memory_bytes, folder=folder)
    return Cap(means="RLIMIT_DATA", bytes=memory_bytes)


def _forbid_swap(folder: Path, memory_bytes: int) -> None:
    """A device's memory has no swap behind it; kernels that do not count swap have no such file."""
    for name, value in (("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", str(memory_bytes))):
        if (folder / name).exists():
            with contextlib.suppress(OSError):
                (folder / name).write_text(value)


def _parents() -> Iterator[tuple[Means, Path]]:
    """The worker's own groups that could have a part of their own, version 2 first.

    A version 2 group that holds processes cannot have limited parts, so the group above is tried too.
    """
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            own = ROOT / path.lstrip("/")
            yield from (("cgroup v2", folder) for folder in (own, own.parent) if ROOT in (folder, *folder.parents))
        elif "memory" in controllers.split(","):
            yield "cgroup v1", ROOT / "memory" / path.lstrip("/")


def _pairs(path: Path) -> dict[str, int]:
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
