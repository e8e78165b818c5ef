"""Electricity of one prediction, idle time of the instances included."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class EnergyPerInference(ServingEstimate):
    """Electricity of one prediction, idle time of the instances included."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Energy per prediction", unit="mWh",
        formula="E_month * 1e6 / V",
        legend="E_month kWh a month, V predictions a month",
        source="As for energy a month",
        example="1 billion predictions on c6i.xlarge: 0.084 mWh (0.053 to 0.129)",
        cancels=frozenset({"pue"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.per_prediction(load.energy_kwh) * 1e6

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.energy_facts()
