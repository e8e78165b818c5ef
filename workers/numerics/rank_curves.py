"""The area under the ROC curve and average precision, each with the influence of every answer on it.

Sources:
    Hanley and McNeil 1982, Radiology 143:29; DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, whose variance
    is the sum of squared influences; Obuchowski 1997, Biometrics 53:567, the same with clusters.
    Average precision without interpolation, as scikit-learn's ``average_precision_score``.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def auc(scores: Floats, positive: Flags) -> tuple[float, Floats]:
    """The share of (positive, negative) pairs in which the positive scores higher; ties count half.

    Args:
        scores: (n,).
        positive: (n,), with at least one of either kind.

    Returns:
        The area, and (n,) influences: DeLong's components about their mean, each over its number, scaled so that the
        sum of squares is DeLong's variance.
    """
    m, n = int(positive.sum()), int(np.sum(~positive))
    highs, lows = np.sort(scores[positive]), np.sort(scores[~positive])
    influence = np.empty(len(scores))
    beaten = _place(lows, scores[positive]) / n  # share of negatives below each positive
    losing = 1 - _place(highs, scores[~positive]) / m  # share of positives above each negative
    area = float(beaten.mean())
    influence[positive] = (beaten - area) / m * np.sqrt(m / max(m - 1, 1))
    influence[~positive] = (losing - area) / n * np.sqrt(n / max(n - 1, 1))
    return area, influence


def _place(ordered: Floats, values: Floats) -> Floats:
    """How many of ``ordered`` lie below each value, ties counting half."""
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def average_precision(scores: Floats, positive: Flags) -> tuple[float, Floats]:
    """The mean, over the positives, of the precision at their score.

    The precision at a score is A / B: positives and answers that score at least as high. An answer k moves the mean
    through its own precision, if it is positive, and through A and B of every positive that scores no higher:
    (y_k (A_k / B_k − AP) + Σ (y_k / B_i − A_i / B_i²)) / P over positives i with s_i ≤ s_k.

    Args:
        scores: (n,).
        positive: (n,), with at least one true.

    Returns:
        The figure, and (n,) influences.
    """
    levels, level, counts = np.unique(-scores, return_inverse=True, return_counts=True)  # highest score first
    hits = np.bincount(level, weights=positive, minlength=len(levels))
    above, right = np.cumsum(counts).astype(np.float64), np.cumsum(hits)
    precision, total = right / above, float(right[-1])
    value = float(np.sum(hits * precision) / total)
    through_hits = _from_here(hits / above)
    through_all = _from_here(hits * right / np.square(above))
    influence = positive * (precision[level] - value + through_hits[level]) - through_all[level]
    return value, influence / total


def _from_here(values: Floats) -> Floats:
    """The sum of each entry and all after it."""
    return np.cumsum(values[::-1])[::-1]


def rank_scores(scores: Floats) -> Floats:
    """(n, classes) scores by which one class can be ranked against the rest, in float64.

    Shares that sum to one stay; of anything else, taken as logits, the log odds of a softmax, which keep their order
    where the shares themselves would round to one. A row with not-a-number stays so.
    """
    values = np.asarray(scores, dtype=np.float64)
    if np.nanmin(values, initial=0.0) >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3, equal_nan=True):
        return values
    rows, winner = np.arange(len(values)), values.argmax(axis=1)
    top = values[rows, winner, None]
    mass = np.exp(values - top)
    rest = np.log(np.maximum(mass.sum(axis=1, keepdims=True) - mass, 1.0))  # holds the winner's mass of one
    mass[rows, winner] = 0.0
    with np.errstate(divide="ignore"):
        rest[rows, winner] = np.log(mass.sum(axis=1))
    return np.asarray(values - top - rest)
