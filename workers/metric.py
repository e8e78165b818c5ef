"""What a task metric is: a figure computed from predictions and labels, with its interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import workers.metrics
from workers.contract import Contract, Task
from workers.errors import Frozen
from workers.numerics.clusters import logit_interval, spread_of
from workers.numerics.intervals import difference_like, paired_difference, wilson
from workers.numerics.one_against_rest import MOST_SCORES, has_two_sides, is_scored, ranked
from workers.numerics.rank_curves import Flags, Floats
from workers.numerics.retrieval import documents_of, ranks
from workers.registry import members
from workers.report import Interval, MetricDelta

if TYPE_CHECKING:
    import numpy as np


class AboutMetric(Frozen):
    """``unit`` is ``share`` (0 to 1), ``target`` (that of the labels) or ``tokens``."""

    title: str
    unit: str
    higher_is_better: bool
    tasks: frozenset[Task]
    source: str


class Metric(ABC):
    """One figure. ``outputs`` are the network's first output for n samples, ``labels`` their n labels.

    Of classes, both carry a second axis of u units where each frame or pixel has an answer; see
    ``workers.evaluation.readable``.
    """

    about: ClassVar[AboutMetric]
    name: ClassVar[str]

    @classmethod
    def slug(cls) -> str:
        return cls.name

    @classmethod
    def suits(cls, contract: Contract) -> bool:
        return contract.task in cls.about.tasks

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        """Whether the figure is defined for this data; AUC needs answers on both sides, for example."""
        return True

    def why_left_out(self, outputs: np.ndarray, labels: np.ndarray) -> str:
        """In words, why it does not apply; empty where nobody would have expected it to."""
        return ""

    @abstractmethod
    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        """The figure with its 95 % interval."""

    @abstractmethod
    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        """``after`` minus ``before`` on the same samples, with its paired 95 % interval."""


class RankingMetric(Metric):
    """A figure of how classes rank by score, from its curve: (n,) scores and flags to a value and n influences.

    Variances come from the influences, over samples where each frame or pixel has an answer; intervals are taken on
    the log odds, so that they stay within 0 and 1.
    """

    @staticmethod
    @abstractmethod
    def curve(scores: Floats, positive: Flags) -> tuple[float, Floats]:
        """The figure for one class against the rest, and each answer's influence on it."""

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        return has_two_sides(outputs, labels)

    def why_left_out(self, outputs: np.ndarray, labels: np.ndarray) -> str:
        if not is_scored(outputs, labels):
            return "the network gives classes, not scores to rank by"
        if outputs.size > MOST_SCORES:
            return f"{outputs.size:,} scores, where it is measured up to {MOST_SCORES:,}"
        return "all answers are of one class"

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        found = ranked(self.curve, outputs, labels)
        low, high = logit_interval(found.value, found.spread, found.fewest)
        return Interval(value=found.value, low=low, high=high, n=len(found.samples))

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        was, now = ranked(self.curve, before, labels), ranked(self.curve, after, labels)
        spread = spread_of(now.influence - was.influence, now.samples)
        low, high = difference_like(now.value - was.value, spread, len(now.samples))
        return MetricDelta(value=now.value - was.value, low=low, high=high, distinguishable=low > 0 or high < 0)


class RecallMetric(Metric):
    """The share of queries whose document is among the ``k`` nearest by cosine, with Wilson's interval."""

    k: ClassVar[int]

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        paired = labels.ndim == 2 and labels.shape[1] == 2 and outputs.ndim == 2
        return paired and len(documents_of(labels)) > self.k  # among so few every query finds its own

    def why_left_out(self, outputs: np.ndarray, labels: np.ndarray) -> str:
        if labels.ndim != 2 or outputs.ndim != 2:
            return ""
        return f"among {len(documents_of(labels))} documents every query would find its own"

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        found = ranks(outputs, labels) <= self.k
        hits, n = int(found.sum()), len(found)
        low, high = wilson(hits, n)
        return Interval(value=hits / n, low=low, high=high, n=n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        was, now = ranks(before, labels) <= self.k, ranks(after, labels) <= self.k
        gained, lost = int((now & ~was).sum()), int((was & ~now).sum())
        low, high = paired_difference(gained, lost, len(was))
        return MetricDelta(value=(gained - lost) / len(was), low=low, high=high, distinguishable=low > 0 or high < 0)


@cache
def metrics() -> dict[str, type[Metric]]:
    """Every metric by name; of a name that ends in a number, the smaller number first."""
    found = members(workers.metrics, Metric)  # type: ignore[type-abstract]
    return dict(sorted(found.items(), key=lambda item: _by_number(item[0])))


def _by_number(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


USUAL_HEADLINES = ("mean_iou", "accuracy", "rmse")


def for_contract(contract: Contract) -> tuple[Metric, ...]:
    """The metrics that make sense for a network's task, the headline metric first.

    That is the one the contract names, else the usual one of the task: accuracy, mean IoU per pixel, RMSE. For a rare
    class, average precision says more than accuracy: name ``ap`` in the contract.
    """
    order = (contract.headline, *USUAL_HEADLINES)
    suited = [kind for kind in metrics().values() if kind.suits(contract)]
    return tuple(kind() for kind in sorted(suited, key=lambda kind: _place(kind.name, order)))


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
