"""The share of samples whose most likely class is the label."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.classes import said_classes
from workers.numerics.intervals import paired_difference, wilson
from workers.report import Interval, MetricDelta


class Accuracy(Metric):
    """Top-1 accuracy, with Wilson's interval; differences with Tango's, which agrees with McNemar's test."""

    name: ClassVar[str] = "accuracy"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Top-1 accuracy", unit="share", higher_is_better=True, tasks=frozenset({Task.CLASSIFICATION}),
        source="Wilson 1927, JASA 22:209; McNemar 1947, Psychometrika 12:153; Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        hits, n = int(np.sum(said_classes(outputs) == labels)), len(labels)
        low, high = wilson(hits, n)
        return Interval(value=hits / n, low=low, high=high, n=n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        right_before, right_after = said_classes(before) == labels, said_classes(after) == labels
        gained, lost = int(np.sum(right_after & ~right_before)), int(np.sum(right_before & ~right_after))
        low, high = paired_difference(gained, lost, len(labels))
        return MetricDelta(value=(gained - lost) / len(labels), low=low, high=high, distinguishable=low > 0 or high < 0)
