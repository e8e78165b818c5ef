"""How many whole instances run in the mean of a day."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class InstancesMean(ServingEstimate):
    """How many whole instances run in the mean of a day."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Instances, mean", unit="instances",
        formula="mean_h(max(N0, ceil(lam_h * S / (k * U*)))) and more while p95 > limit",
        legend="lam_h requests/s, S service time, k requests at a time, U* busy at most, N0 floor",
        source="Erlang 1917; Allen 1990, section 5.2",
        example="1 billion predictions on c6i.xlarge at peak 3: 7.25",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.mean_instances

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.workload.sizing(), load.workers_fact())
