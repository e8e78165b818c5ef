"""Closed-form 95 % intervals for shares, for figures like shares, and for paired differences of shares.

Sources:
    Wilson 1927, Probable inference, JASA 22:209, for a share.
    Newcombe 1998, Statistics in Medicine 17:857 and 17:2635, compares intervals for shares and for paired differences.
    Tango 1998, Statistics in Medicine 17:891, for a paired difference: it holds zero exactly when
    McNemar's test (1947, Psychometrika 12:153) does not reject.
    Korn and Graubard 1998, Survey Methodology 24:193, on the effective number of samples.
    Agresti and Min 2005, Statistics in Medicine 24:729, on adding half a sample to each cell of a paired table.
"""

import math
from collections.abc import Callable

Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
HALVINGS = 60


def wilson(hits: float, n: float) -> tuple[float, float]:
    """The score interval of a share. Holds its level also near 0 and 1, where the textbook interval collapses.

    Args:
        hits: successes, 0 to ``n``; need not be whole.
        n: trials, more than 0; an effective number may be fractional.

    Returns:
        (low, high), within [0, 1].

    Raises:
        ValueError: if the counts are impossible.
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError(f"expected 0 <= hits <= n with n > 0, got {hits} of {n}")
    square = Z95 * Z95
    centre = (hits + square / 2) / (n + square)
    half = Z95 / (n + square) * math.sqrt(hits * (n - hits) / n + square / 4)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def share_like(value: float, spread: float, n: int) -> tuple[float, float]:
    """Wilson's interval for a figure between 0 and 1 that is no plain share, such as a mean of F1 scores.

    It is treated as a share seen on the effective number of samples: the one at which a share would
    have the same standard error. That is at most ``n``, and ``n`` where no spread was seen.

    Args:
        value: the figure, 0 to 1.
        spread: its standard error, for example from a bootstrap; infinite where nothing is known of it.
        n: samples.
    """
    if math.isinf(spread):
        return 0.0, 1.0
    effective = min(float(n), value * (1 - value) / spread**2) if spread > 0 and 0 < value < 1 else float(n)
    return wilson(value * effective, effective)


def difference_like(value: float, spread: float, n: int) -> tuple[float, float]:
    """A normal interval for a paired difference between two figures that lie between 0 and 1.

    Its variance is raised by 1 / n², as half a sample added to each cell of a paired table does, so
    that "nothing changed on n samples" is not taken for certainty.

    Args:
        value: the difference, -1 to 1.
        spread: its standard error, for example from a paired bootstrap.
        n: samples, at least 1.
    """
    half = Z95 * math.sqrt(spread**2 + 1 / n**2)
    return max(-1.0, value - half), min(1.0, value + half)


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
