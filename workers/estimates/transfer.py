"""What sending the file out costs in a month, at the rate typed in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workers.estimate import AboutEstimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.estimate import ServingEstimate
from workers.serving.load import Load


class Transfer(ServingEstimate):
    """What sending the file out costs in a month, at the rate typed in."""

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Transfer", unit="$/month",
        formula="bytes / 1e9 * downloads * $/GB",
        legend="bytes size of the file, downloads as set for the workload",
        source="Rates typed in: they depend on the contract",
        example="A file of 45.1 MB sent 10,000 times at $0.09/GB: $40.59",
        cancels=frozenset({"transfer_usd_per_gb", "downloads_per_month"}),
    )  # fmt: skip

    @classmethod
    def compute(cls, load: Load) -> Floats:
        sizes = np.array([float(each.size_bytes) or np.nan for each in load.services])[:, None, None]
        return sizes / 1e9 * load.workload.downloads_per_month * load.sides("transfer_usd_per_gb")

    @classmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        return (
            load.workload.choice("downloads_per_month", "Downloads a month", "downloads/month"),
            load.machine.need("transfer_usd_per_gb"),
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
