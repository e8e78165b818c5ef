"""Resampling: how far a figure moves when the same number of samples is drawn again from what was seen.

Sources:
    Efron 1979, Annals of Statistics 7:1, the bootstrap; Efron and Tibshirani 1993, chapter 13, the percentile interval.
    Künsch 1989, Annals of Statistics 17:1217, blocks for dependent data; Politis and Romano 1992, blocks on a circle.
    Kalibera and Jones 2013, ISMM, drawing every level at which timings vary, the highest first.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

RESAMPLES = 1000
MOST_AT_ONCE = 2_000_000  # draws held in memory at once: 16 MB of counts


def percentiles(resampled: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of a resampled figure, shape (resamples,)."""
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(low), float(high)


def resampled_means(values: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Means of samples drawn with replacement.

    Args:
        values: (n, k): k figures of each of n samples. A sample's figures are drawn together, so
            that differences between columns are paired.

    Returns:
        (resamples, k).
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    columns = [np.ascontiguousarray(column) for column in values.T]
    parts = []
    for size in _portions(resamples, n):
        drawn = rng.integers(0, n, size=(size, n), dtype=np.int32)
        parts.append(np.stack([column[drawn].mean(axis=1) for column in columns], axis=1))
    return np.concatenate(parts)


def resampled_counts(shares: Floats, n: int, *, seed: int, resamples: int = RESAMPLES) -> Iterator[Counts]:
    """Counts of n samples that fall into cells.

    Drawing the counts themselves is the same as drawing samples and counting, and costs as much
    as there are cells, not samples.

    Args:
        shares: (cells,), the share of samples in each cell, summing to one.

    Yields:
        (some resamples, cells), in all ``resamples`` rows.
    """
    rng = np.random.default_rng(seed)
    for size in _portions(resamples, len(shares)):
        yield rng.multinomial(n, shares, size=size)


def resampled_rounds(sittings: int, rounds: int, *, seed: int, resamples: int = RESAMPLES) -> Counts:
    """How often each round is drawn when sittings are drawn, and in each of them runs of neighbouring rounds.

    A sitting has a level of its own (where memory happened to lie), and noise on a host lasts longer
    than a round, so neighbours are alike: single rounds drawn would promise too much. Within a
    sitting the run length is the cube root of the number of rounds.

    Returns:
        (resamples, sittings * rounds); each row sums to ``sittings * rounds``.
    """
    rng = np.random.default_rng(seed)
    length = max(1, round(rounds ** (1 / 3)))
    starts = rng.integers(0, rounds, size=(resamples, sittings, -(-rounds // length), 1))
    drawn = (starts + np.arange(length)) % rounds  # (resamples, sittings, runs, length), on a circle
    drawn = drawn.reshape(resamples, sittings, -1)[:, :, :rounds]
    drawn = drawn + rounds * rng.integers(0, sittings, size=(resamples, sittings, 1))
    total = sittings * rounds
    flat = drawn.reshape(resamples, total) + total * np.arange(resamples)[:, None]
    return np.bincount(flat.ravel(), minlength=resamples * total).reshape(resamples, total)


def _portions(total: int, width: int) -> Iterator[int]:
    """Split ``total`` rows so that no portion holds more than the limit of draws."""
    most = max(1, MOST_AT_ONCE // max(1, width))
    for begin in range(0, total, most):
        yield min(most, total - begin)
