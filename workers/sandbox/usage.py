"""What a process group and a folder use now, read from ``/proc``, or from ``ps`` where there is none."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
DEEPEST_FOLDER = 40
MOST_FILES = 100_000
BLOCK_BYTES = 512


@dataclass(frozen=True)
class Usage:
    """Sums over a process group. ``seconds`` is the processor time it has used so far."""

    processes: int = 0
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    seconds: float = 0.0


def of_group(group: int) -> Usage:
    """What every process of the group uses now; zeros if none is left."""
    return _from_proc(group) if sys.platform == "linux" else _from_ps(group)


def _from_proc(group: int) -> Usage:
    processes = memory = peak = 0
    seconds = 0.0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        fields = _stat(name)
        if len(fields) < 22 or int(fields[2]) != group or fields[0] == "Z":
            continue
        processes += 1
        memory += int(fields[21]) * PAGE_BYTES
        peak = max(peak, _peak(name))
        seconds += (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    return Usage(processes, memory, max(peak, memory), seconds)


def _stat(process: str) -> list[str]:
    """The fields after the name: state, parent, group, ... as in proc_pid_stat(5); none once it is gone."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return []


def _peak(process: str) -> int:
    """The most memory a process ever held, which the kernel keeps for it."""
    try:
        status = Path("/proc", process, "status").read_text(errors="replace")
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0


def _from_ps(group: int) -> Usage:
    command = ["ps", "-A", "-o", "pgid=,rss=,time="]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [row for row in (line.split() for line in said.splitlines()) if len(row) == 3 and row[0] == str(group)]
    memory = sum(int(row[1]) for row in rows) * 1024
    return Usage(len(rows), memory, memory, sum(_seconds(row[2]) for row in rows))


def _seconds(clock: str) -> float:
    """Read ``[[dd-]hh:]mm:ss[.cc]``."""
    days, _, rest = clock.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + int(days or 0) * 86400


@dataclass
class Meter:
    """Follows one group over time."""

    group: int
    peak_memory_bytes: int = 0
    _seconds: float = 0.0
    _at: float = field(default_factory=time.monotonic)

    def glance(self) -> None:
        """Note the leader's peak: cheap enough for every message, so that a short job has one too."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, _peak(str(self.group)))

    def read(self) -> tuple[Usage, float]:
        """What is used now, and the processor share since the last reading, in percent of one core."""
        usage, now = of_group(self.group), time.monotonic()
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.peak_memory_bytes)
        share = 100 * max(0.0, usage.seconds - self._seconds) / max(1e-3, now - self._at)
        self._seconds, self._at = usage.seconds, now
        return usage, share


def folder_bytes(folder: Path) -> int | None:
    """The disk space that files below a folder take.

    Links are not followed. A tree too deep or too full to be honest work has no answer.
    """
    total = files = 0
    waiting = [(str(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        try:
            entries = list(os.scandir(path))
        except OSError:
            continue
        files += len(entries)
        if files > MOST_FILES or depth > DEEPEST_FOLDER:
            return None
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
            except OSError:
                continue
    return total


def kernel_kills() -> int:
    """How many processes the kernel has ended for want of memory, in this control group or else on this host."""
    for path, key in ((_own_cgroup() / "memory.events", "oom_kill"), (Path("/proc/vmstat"), "oom_kill")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return 0


def _own_cgroup() -> Path:
    try:
        line = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return Path("/nonexistent")
    return Path("/sys/fs/cgroup") / line[3:].lstrip("/")
