"""An estimate of serving a network: one figure for many variants at once."""

from __future__ import annotations

from abc import abstractmethod

from workers.estimate import Amount, Estimate, Grade, InputFact
from workers.numerics.queueing import Floats
from workers.serving.load import Load


class ServingEstimate(Estimate):
    """A figure of one variant under one workload, computed for many variants at once."""

    @classmethod
    @abstractmethod
    def compute(cls, load: Load) -> Floats:
        """The figure for every variant, shared side and own side: broadcastable to (variants, 3, 3).

        Infinity means never; not-a-number that the workload's limit cannot be met.

        Raises:
            NotKnown: if an input is missing for all of them.
        """

    @classmethod
    @abstractmethod
    def inputs(cls, load: Load) -> tuple[InputFact, ...]:
        """What the figure rests on for every variant alike.

        Raises:
            NotKnown: if an input is missing.
        """

    @classmethod
    def inputs_of(cls, load: Load, position: int) -> tuple[InputFact, ...]:
        """What the figure of one variant rests on beside that: its service time."""
        return (load.service_facts[position],)

    @classmethod
    def grade_of(cls, load: Load, position: int) -> Grade | None:
        """The worst class among ``inputs_of``, without making them."""
        return load.services[position].grade

    @classmethod
    def why_not(cls, load: Load, position: int) -> str:
        """Why one variant has no such figure, as a sentence."""
        return load.why_not(position)

    @classmethod
    def example(cls) -> Amount:
        from workers.serving.worked_example import figures

        return figures().amount(cls.slug(), 1)
