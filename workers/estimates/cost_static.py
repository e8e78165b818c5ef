"""The bill of a month when the instances of the busiest hour run all the time."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CostStatic(ServingEstimate):
    """The bill of a month when the instances of the busiest hour run all the time."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Bill, static", unit="$/month",
        formula="N_peak * p * T",
        legend="N_peak instances in the busiest hour, p $/h, T 730 h",
        source="List price of the provider; whole instances with a floor",
        example="1 billion predictions on c6i.xlarge at peak 3: 20 * $0.17 * 730 h = $2,482",
        cancels=frozenset({"price_usd_per_hour"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.static_bill()

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.workload.sizing(), load.workers_fact(), load.machine.need("price_usd_per_hour"))
