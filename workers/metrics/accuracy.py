"""The share of answers whose most likely class is the label."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.classes import NO_CLASS, said_like
from workers.numerics.clusters import mean_of_ratios, spread_of
from workers.numerics.intervals import difference_like, paired_difference, share_like, wilson
from workers.report import Interval, MetricDelta


class Accuracy(Metric):
    """Top-1 accuracy, with Wilson's interval; differences with Tango's, which agrees with McNemar's test.

    Where each frame or pixel has an answer, the share is over all of them, and its interval over samples.
    """

    name: ClassVar[str] = "accuracy"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Top-1 accuracy", unit="share", higher_is_better=True, tasks=frozenset({Task.CLASSIFICATION}),
        source="Wilson 1927, JASA 22:209; McNemar 1947, Psychometrika 12:153; Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        right = said_like(outputs, labels) == labels
        if labels.ndim > 1:
            return _of_units(right, labels != NO_CLASS)
        hits, n = int(np.sum(right)), len(labels)
        low, high = wilson(hits, n)
        return Interval(value=hits / n, low=low, high=high, n=n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        right_before, right_after = said_like(before, labels) == labels, said_like(after, labels) == labels
        if labels.ndim > 1:
            return _between_units(right_before, right_after, labels != NO_CLASS)
        gained, lost = int(np.sum(right_after & ~right_before)), int(np.sum(right_before & ~right_after))
        low, high = paired_difference(gained, lost, len(labels))
        return MetricDelta(value=(gained - lost) / len(labels), low=low, high=high, distinguishable=low > 0 or high < 0)


def _of_units(right: np.ndarray, counted: np.ndarray) -> Interval:
    """Frames or pixels, (n, u): those of one sample are one piece of evidence."""
    value, influence = mean_of_ratios(_sums(right & counted), _sums(counted))
    spread = spread_of(influence)
    low, high = share_like(value, spread, int(counted.sum()) if spread > 0 else len(right))
    return Interval(value=value, low=low, high=high, n=int(counted.sum()))


def _between_units(before: np.ndarray, after: np.ndarray, counted: np.ndarray) -> MetricDelta:
    gained = _sums(after & ~before & counted) - _sums(before & ~after & counted)
    value, influence = mean_of_ratios(gained, _sums(counted))
    low, high = difference_like(value, spread_of(influence), int(counted.sum()))
    return MetricDelta(value=value, low=low, high=high, distinguishable=low > 0 or high < 0)


def _sums(flags: np.ndarray) -> np.ndarray:
    """(n, u) -> (n, 1)."""
    return np.asarray(flags.sum(axis=1, keepdims=True), dtype=np.float64)
