"""CO2e of the electricity that the compression job took."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_energy_facts
from workers.serving.load import Load


class JobCarbon(ServingEstimate):
    """CO2e of the electricity that the compression job took."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="CO2e of the job", unit="kg CO2e",
        formula="E_job * I / 1000",
        legend="E_job kWh of the job, I g/kWh location-based",
        source="Software Carbon Intensity, ISO/IEC 21031:2024, operational part",
        example="2 GPU hours at 300 W: 0.265 kg",
        compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.job_carbon_kg

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (load.machine.need("pue"), load.machine.need("grid_g_per_kwh"))

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return job_energy_facts(load.job(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return load.job_energy_grades[position]

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=False)
