"""The bill of a month when whole instances come and go with the hour, down to a floor."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CostAutoscaled(ServingEstimate):
    """The bill of a month when whole instances come and go with the hour, down to a floor."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Bill, autoscaled", unit="$/month",
        formula="p * T * mean_h(N_h), N_h = max(N0, ceil(lam_h * S / (k * U*))) and more while p95 > limit",
        legend="p $/h, T 730 h, N_h instances at hour h, lam_h 1/s, S service time, k at a time, U* busy, N0 floor",
        source="List price of the provider; whole instances with a floor",
        example="1 billion predictions on c6i.xlarge at peak 3: 7.25 instances in the mean, $899.73",
        cancels=frozenset({"price_usd_per_hour"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.autoscaled_bill()

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.workload.sizing(), load.workers_fact(), load.machine.need("price_usd_per_hour"))
