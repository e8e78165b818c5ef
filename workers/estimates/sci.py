"""Carbon intensity of the service by its standard, per 1,000 predictions."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class Sci(ServingEstimate):
    """Carbon intensity of the service by its standard, per 1,000 predictions."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="SCI", unit="g CO2e/1000",
        formula="(O + M) * 1e3 / (V / 1e3)",
        legend="O kg of use and M kg of hardware a month, V predictions a month",
        source="Software Carbon Intensity, ISO/IEC 21031:2024",
        example="1 billion predictions on c6i.xlarge: 0.035 g (0.019 to 0.058)",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.per_prediction(load.carbon_kg) * 1e6

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.carbon_facts()
