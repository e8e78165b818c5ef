"""How sure a figure is when its answers come in clusters: many frames or pixels of one sample are alike.

A figure is linearised: the influence of an answer says how much the figure would move if that answer counted a little
more. Influences of one sample are added up before they are squared, so that frames of one recording do not pass for
independent evidence.

Sources:
    Huber 1981, Robust Statistics, chapter 1, influence and the infinitesimal jackknife.
    Cochran 1977, Sampling Techniques, section 6.4 and chapter 9A, ratios and clusters.
    Hill 1970, Communications of the ACM 13:617, quantiles of Student's t.
"""

import math

import numpy as np
from numpy.typing import NDArray

from workers.numerics.intervals import Z95, share_like

Floats = NDArray[np.float64]


def spread_of(influence: Floats, samples: NDArray[np.int64] | None = None) -> float:
    """The standard error of a figure, widened where few samples stand behind it (Student's t over the normal).

    Args:
        influence: (n,), summing to about zero.
        samples: the sample each entry belongs to, 0 and up; none where each is a sample of its own.

    Returns:
        Infinity for a single sample: it says nothing about the next one.
    """
    sums = influence if samples is None else np.bincount(samples, weights=influence)
    count = len(sums) if samples is None else len(np.unique(samples))
    if count < 2:
        return math.inf
    return float(np.sqrt(count / (count - 1) * np.sum(np.square(sums)))) * student(count - 1) / Z95


def student(degrees: int) -> float:
    """The 97.5 % point of Student's t, by its expansion around the normal; within 1 % from 3 degrees on."""
    if degrees < 3:
        return (12.7062, 4.3027)[degrees - 1]
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum((term / degrees ** (place + 1) for place, term in enumerate(terms)), 0.0)


def mean_of_ratios(over: Floats, under: Floats) -> tuple[float, Floats]:
    """The mean over k of Σ over / Σ under, and each sample's influence on it.

    Args:
        over, under: (samples, k); columns whose ``under`` sums to zero do not count.

    Returns:
        The figure, and (samples,) influences.
    """
    totals = under.sum(axis=0)
    known = totals > 0
    ratios = over[:, known].sum(axis=0) / totals[known]
    influence = (over[:, known] - ratios * under[:, known]) / totals[known]
    return float(ratios.mean()), np.asarray(influence.mean(axis=1))


def logit_interval(value: float, spread: float, n: float) -> tuple[float, float]:
    """An interval for a figure between 0 and 1 that cannot leave them: normal on the log odds.

    At the very ends, where the log odds are infinite or no spread was seen, Wilson's for a share seen ``n`` times.
    """
    if math.isinf(spread):
        return 0.0, 1.0
    if not 0 < value < 1 or spread == 0:
        return share_like(value, 0.0, max(1, round(n)))
    centre, half = math.log(value / (1 - value)), Z95 * spread / (value * (1 - value))
    return _odds(centre - half), _odds(centre + half)


def _odds(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
