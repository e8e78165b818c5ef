"""What a task metric is: a figure computed from predictions and labels, with its interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import workers.metrics
from workers.contract import Contract, Task
from workers.errors import Frozen
from workers.registry import members
from workers.report import Interval, MetricDelta

if TYPE_CHECKING:
    import numpy as np


class AboutMetric(Frozen):
    """``unit`` is ``share`` (0 to 1) or ``target`` (that of the labels)."""

    title: str
    unit: str
    higher_is_better: bool
    tasks: frozenset[Task]
    source: str


class Metric(ABC):
    """One figure. ``outputs`` are the network's first output for n samples, ``labels`` their n labels."""

    about: ClassVar[AboutMetric]
    name: ClassVar[str]

    @classmethod
    def slug(cls) -> str:
        return cls.name

    @classmethod
    def suits(cls, contract: Contract) -> bool:
        return contract.task in cls.about.tasks

    @abstractmethod
    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        """The figure with its 95 % interval."""

    @abstractmethod
    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        """``after`` minus ``before`` on the same samples, with its paired 95 % interval."""


@cache
def metrics() -> dict[str, type[Metric]]:
    """Every metric by name."""
    return members(workers.metrics, Metric)  # type: ignore[type-abstract]


def for_contract(contract: Contract) -> tuple[Metric, ...]:
    """The metrics that make sense for a network's task, the headline metric first."""
    order = {"accuracy": 0, "rmse": 0}
    suited = [kind for kind in metrics().values() if kind.suits(contract)]
    return tuple(kind() for kind in sorted(suited, key=lambda kind: (order.get(kind.name, 1), kind.name)))
