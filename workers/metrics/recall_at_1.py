"""The share of queries whose nearest document is the right one."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.intervals import paired_difference, wilson
from workers.numerics.retrieval import ranks
from workers.report import Interval, MetricDelta


class RecallAt1(Metric):
    """The share of queries that find their document first by cosine, with Wilson's interval."""

    name: ClassVar[str] = "recall_at_1"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Recall at 1", unit="share", higher_is_better=True, tasks=frozenset({Task.EMBEDDING}),
        source="Wilson 1927, JASA 22:209; Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        return labels.ndim == 2 and labels.shape[1] == 2 and outputs.ndim == 2

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        first = ranks(outputs, labels) == 1
        hits, n = int(first.sum()), len(first)
        low, high = wilson(hits, n)
        return Interval(value=hits / n, low=low, high=high, n=n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        was, now = ranks(before, labels) == 1, ranks(after, labels) == 1
        gained, lost = int((now & ~was).sum()), int((was & ~now).sum())
        low, high = paired_difference(gained, lost, len(was))
        return MetricDelta(value=(gained - lost) / len(was), low=low, high=high, distinguishable=low > 0 or high < 0)
