"""The mean over classes of F1: every class counts the same, however rare."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import percentiles, resampled_counts
from workers.numerics.classes import Confusions, said_classes
from workers.numerics.intervals import paired_difference, wilson
from workers.report import Interval, MetricDelta


class MacroF1(Metric):
    """Macro F1 over the classes that occur in the labels, with percentile intervals of a bootstrap over samples.

    A bootstrap cannot draw a mistake that was never made. The interval is therefore at least as
    wide towards the unseen as the closed-form interval of the share of right answers would be:
    with no mistake among n it still ends near n / (n + 3.84), and with no change near 3.84 / n.
    """

    name: ClassVar[str] = "macro_f1"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Macro F1", unit="share", higher_is_better=True, tasks=frozenset({Task.CLASSIFICATION}),
        source="van Rijsbergen 1979, Information Retrieval, chapter 7; Efron and Tibshirani 1993, chapter 13",
    )  # fmt: skip

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        seen = Confusions(labels, said_classes(outputs))
        value = float(seen.macro_f1(seen.counts[None], 0)[0])
        draws = resampled_counts(seen.counts / seen.n, seen.n, seed=seed)
        low, high = percentiles(np.concatenate([seen.macro_f1(counts, 0) for counts in draws]))
        if low == high and value == 1:
            low, _ = wilson(seen.n, seen.n)
        elif low == high and value == 0:
            _, high = wilson(0, seen.n)
        return Interval(value=value, low=min(low, value), high=max(high, value), n=seen.n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        seen = Confusions(labels, said_classes(before), said_classes(after))
        value = float(_gain(seen, seen.counts[None])[0])
        draws = resampled_counts(seen.counts / seen.n, seen.n, seed=seed)
        low, high = percentiles(np.concatenate([_gain(seen, counts) for counts in draws]))
        if low == high:
            low, high = (value + end for end in paired_difference(0, 0, seen.n))
        low, high = min(low, value), max(high, value)
        return MetricDelta(value=value, low=low, high=high, distinguishable=low > 0 or high < 0)


def _gain(seen: Confusions, counts: np.ndarray) -> np.ndarray:
    return seen.macro_f1(counts, 1) - seen.macro_f1(counts, 0)
