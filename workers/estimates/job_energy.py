"""Electricity of the compression job itself, metered where the host has a meter."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.jobs import job_energy_facts
from workers.serving.load import Load


class JobEnergy(ServingEstimate):
    """Electricity of the compression job itself, metered where the host has a meter."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Energy of the job", unit="kWh",
        formula="W * h / 1000 * PUE, or the meter * PUE",
        legend="W watts of the host, h hours of the job, PUE overhead of the building",
        source="RAPL or NVML counters where there are any, else hours and watts",
        example="2 GPU hours at 300 W: 0.69 kWh",
        compares=False,
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.job_energy_kwh

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (load.machine.need("pue"),)

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        return job_energy_facts(load.job(position))

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return load.job_energy_grades[position]

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return load.why_no_job(position, money=False)
