"""What is saved over the horizon, the cost of the job taken off; below zero if it does not pay."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact, worst
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_cost_facts
from workers.serving.load import Load


class NetSaving(ServingEstimate):
    """What is saved over the horizon, the cost of the job taken off; below zero if it does not pay."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Net saving over the horizon", unit="$",
        formula="(bill before - bill after) * months - C_job",
        legend="bills $ a month in the way the workload is paid for, C_job $ of the job",
        source="Paired bills",
        example="$465 a month over 12 months less $2.01: $5,582",
        lower_is_better=False, compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.saved(load.for_all(load.bill())) * load.workload.horizon_months - load.job_usd

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.bill_facts(), load.workload.choice("horizon_months", "Horizon", "months"))

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return (*job_cost_facts(load.job(position)), *load.pair_facts(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return worst((load.job_cost_grades[position], load.pair_grade(position)))

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=True)
