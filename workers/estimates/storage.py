"""What keeping the file costs in a month, at the rate typed in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workers.estimate import AboutEstimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class Storage(ServingEstimate):
    """What keeping the file costs in a month, at the rate typed in."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Storage", unit="$/month",
        formula="bytes / 1e9 * copies * $/GB-month",
        legend="bytes size of the file, copies as set for the workload",
        source="Rates typed in: they depend on the contract",
        example="A file of 45.1 MB in 100 copies at $0.023/GB-month: $0.10",
        cancels=frozenset({"storage_usd_per_gb_month", "stored_copies"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        sizes = np.array([float(each.size_bytes) or np.nan for each in load.services])[:, None, None]
        return sizes / 1e9 * load.workload.stored_copies * load.sides("storage_usd_per_gb_month")

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (
            load.workload.choice("stored_copies", "Copies kept", "copies"),
            load.machine.need("storage_usd_per_gb_month"),
        )

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        service = load.services[position]
        size = float(service.size_bytes)
        measured = InputFact(
            name="size_bytes", title="Size of the file", value=size, low=size, high=size, unit="bytes",
            grade=Grade.MEASURED, source=service.source,
        )  # fmt: skip
        return (measured,)

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        return Grade.MEASURED

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        return "The size of its file is not known."
