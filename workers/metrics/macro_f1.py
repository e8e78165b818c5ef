"""The mean over classes of F1: every class counts the same, however rare."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import Counts, Floats, resampled_counts
from workers.numerics.classes import NO_CLASS, Confusions, hits_by_class, said_classes, said_like
from workers.numerics.clusters import mean_of_ratios, spread_of
from workers.numerics.intervals import difference_like, share_like
from workers.report import Interval, MetricDelta


class MacroF1(Metric):
    """Macro F1 over the classes that occur in the labels, with intervals from a bootstrap over samples.

    The bootstrap gives the standard error; its own percentiles would be wrong where mistakes are rare
    (it cannot draw a mistake that was never made) and where classes are small (it draws them too small).
    Where each frame or pixel has an answer, the figure is over all of them, and its interval over samples.
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
        if labels.ndim > 1:
            value, influence = _of_units(outputs, labels)
            spread, n = spread_of(influence), int(np.sum(labels != NO_CLASS))
            low, high = share_like(value, spread, n if spread > 0 else len(labels))
            return Interval(value=value, low=low, high=high, n=n)
        seen = Confusions(labels, said_classes(outputs))
        value, spread = _with_spread(seen, lambda counts: seen.macro_f1(counts, 0), seed)
        low, high = share_like(value, spread, seen.n)
        return Interval(value=value, low=low, high=high, n=seen.n)

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        if labels.ndim > 1:
            (was, old), (now, new) = _of_units(before, labels), _of_units(after, labels)
            low, high = difference_like(now - was, spread_of(new - old), int(np.sum(labels != NO_CLASS)))
            return MetricDelta(value=now - was, low=low, high=high, distinguishable=low > 0 or high < 0)
        seen = Confusions(labels, said_classes(before), said_classes(after))
        value, spread = _with_spread(seen, lambda counts: seen.macro_f1(counts, 1) - seen.macro_f1(counts, 0), seed)
        low, high = difference_like(value, spread, seen.n)
        return MetricDelta(value=value, low=low, high=high, distinguishable=low > 0 or high < 0)


def _of_units(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, Floats]:
    """The figure over all frames or pixels, (n, u), and each sample's influence on it."""
    hits, false, missed = hits_by_class(labels, said_like(outputs, labels))
    return mean_of_ratios(2 * hits, 2 * hits + false + missed)


def _with_spread(seen: Confusions, figure: Callable[[Counts], Floats], seed: int) -> tuple[float, float]:
    """The figure, and its standard error by resampling."""
    value = float(figure(seen.counts[None])[0])
    draws = resampled_counts(seen.counts / seen.n, seen.n, seed=seed)
    return value, float(np.std(np.concatenate([figure(counts) for counts in draws])))
