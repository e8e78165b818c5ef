"""Closed-form 95 % intervals for shares and for paired differences of shares.

Sources:
    Wilson 1927, Probable inference, JASA 22:209, for a share.
    Newcombe 1998, Statistics in Medicine 17:857 and 17:2635, compares intervals for shares and for paired differences.
    Tango 1998, Statistics in Medicine 17:891, for a paired difference: it holds zero exactly when
    McNemar's test (1947, Psychometrika 12:153) does not reject.
"""

import math
from collections.abc import Callable

Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
HALVINGS = 60


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The score interval of a share. Holds its level also near 0 and 1, where the textbook interval collapses.

    Args:
        hits: successes, 0 to ``n``.
        n: trials, at least 1.

    Returns:
        (low, high), within [0, 1].

    Raises:
        ValueError: if the counts are impossible.
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"expected 0 <= hits <= n with n >= 1, got {hits} of {n}")
    square = Z95 * Z95
    centre = (hits + square / 2) / (n + square)
    half = Z95 / (n + square) * math.sqrt(hits * (n - hits) / n + square / 4)
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)


def paired_difference(gained: int, lost: int, n: int) -> tuple[float, float]:
    """Tango's score interval of a difference between two shares on the same samples.

    Args:
        gained: samples that fail before and succeed after.
        lost: samples that succeed before and fail after.
        n: all samples, at least 1.

    Returns:
        (low, high) of (after - before), within [-1, 1]. Not empty when nothing changed: with no
        discordant sample among n it ends at about 3.84 / n on both sides.

    Raises:
        ValueError: if the counts are impossible.
    """
    if n < 1 or gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"expected gained + lost <= n with n >= 1, got {gained} + {lost} of {n}")
    difference = (gained - lost) / n
    low = _crossing(lambda delta: _score(gained, lost, n, delta) - Z95, -1.0, difference)
    high = _crossing(lambda delta: _score(gained, lost, n, delta) + Z95, difference, 1.0)
    return low, high


def _score(gained: int, lost: int, n: int, delta: float) -> float:
    """How many standard errors the observed difference lies above ``delta`` (Tango 1998, equations 6 and 7)."""
    observed = gained - lost - n * delta
    a = 2.0 * n
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    # the most likely share of lost samples if the difference were delta
    share_lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share_lost + delta * (1 - delta))
    if variance <= 0:
        return math.copysign(math.inf, observed) if observed else 0.0
    return observed / math.sqrt(variance)


def _crossing(falling: Callable[[float], float], left: float, right: float) -> float:
    """Where a falling function passes zero, by bisection; the end towards which it never does."""
    if falling(left) <= 0:
        return left
    if falling(right) >= 0:
        return right
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        left, right = (middle, right) if falling(middle) > 0 else (left, middle)
    return (left + right) / 2
