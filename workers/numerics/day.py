"""The course of a day: how the traffic of 24 hours is shaped so that its peak is the one asked for."""

from functools import lru_cache

import numpy as np

from workers.numerics.queueing import Floats

HALVINGS = 200
STEEPEST = 1e6


@lru_cache(maxsize=1024)
def sharpened(shape: tuple[float, ...], *, peak: float) -> Floats:
    """Raise a daily shape to the power at which its highest hour is ``peak`` times its mean.

    Args:
        shape: 24 values, not negative, one of them positive; only their proportions matter.
        peak: at least 1.

    Returns:
        (24,) with mean 1 and maximum ``peak``, read-only. A peak of 1 is a flat day.

    Raises:
        ValueError: if no power gives this peak: a flat shape has none, and hours without traffic set a least one.
    """
    day = np.ones(len(shape)) if peak == 1 else _raised(shape, peak)
    day.flags.writeable = False
    return day


def _raised(shape: tuple[float, ...], peak: float) -> Floats:
    hours = np.asarray(shape, dtype=np.float64) / max(shape)
    lowest, highest = len(hours) / np.count_nonzero(hours), len(hours) / np.count_nonzero(hours == 1)
    if not lowest < peak < highest:
        raise ValueError(f"this shape allows a peak between {lowest:.3g} and {highest:.3g} times its mean, not {peak}")
    flat, steep = 0.0, STEEPEST
    for _ in range(HALVINGS):
        middle = (flat + steep) / 2
        powered = hours**middle
        flat, steep = (middle, steep) if powered.max() / powered.mean() < peak else (flat, middle)
    powered = hours**steep
    return np.asarray(powered * peak / powered.max())
