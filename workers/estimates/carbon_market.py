"""CO2e of a month by the contract's factor that somebody typed in: a second line, never netted with the first."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CarbonMarket(ServingEstimate):
    """CO2e of a month by the contract's factor that somebody typed in: a second line, never netted with the first."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="CO2e, market-based", unit="kg CO2e/month",
        formula="E_month * I_contract / 1000 + M",
        legend="E_month kWh a month, I_contract g/kWh typed in, M kg of hardware",
        source="GHG Protocol Scope 2 Guidance 2015, market-based method",
        example="1 billion predictions on c6i.xlarge at 50 g/kWh: 4.2 kg of use and 2.83 kg of hardware",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.energy_kwh * load.sides("market_g_per_kwh") / 1000 + load.embodied_kg

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return cls._facts(load)

    @classmethod
    def _facts(cls, load: Load) -> tuple[InputFact, ...]:
        made = load.machine.need("embodied_kg_per_month")
        return (*load.energy_facts(), load.machine.need("market_g_per_kwh"), made)
