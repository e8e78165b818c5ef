"""CO2e of making the hardware, the month's share of it."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CarbonEmbodied(ServingEstimate):
    """CO2e of making the hardware, the month's share of it."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="CO2e of hardware", unit="kg CO2e/month",
        formula="TE * T / EL * vcpu / threads_host * mean_h(N_h)",
        legend="TE kg to make the host, T 730 h, EL six years, N_h instances in hour h",
        source="Software Carbon Intensity, ISO/IEC 21031:2024, embodied part; Cloud Carbon Footprint",
        example="1 billion predictions on c6i.xlarge: 2.83 kg (1.65 to 4.56)",
        cancels=frozenset({"embodied_kg_per_month"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.embodied_kg

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (*load.workload.sizing(), load.workers_fact(), load.machine.need("embodied_kg_per_month"))
