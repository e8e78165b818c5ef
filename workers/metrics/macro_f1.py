"""The mean over classes of F1: every class counts the same, however rare."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import Counts, Floats, resampled_counts
from workers.numerics.classes import Confusions, said_classes
from workers.numerics.intervals import difference_like, share_like
from workers.report import Interval, MetricDelta


class MacroF1(Metric):
    """Macro F1 over the classes that occur in the labels, with intervals from a bootstrap over samples.

    The bootstrap gives the standard error; its own percentiles would be wrong where mistakes are rare
    (it cannot draw a mistake that was never made) and where classes are small (it draws them too small).
    """

    name: ClassVar[str] = "macro_f1"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Macro F1",
        unit="share",
        higher_is_better=True,
        tasks=frozenset({Task.CLASSIFICATION}),
        source="van Rijsbergen 1979, Information Retrieval, chapter 7; Efron 1979; Korn and Graubard 1998",
    )

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        seen = Confusions(labels, said_classes(outputs))
        value, spread = _with_spread(seen, lambda counts: seen.macro_f1(counts, 0), seed)
        low, high = share_like(value, spread, seen.n)
        return Interval(value=value, low=low, high=high, n=seen.n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        seen = Confusions(labels, said_classes(before), said_classes(after))
        value, spread = _with_spread(seen, lambda counts: seen.macro_f1(counts, 1) - seen.macro_f1(counts, 0), seed)
        low, high = difference_like(value, spread, seen.n)
        return MetricDelta(value=value, low=low, high=high, distinguishable=low > 0 or high < 0)


def _with_spread(seen: Confusions, figure: Callable[[Counts], Floats], seed: int) -> tuple[float, float]:
    """The figure, and its standard error by resampling."""
    value = float(figure(seen.counts[None])[0])
    draws = resampled_counts(seen.counts / seen.n, seen.n, seed=seed)
    return value, float(np.std(np.concatenate([figure(counts) for counts in draws])))
