"""What else a workload may assume: a GPU that serves now, or a device with a battery in place of instances."""

from __future__ import annotations

from pydantic import Field

from workers.errors import Frozen
from workers.estimate import Grade
from workers.serving.service import ServiceTime


class OnGpuNow(Frozen):
    """The baseline on a GPU instance as it serves today, typed in by ``author``: class D."""

    instance: str
    mean_ms: float = Field(gt=0, allow_inf_nan=False)
    p95_ms: float = Field(gt=0, allow_inf_nan=False)
    author: str = ""

    def service(self, *, workers: int) -> ServiceTime:
        """Its service time; requests on one GPU are taken to vary little."""
        return ServiceTime(
            mean_s=self.mean_ms / 1000, p95_s=self.p95_ms / 1000, cs2=0.0, workers=workers, device=self.instance,
            grade=Grade.ASSUMED, source=f"typed in by {self.author}",
        )  # fmt: skip


class OnDevice(Frozen):
    """A device with a battery. Energies of an inference may be typed in where somebody measured them there.

    ``usable`` is what age and cut-off leave of the capacity; ``base_mw`` what the device draws without the network.
    """

    device: str
    battery_wh: float = Field(gt=0, allow_inf_nan=False)
    usable: float = Field(default=0.8, gt=0, le=1)
    base_mw: float = Field(gt=0, allow_inf_nan=False)
    before_mj: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    after_mj: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    author: str = ""
