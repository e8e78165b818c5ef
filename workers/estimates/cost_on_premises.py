"""The cost of a month on machines of one's own: hardware by the hour in use, electricity, operations."""

from __future__ import annotations

from typing import ClassVar

from workers.estimate import AboutEstimate, Amount, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class CostOnPremises(ServingEstimate):
    """The cost of a month on machines of one's own: hardware by the hour in use, electricity, operations."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Cost on premises", unit="$/month",
        formula="hardware / (life * 8760 h * share in use) * mean_h(N_h) * T + E * $/kWh + operations",
        legend="hardware $ a machine, life years, T 730 h, N_h machines in hour h, E kWh a month",
        source="Own inputs; a rented machine's bill already contains electricity and is never added",
        example="2.2 machines of $6,000 in the mean, 5 years, half in use, $0.20/kWh, $400 operations: $1,010",
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        return load.owned_bill()

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return load.owned_facts()

    @classmethod
    def example(cls) -> Amount:
        from workers.serving.worked_example import owned_figures

        return owned_figures().amount(cls.slug(), 0)
