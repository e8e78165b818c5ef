"""This host's energy counters, and what each job draws from them: powercap (RAPL) and NVML, where they can be read.

A counter covers what it says and no more: processor packages and memory, or a graphics processor; not the rest of
the server. Jobs that run at the same time share what is drawn in that time equally.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.report import Metering

POWERCAP = Path("/sys/class/powercap")
LONGEST_GAP_SECONDS = 300.0  # a full package takes 262 kJ, after which many counters begin anew, in nine minutes
REST_SECONDS = 5.0
JOULES_A_WH = 3600.0
NOT_READABLE = "Powercap counts energy here, but this account may not read it: give it the right to energy_uj."
NO_NVML = "A graphics processor is there, but nvidia-ml-py is not installed: its energy is not metered."


@dataclass
class Counter:
    """A counter that only grows, or begins anew at ``wraps_at``."""

    name: str
    read: Callable[[], int]
    units_a_joule: float
    wraps_at: int | None = None
    _last: int = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.read()

    def step(self) -> float:
        """Joules since the last step.

        Raises:
            OSError: if it can no longer be read.
        """
        now = self.read()
        grown = now - self._last
        if grown < 0:
            grown += self.wraps_at or -grown  # one that was reset tells nothing of what came before
        self._last = now
        return max(0, grown) / self.units_a_joule


def counters(root: Path = POWERCAP) -> tuple[list[Counter], tuple[str, ...]]:
    """The counters that can be read, and what keeps others from being read, a sentence each."""
    found, lacks = _powercap(root)
    gpus, said = _nvml()
    return [*found, *gpus], (*lacks, *said)


def _powercap(root: Path) -> tuple[list[Counter], tuple[str, ...]]:
    """Packages and their memory; zones inside a package, and the platform around it, would count twice."""
    found, lacks = [], []
    for path in sorted(root.glob("intel-rapl:*")):
        try:
            name = (path / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                most = int((path / "max_energy_range_uj").read_text())
                found.append(Counter(name, lambda file=path / "energy_uj": int(file.read_text()), 1e6, most))  # type: ignore[misc]
        except PermissionError:
            lacks.append(NOT_READABLE)
        except (OSError, ValueError):
            continue
    return found, tuple(dict.fromkeys(lacks))


def _nvml() -> tuple[list[Counter], tuple[str, ...]]:
    """Graphics processors from Volta on count the millijoules since the driver was loaded."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return [], (NO_NVML,) if Path("/proc/driver/nvidia/gpus").exists() else ()
    found = []
    try:
        nvml.nvmlInit()
        for index in range(nvml.nvmlDeviceGetCount()):
            device = nvml.nvmlDeviceGetHandleByIndex(index)
            with contextlib.suppress(nvml.NVMLError):
                read = lambda device=device: int(nvml.nvmlDeviceGetTotalEnergyConsumption(device))  # noqa: E731
                found.append(Counter(f"gpu-{index}", read, 1e3))  # type: ignore[arg-type]
    except nvml.NVMLError:
        return [], ()
    return found, ()


@dataclass
class Share:
    """What one job has drawn so far. ``rest_j`` is what the host would have drawn at rest; None where nobody knows."""

    gross_j: float = 0.0
    rest_j: float | None = 0.0
    seconds: float = 0.0
    shared: bool = False
    broken: bool = False


class Meter:
    """Reads the counters together and divides what was drawn among the jobs that ran.

    Args:
        found: the counters of this host; without any, nothing is metered.
    """

    def __init__(self, found: Iterable[Counter], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = list(found)
        self._clock = clock
        self._lock = threading.Lock()
        self._at = clock()
        self._running: list[Share] = []
        self._idle_j = self._idle_s = 0.0
        self._rest_w: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._counters)

    def sample(self) -> None:
        """Read all counters; at least every few minutes, or one may begin anew unseen."""
        with self._lock:
            self._step()

    @contextlib.contextmanager
    def job(self) -> Iterator[Share]:
        """A job runs meanwhile."""
        share = Share()
        with self._lock:
            self._step()
            self._running.append(share)
        try:
            yield share
        finally:
            with self._lock:
                self._step()
                self._running.remove(share)

    def told(self, share: Share) -> Metering | None:
        """What a job has drawn until now; None without a counter, or where one was out of sight for too long."""
        if not self._counters:
            return None
        with self._lock:
            self._step()
        if share.broken:
            return None
        net = None if share.rest_j is None else max(0.0, share.gross_j - share.rest_j)
        return Metering(
            meter=", ".join(self.names), gross_wh=share.gross_j / JOULES_A_WH,
            net_wh=None if net is None else net / JOULES_A_WH, seconds=share.seconds, shared=share.shared,
        )  # fmt: skip

    def _step(self) -> None:
        now = self._clock()
        seconds, self._at = now - self._at, now
        try:
            joules = sum(each.step() for each in self._counters)
        except OSError:
            joules, seconds = 0.0, LONGEST_GAP_SECONDS + 1
        if seconds > LONGEST_GAP_SECONDS:
            for share in self._running:
                share.broken = True
            self._idle_j = self._idle_s = 0.0
        elif self._running:
            self._divide(joules, seconds)
        else:
            self._rest(joules, seconds)

    def _divide(self, joules: float, seconds: float) -> None:
        self._idle_j = self._idle_s = 0.0
        count = len(self._running)
        for share in self._running:
            share.gross_j += joules / count
            share.seconds += seconds
            share.shared = share.shared or count > 1
            if self._rest_w is None:
                share.rest_j = None
            elif share.rest_j is not None:
                share.rest_j += self._rest_w * seconds / count

    def _rest(self, joules: float, seconds: float) -> None:
        """Learn what the host draws at rest: the least mean of a span in which no job ran."""
        self._idle_j, self._idle_s = self._idle_j + joules, self._idle_s + seconds
        if self._idle_s >= REST_SECONDS:
            watts = self._idle_j / self._idle_s
            self._rest_w = watts if self._rest_w is None else min(self._rest_w, watts)
            self._idle_j = self._idle_s = 0.0
