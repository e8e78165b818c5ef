"""CO2e of a month by the grid where the power is drawn: use and hardware, idle included, nothing offset."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class Carbon(ServingEstimate):
    """CO2e of a month by the grid where the power is drawn: use and hardware, idle included, nothing offset."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="CO2e", unit="kg CO2e/month",
        formula="O + M, O = E_month * I / 1000, M = TE * T / EL * vcpu / threads_host * mean_h(N_h)",
        legend="E_month kWh, I g/kWh location-based, TE kg to make the host, EL 6 years, N_h instances at hour h",
        source="Software Carbon Intensity, ISO/IEC 21031:2024",
        example="1 billion predictions on c6i.xlarge: 32.1 kg of use and 2.83 kg of hardware",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.carbon_kg

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.carbon_facts()
