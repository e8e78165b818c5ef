"""How much of the limit is left at peak: 0 is none, 1 is all of it."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact, NotKnown
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class Headroom(ServingEstimate):
    """How much of the limit is left at peak: 0 is none, 1 is all of it."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Headroom at peak", unit="share",
        formula="1 - p95 / limit",
        legend="p95 response time in the busiest hour, limit as set for the workload",
        source="As for the p95 at peak",
        example="1 billion predictions on c6i.xlarge with a limit of 100 ms: 34 %",
        lower_is_better=False, compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        limit = load.workload.sla_p95_s
        if limit is None:
            raise NotKnown("The workload sets no limit.")
        return 1 - load.peak_p95_s / limit

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.workload.sizing(), load.workers_fact())
