"""How many tokens a language model wavers between, on average."""

from typing import ClassVar

import numpy as np

from workers.contract import Task
from workers.metric import AboutMetric, Metric
from workers.numerics.bootstrap import percentiles, resampled_means
from workers.numerics.next_token import NOTHING
from workers.report import Interval, MetricDelta


class Perplexity(Metric):
    """The exponential of the mean loss per next token; windows are drawn again for the interval, as a whole."""

    name: ClassVar[str] = "perplexity"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Perplexity", unit="tokens", higher_is_better=False, tasks=frozenset({Task.CAUSAL_LM}),
        source="Jelinek et al. 1977, JASA 62:S63; Efron 1979, Annals of Statistics 7:1",
    )  # fmt: skip

    def applies(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        return outputs.ndim == 2 and outputs.shape[1] + 1 == labels.shape[-1]

    def measure(self, outputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Interval:
        columns = _columns(labels, outputs)
        drawn = resampled_means(columns, seed=seed)
        low, high = percentiles(np.exp(drawn[:, 1] / drawn[:, 0]))
        value = float(np.exp(columns[:, 1].sum() / columns[:, 0].sum()))
        return Interval(value=value, low=low, high=high, n=len(columns))

    def compare(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, seed: int) -> MetricDelta:
        columns = _columns(labels, before, after)
        drawn = resampled_means(columns, seed=seed)
        low, high = percentiles(np.exp(drawn[:, 2] / drawn[:, 0]) - np.exp(drawn[:, 1] / drawn[:, 0]))
        total, was, now = columns.sum(axis=0)
        value = float(np.exp(now / total) - np.exp(was / total))
        return MetricDelta(value=value, low=low, high=high, distinguishable=low > 0 or high < 0)


def _columns(labels: np.ndarray, *losses: np.ndarray) -> np.ndarray:
    """Per window: how many tokens were foretold, then the sum of each network's losses; windows of none left out."""
    counts = (labels[:, 1:] != NOTHING).sum(axis=1).astype(np.float64)
    columns = np.stack([counts, *(one.astype(np.float64).sum(axis=1) for one in losses)], axis=1)
    counted: np.ndarray = columns[counts > 0]
    return counted
