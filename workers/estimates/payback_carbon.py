"""After how many predictions the job has saved the carbon it took; never, if nothing is saved."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact, worst
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_energy_facts
from workers.serving.load import Load


class PaybackCarbon(ServingEstimate):
    """After how many predictions the job has saved the carbon it took; never, if nothing is saved."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Payback, CO2e", unit="predictions",
        formula="C_job / (CO2e before - CO2e after, per prediction)",
        legend="C_job kg CO2e of the job, CO2e of use and hardware",
        source="Paired carbon; a saving of zero or less pays nothing back",
        example="0.265 kg against 19.8 kg a month at 1 billion predictions: 13.4 million predictions",
        compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.payback(load.job_carbon_kg, load.carbon_kg)

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.carbon_facts()

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return (*job_energy_facts(load.job(position)), *load.pair_facts(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return worst((load.job_energy_grades[position], load.pair_grade(position)))

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=False)
