"""Mean intersection over union: how well labelled areas and found areas cover each other, class by class."""

from typing import ClassVar

import numpy as np

from workers.contract import Contract, Task
from workers.metric import AboutMetric, Metric
from workers.numerics.classes import NO_CLASS, hits_by_class, said_like
from workers.numerics.clusters import logit_interval, mean_of_ratios, spread_of
from workers.numerics.intervals import difference_like
from workers.report import Interval, MetricDelta


class MeanIou(Metric):
    """The mean, over the classes in the labels, of TP / (TP + FP + FN), each over the pixels of all samples.

    Intervals count samples, not pixels: the pixels of one picture are right or wrong together.
    """

    name: ClassVar[str] = "mean_iou"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Mean IoU", unit="share", higher_is_better=True, tasks=frozenset({Task.CLASSIFICATION}),
        source="Jaccard 1912; Everingham et al. 2015, IJCV 111:98, section 3.2 (pooled over pictures)",
    )  # fmt: skip

    @classmethod
    def suits(cls, contract: Contract) -> bool:
        return super().suits(contract) and contract.outputs[0].per == "pixel"

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        value, influence = _figure(outputs, labels)
        low, high = logit_interval(value, spread_of(influence), len(labels))
        return Interval(value=value, low=low, high=high, n=int(np.sum(labels != NO_CLASS)))

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        (was, old), (now, new) = _figure(before, labels), _figure(after, labels)
        low, high = difference_like(now - was, spread_of(new - old), int(np.sum(labels != NO_CLASS)))
        return MetricDelta(value=now - was, low=low, high=high, distinguishable=low > 0 or high < 0)


def _figure(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """(n, u, classes) or (n, u), and (n, u): the figure, and each sample's influence on it."""
    if labels.ndim == 1:  # one answer for each sample
        outputs, labels = outputs[:, None], labels[:, None]
    hits, false, missed = hits_by_class(labels, said_like(outputs, labels))
    return mean_of_ratios(hits, hits + false + missed)
