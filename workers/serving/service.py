"""How long a request takes on a machine, how sure that is, and where it comes from."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from workers.errors import Frozen
from workers.estimate import Grade, InputFact
from workers.report import Measured, Ratio, Report


class Factor(Frozen):
    """A band around a figure, as factors of it. Both 1: exact."""

    low: float = Field(default=1.0, gt=0, le=1)
    high: float = Field(default=1.0, ge=1)

    @property
    def is_exact(self) -> bool:
        return self.low == self.high == 1

    @property
    def ends(self) -> tuple[float, ...]:
        """(1,) if exact, else (low, 1, high)."""
        return (1.0,) if self.is_exact else (self.low, 1.0, self.high)


EXACT = Factor()


class ServiceTime(Frozen):
    """Service time of one request while all workers of the machine are busy.

    ``own`` is what a variant's time may be off by, for itself alone (its measured speed-up has an interval).
    ``shared`` is what all variants of a baseline are off by together (one device's prediction for all of them):
    it widens absolute figures and largely drops out of savings.
    """

    mean_s: float = Field(gt=0)
    p95_s: float = Field(gt=0)
    cs2: float = Field(ge=0)
    workers: int = Field(ge=1)
    device: str
    grade: Grade = Grade.MODELLED
    own: Factor = EXACT
    shared: Factor = EXACT
    source: str
    as_of: date | None = None
    peak_memory_bytes: int = 0
    size_bytes: int = 0

    @model_validator(mode="after")
    def _tail_beyond_the_mean(self) -> Self:
        if self.p95_s * 20 < self.mean_s:
            raise ValueError(f"the 95th percentile {self.p95_s} s cannot lie so far below the mean {self.mean_s} s")
        return self

    @classmethod
    def measured(
        cls, network: Measured, *, device: str, source: str, as_of: date | None = None, speedup: Ratio | None = None
    ) -> Self:
        """From one side of a report.

        Args:
            device: key of the profile the node declares; on that profile the figures are class B.
            source: what measured it, for people, such as "job #128".
            speedup: the paired ratio baseline ÷ this variant; its interval becomes the variant's own band.
        """
        own = EXACT
        if speedup is not None and 0 < speedup.low <= speedup.value <= speedup.high:
            own = Factor(low=speedup.value / speedup.high, high=speedup.value / speedup.low)
        service = network.service
        return cls(
            mean_s=service.mean_ms / 1000, p95_s=service.p95_ms / 1000, cs2=service.cv2, workers=service.workers,
            device=device, own=own, source=source, as_of=as_of, peak_memory_bytes=network.peak_memory_bytes,
            size_bytes=network.size_bytes,
        )  # fmt: skip

    @classmethod
    def pair(cls, report: Report, *, device: str, source: str, as_of: date | None = None) -> tuple[Self, Self]:
        """Baseline and result of one report; the interval of their speed-up at batch 1 stays with the result."""
        before = cls.measured(report.baseline, device=device, source=source, as_of=as_of)
        speedup = report.delta.speedup.get("1")
        return before, cls.measured(report.result, device=device, source=source, as_of=as_of, speedup=speedup)

    def predicted_on(
        self, device: str, ratio: Ratio, *, source: str, workers: int, own: Factor = EXACT, grade: Grade = Grade.TABLE
    ) -> Self:
        """The same network on another machine, from a predicted ratio of times.

        Args:
            ratio: predicted time there ÷ predicted time here, with its band.
            own: what this variant may be off by beyond the ratio, such as the published spread of int8 speed-ups.
        """
        return self.model_copy(
            update={
                "mean_s": self.mean_s * ratio.value, "p95_s": self.p95_s * ratio.value, "workers": workers,
                "device": device, "grade": max(grade, self.grade), "source": f"{self.source}; {source}",
                "shared": Factor(low=ratio.low / ratio.value, high=ratio.high / ratio.value),
                "own": Factor(low=self.own.low * own.low, high=self.own.high * own.high),
            }
        )  # fmt: skip

    @property
    def is_predicted(self) -> bool:
        """Whether it was not measured on this device."""
        return self.grade > Grade.MODELLED

    @property
    def high_s(self) -> float:
        return self.mean_s * self.own.high * self.shared.high

    @property
    def high_p95_s(self) -> float:
        return self.p95_s * self.own.high * self.shared.high

    def fact(self, *, title: str = "Service time", name: str = "service_time_s") -> InputFact:
        return InputFact(
            name=name, title=title, value=self.mean_s, low=self.mean_s * self.own.low * self.shared.low,
            high=self.high_s, unit="s", grade=self.grade, as_of=self.as_of,
            source=f"{self.source}; {self.workers} at a time on {self.device}",
        )  # fmt: skip
