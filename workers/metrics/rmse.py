"""How far predictions lie from the labels, in the unit of the labels."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import percentiles, resampled_means
from workers.report import Interval, MetricDelta


class Rmse(Metric):
    """Root mean squared error, with percentile intervals of a bootstrap over samples."""

    name: ClassVar[str] = "rmse"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Root mean squared error", unit="target", higher_is_better=False, tasks=frozenset({Task.REGRESSION}),
        source="Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13",
    )  # fmt: skip

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        errors = _squared_errors(outputs, labels)
        value = float(np.sqrt(errors.mean()))
        low, high = percentiles(np.sqrt(resampled_means(errors[:, None], seed=seed)[:, 0]))
        return Interval(value=value, low=min(low, value), high=max(high, value), n=len(errors))

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        errors = np.stack([_squared_errors(before, labels), _squared_errors(after, labels)], axis=1)  # (n, 2)
        first, second = np.sqrt(errors.mean(axis=0))
        means = np.sqrt(resampled_means(errors, seed=seed))  # (resamples, 2)
        low, high = percentiles(means[:, 1] - means[:, 0])
        value = float(second - first)
        return MetricDelta(value=value, low=min(low, value), high=max(high, value), distinguishable=low > 0 or high < 0)


def _squared_errors(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,): the mean squared error of each sample over its targets."""
    error = np.asarray(outputs, dtype=np.float64) - np.asarray(labels, dtype=np.float64)
    return np.asarray(np.square(error.reshape(len(error), -1)).mean(axis=1))
