"""Electricity of a month, with the building's overhead and instances that wait for work."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class EnergyMonth(ServingEstimate):
    """Electricity of a month, with the building's overhead and instances that wait for work."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Energy", unit="kWh/month",
        formula="P(u) * mean_h(N_h) * T / 1000 * PUE, u = lam * S / (k * mean N)",
        legend="P watts at utilisation u, N_h instances at hour h, T 730 h, lam 1/s, S service time, k at a time",
        source="Cloud Carbon Footprint (low), TDP curve with memory and other parts (high), geometric mean (central)",
        example="1 billion predictions on c6i.xlarge: 83.8 kWh (53.4 to 128.8)",
        cancels=frozenset({"pue"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.energy_kwh

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.energy_facts()
