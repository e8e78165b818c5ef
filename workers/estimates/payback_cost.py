"""After how many predictions the job has earned its cost back; never, if nothing is saved."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact, worst
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_cost_facts
from workers.serving.load import Load


class PaybackCost(ServingEstimate):
    """After how many predictions the job has earned its cost back; never, if nothing is saved."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Payback, money", unit="predictions",
        formula="C_job / (bill before - bill after, per prediction)",
        legend="C_job $ of the job, bills in the way the workload is paid for",
        source="Paired bills; a saving of zero or less pays nothing back",
        example="$2.01 against $465 a month at 1 billion predictions: 4.3 million predictions",
        compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.payback(load.job_usd, load.bill())

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.bill_facts()

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return (*job_cost_facts(load.job(position)), *load.pair_facts(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return worst((load.job_cost_grades[position], load.pair_grade(position)))

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=True)
