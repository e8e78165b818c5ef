"""Nearest neighbours by cosine."""

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 512


def nearest(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """The nearest other point of each point, by cosine; of equals the first.

    Args:
        points: (n, width), n at least 2. A point that is zero or not finite has cosine 0 with every other.

    Returns:
        (n,) indices.
    """
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    unit = np.where(usable, points / np.where(usable, lengths, 1.0), 0.0)
    found = np.empty(len(unit), dtype=np.int64)
    for begin in range(0, len(unit), ROWS_AT_ONCE):
        cosines = unit[begin : begin + ROWS_AT_ONCE] @ unit.T  # (rows, n)
        here = np.arange(len(cosines))
        cosines[here, begin + here] = -np.inf
        found[begin : begin + len(cosines)] = cosines.argmax(axis=1)
    return found
