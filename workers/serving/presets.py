"""Traffic to start from. Every number is there to be changed: none is a measurement."""

from __future__ import annotations

from pydantic import Field

from workers.errors import Frozen
from workers.serving.workload import SHOP_DAY, Workload

FLIGHT_DAY = (
    0.05, 0.05, 0.05, 0.20, 0.80, 1.60, 1.80, 1.50, 1.10, 1.00, 1.00, 1.10,
    1.20, 1.20, 1.10, 1.20, 1.40, 1.70, 1.60, 1.30, 1.00, 0.60, 0.30, 0.10,
)  # fmt: skip
CARD_DAY = (
    0.40, 0.30, 0.25, 0.25, 0.30, 0.45, 0.70, 0.95, 1.15, 1.30, 1.40, 1.55,
    1.60, 1.50, 1.40, 1.40, 1.50, 1.65, 1.70, 1.50, 1.25, 1.00, 0.75, 0.55,
)  # fmt: skip
OFFICE_DAY = (
    0.30, 0.25, 0.20, 0.20, 0.25, 0.35, 0.60, 1.00, 1.50, 1.80, 1.85, 1.70,
    1.45, 1.60, 1.75, 1.70, 1.50, 1.20, 0.95, 0.85, 0.80, 0.70, 0.55, 0.40,
)  # fmt: skip


class Preset(Frozen):
    """Traffic, limit and day of a usual use. ``on_device`` says that it runs on a battery and not on instances."""

    title: str
    sentence: str
    requests_per_day: float = Field(gt=0)
    peak_factor: float = Field(ge=1)
    sla_p95_ms: float = Field(gt=0)
    shape: tuple[float, ...] = SHOP_DAY
    ha_floor: int = 2
    on_device: bool = False

    def workload(self, *, author: str) -> Workload:
        """The preset as somebody's workload, to be completed with a place and an instance."""
        return Workload(
            name=self.title, author=author, requests_per_day=self.requests_per_day, peak_factor=self.peak_factor,
            sla_p95_ms=self.sla_p95_ms, shape=self.shape, ha_floor=self.ha_floor,
        )  # fmt: skip


PRESETS: dict[str, Preset] = {
    "fraud-scoring": Preset(
        title="Fraud scoring", sentence="Every card payment is scored before it is approved.",
        requests_per_day=20_000_000, peak_factor=2.5, sla_p95_ms=30, shape=CARD_DAY, ha_floor=3,
    ),
    "boarding-gate": Preset(
        title="Boarding gate", sentence="A face or a document is read while the passenger stands at the gate.",
        requests_per_day=400_000, peak_factor=4, sla_p95_ms=300, shape=FLIGHT_DAY,
    ),
    "retail-camera": Preset(
        title="Retail camera, cloud", sentence="Photos of shelves are named as they come in.",
        requests_per_day=33_000_000, peak_factor=3, sla_p95_ms=100,
    ),
    "chat": Preset(
        title="Chat", sentence="One short answer of an assistant to somebody at work.",
        requests_per_day=150_000, peak_factor=3, sla_p95_ms=2000, shape=OFFICE_DAY,
    ),
    "keyword-on-a-wearable": Preset(
        title="Keyword on a wearable", sentence="A wrist device listens for a word, once a second, on a coin cell.",
        requests_per_day=86_400, peak_factor=1, sla_p95_ms=200, ha_floor=0, on_device=True,
    ),
}  # fmt: skip
