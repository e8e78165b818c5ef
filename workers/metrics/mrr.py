"""The mean reciprocal rank of the right document."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import percentiles, resampled_means
from workers.numerics.retrieval import ranks
from workers.report import Interval, MetricDelta


class MeanReciprocalRank(Metric):
    """One over the place at which a query finds its document by cosine, on average; intervals over queries."""

    name: ClassVar[str] = "mrr"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Mean reciprocal rank", unit="share", higher_is_better=True, tasks=frozenset({Task.EMBEDDING}),
        source="Voorhees 1999, TREC-8 Question Answering Track; Efron 1979, Annals of Statistics 7:1",
    )  # fmt: skip

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        return labels.ndim == 2 and labels.shape[1] == 2 and outputs.ndim == 2

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        shares = 1 / ranks(outputs, labels)
        low, high = percentiles(resampled_means(shares[:, None], seed=seed)[:, 0])
        return Interval(value=float(shares.mean()), low=low, high=high, n=len(shares))

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        gains = 1 / ranks(after, labels) - 1 / ranks(before, labels)
        low, high = percentiles(resampled_means(gains[:, None], seed=seed)[:, 0])
        return MetricDelta(value=float(gains.mean()), low=low, high=high, distinguishable=low > 0 or high < 0)
