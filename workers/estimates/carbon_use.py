"""CO2e of a month from electricity alone, by the grid where it is drawn."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CarbonUse(ServingEstimate):
    """CO2e of a month from electricity alone, by the grid where it is drawn."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="CO2e of use", unit="kg CO2e/month",
        formula="E_month * I / 1000",
        legend="E_month kWh a month, I g/kWh location-based",
        source="Software Carbon Intensity, ISO/IEC 21031:2024, operational part",
        example="1 billion predictions on c6i.xlarge: 32.1 kg (17.3 to 53.9)",
        cancels=frozenset({"pue", "grid_g_per_kwh"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.use_kg

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.use_facts()
