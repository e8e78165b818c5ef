"""What the compression job cost, at the price of an hour of its host."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_cost_facts
from workers.serving.load import Load


class JobCost(ServingEstimate):
    """What the compression job cost, at the price of an hour of its host."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Cost of the job", unit="$",
        formula="h * p",
        legend="h hours of the job, p $/h of its host",
        source="Wall clock and list price, or the price typed in",
        example="2 GPU hours at $1.006: $2.01",
        compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.job_usd

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return ()

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return job_cost_facts(load.job(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return load.job_cost_grades[position]

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=True)
