"""The bill of a month when a function is paid by the millisecond; free tier and cold starts are left out."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CostServerless(ServingEstimate):
    """The bill of a month when a function is paid by the millisecond; free tier and cold starts are left out."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Bill, serverless", unit="$/month",
        formula="V * (ceil_ms(S) * GB * p_GBs + p_req)",
        legend="V predictions a month, S service time, GB memory of the function, p_GBs $/GB-s, p_req $ a request",
        source="List price of the provider, first tier",
        example="1 billion predictions of 40 ms at 1,769 MB: $1,351.70",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.serverless_bill()

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return cls._facts(load)

    @classmethod
    def _facts(cls, load: Load) -> tuple[InputFact, ...]:
        memory = load.workload.choice("serverless_memory_mb", "Memory of a function", "MB")
        rates = (load.machine.need("serverless_usd_per_gb_s"), load.machine.need("serverless_usd_per_request"))
        return (*load.workload.traffic()[:1], memory, *rates)
