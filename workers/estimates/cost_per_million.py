"""The bill, in the way the workload is paid for, per million predictions."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CostPerMillion(ServingEstimate):
    """The bill, in the way the workload is paid for, per million predictions."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Cost per million", unit="$/million",
        formula="bill / (V / 1e6)",
        legend="bill $ a month, V predictions a month",
        source="As for the bill",
        example="1 billion predictions on c6i.xlarge, autoscaled: $0.900",
        cancels=frozenset({"price_usd_per_hour"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.per_prediction(load.bill()) * 1e6

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.bill_facts()
