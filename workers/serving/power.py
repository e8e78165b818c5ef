"""Watts of a machine at a utilisation, with a band as wide as what is publicly known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.estimate import Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.table_rows import Cpu, Gpu
from workers.serving.workload import OnPremises

LOAD_POINTS = (0.0, 0.1, 0.5, 1.0)
SHARE_OF_TDP = (0.12, 0.32, 0.75, 1.02)
RAM_W_PER_GB = 0.1175
OTHER_PARTS = 1.33
Band = tuple[float, float, float]


def exactly(value: float) -> Band:
    return value, value, value


def fact(name: str, title: str, unit: str, band: Band, *, grade: Grade, source: str, **more: object) -> InputFact:
    """An input from a table; ``band`` is its low, central and high end."""
    low, value, high = band
    return InputFact.model_validate(
        {"name": name, "title": title, "unit": unit, "low": low, "value": value, "high": high, "grade": grade,
         "source": source, **more}
    )  # fmt: skip


@dataclass(frozen=True)
class CloudPower:
    """Watts of a rented machine: from CPU coefficients (low) to a TDP curve with RAM and other parts (high)."""

    vcpu: int
    memory_gb: float
    cpu: Cpu
    gpu: Gpu | None = None
    gpus: int = 0

    def watts(self, used: Floats) -> Floats:
        """IT power at a utilisation.

        Args:
            used: (n, 3, m), utilisation from 0 to 1 at the low, central and high side.

        Returns:
            (n, 3, m) in watts; the central CPU power is the geometric mean of the two ends.
        """
        ends = [self._low(used), self._high(used)]
        cpu = np.stack([ends[0][:, 0], np.sqrt(ends[0] * ends[1])[:, 1], ends[1][:, 2]], axis=1)
        if self.gpu is None:
            return cpu
        active = np.array([self.gpu.active_w_low, self.gpu.active_w, self.gpu.active_w_high])[:, None]
        return cpu + self.gpus * (self.gpu.idle_w + (active - self.gpu.idle_w) * used)

    def _low(self, used: Floats) -> Floats:
        idle, full = self.cpu.idle_w_per_vcpu, self.cpu.full_w_per_vcpu
        return self.vcpu * (idle + (full - idle) * used)

    def _high(self, used: Floats) -> Floats:
        share = self.vcpu / self.cpu.host_threads * self.cpu.host_sockets * self.cpu.host_tdp_w
        curve = np.interp(used, LOAD_POINTS, SHARE_OF_TDP)
        return np.asarray((share * curve + RAM_W_PER_GB * self.memory_gb) * OTHER_PARTS)

    def facts(self) -> tuple[InputFact, ...]:
        cpu = self.cpu
        span = (cpu.idle_w_per_vcpu, (cpu.idle_w_per_vcpu + cpu.full_w_per_vcpu) / 2, cpu.full_w_per_vcpu)
        watts = fact(
            "watts_per_vcpu", f"Watts per vCPU, idle to full, {cpu.title}", "W", span, grade=Grade.TABLE,
            source=cpu.source, licence=cpu.licence, as_of=cpu.as_of,
        )  # fmt: skip
        tdp = cpu.host_sockets * cpu.host_tdp_w
        host = fact(
            "host_w_per_thread", "Host's rated watts per thread", "W", exactly(tdp / cpu.host_threads),
            grade=cpu.host_grade, source=cpu.source, licence=cpu.licence, unverified=cpu.host_grade is Grade.ASSUMED,
        )  # fmt: skip
        if self.gpu is None:
            return watts, host
        gpu = self.gpu
        card = fact(
            "gpu_active_w", f"Watts of a busy {gpu.title}", "W",
            (gpu.active_w_low, gpu.active_w, gpu.active_w_high),
            grade=gpu.grade, source=gpu.source, licence=gpu.licence, unverified=gpu.grade is Grade.ASSUMED,
        )  # fmt: skip
        return watts, host, card


@dataclass(frozen=True)
class OwnedPower:
    """Watts of a machine somebody owns: from idle to active, as typed in."""

    machine: OnPremises
    author: str

    def watts(self, used: Floats) -> Floats:
        """As for a rented machine."""
        idle, active = (
            np.array([each.low, each.value, each.high])[:, None]
            for each in (self.machine.idle_w, self.machine.active_w)
        )
        return np.asarray(idle + (active - idle) * used)

    def facts(self) -> tuple[InputFact, ...]:
        machine = self.machine
        both = (("idle_w", "Watts at rest", machine.idle_w), ("active_w", "Watts at work", machine.active_w))
        return tuple(
            fact(
                name, title, "W", (each.low, each.value, each.high), grade=Grade.ASSUMED, source="typed in",
                author=self.author,
            )
            for name, title, each in both
        )  # fmt: skip
