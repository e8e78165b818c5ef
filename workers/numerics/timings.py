"""What a table of timings says: medians, tails, and the ratio of two medians with its interval.

Pure functions of an array, so that every rule of the benchmark can be checked with invented timings.
A table holds single runs in seconds, shape (sittings, rounds, runs): sessions are opened anew for each
sitting, and every round holds some runs of each network.
"""

import numpy as np

from workers.numerics.bootstrap import RESAMPLES, Counts, Floats, percentiles, resampled_rounds


def tails(table: Floats) -> tuple[float, float, float]:
    """The 50th, 95th and 99th percentile over all single runs of a table, in the table's unit."""
    low, middle, high = np.quantile(table, (0.5, 0.95, 0.99))
    return float(low), float(middle), float(high)


def ratio_of_medians(
    above: Floats, below: Floats, *, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """median(above) / median(below) over all runs, with the 95 % interval of a block bootstrap over rounds.

    Both tables are resampled by the same rounds: what slowed a whole round down slowed both.

    Args:
        above, below: (sittings, rounds, runs above) and (sittings, rounds, runs below) of the same interleaved rounds.

    Returns:
        (value, low, high); low <= value <= high.
    """
    if above.shape[:2] != below.shape[:2]:
        raise ValueError(f"expected tables of the same rounds, got {above.shape[:2]} and {below.shape[:2]}")
    drawn = resampled_rounds(*above.shape[:2], seed=seed, resamples=resamples)
    value = float(np.median(above) / np.median(below))
    low, high = percentiles(_medians(above, drawn) / _medians(below, drawn))
    return value, min(low, value), max(high, value)


def _medians(table: Floats, drawn: Counts) -> Floats:
    """The median of all runs of the rounds drawn: (resamples,), without copying a run twice.

    Sorted once, each run weighs as often as its round was drawn; the median is where half the weight is reached.
    """
    runs = table.shape[2]
    order = np.argsort(table, axis=None, kind="stable")
    of_round = order // runs
    sorted_runs = table.ravel()[order]
    found = np.empty(len(drawn))
    half = table.size / 2
    for begin in range(0, len(drawn), 100):  # 100 resamples of 10,000 runs are 4 MB
        weight = np.cumsum(drawn[begin : begin + 100, of_round], axis=1, dtype=np.int32)
        below = np.sum(weight < half, axis=1)
        above = np.sum(weight <= half, axis=1)
        last = len(sorted_runs) - 1
        found[begin : begin + 100] = (sorted_runs[np.minimum(below, last)] + sorted_runs[np.minimum(above, last)]) / 2
    return found
