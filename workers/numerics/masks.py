"""Which entries of a tensor stay, and which become zero. NumPy only."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def threshold(sizes: Iterable[NDArray[np.floating]], *, share: float) -> float:
    """The smallest absolute value among the largest ``share`` of all entries together.

    Args:
        sizes: one or more arrays of any shape; their signs do not matter.
        share: part of the entries to keep, in (0, 1].

    Returns:
        The k-th largest absolute value, where k is ``share`` of the entries, rounded, at least 1.

    Raises:
        ValueError: if ``share`` is outside (0, 1] or there is no entry at all.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    entries = np.concatenate([np.abs(array).ravel() for array in sizes] or [np.empty(0)])
    if not entries.size:
        raise ValueError("expected at least one entry, got none")
    kept = max(1, round(entries.size * share))
    return float(np.partition(entries, entries.size - kept)[entries.size - kept])


def keep_largest(weight: NDArray[np.floating], *, share: float) -> NDArray[np.bool_]:
    """Mark the entries with the largest absolute value.

    Args:
        weight: any shape, for example (out, in, kh, kw).
        share: part of the entries to keep, in (0, 1].

    Returns:
        Boolean mask shaped like ``weight``. Entries tied with the threshold are
        all kept, so the mask may hold a little more than ``share``.

    Raises:
        ValueError: if ``share`` is outside (0, 1] or ``weight`` is empty.
    """
    return keep_from(weight, threshold([weight], share=share))


def keep_from(weight: NDArray[np.floating], least: float) -> NDArray[np.bool_]:
    """Mark the entries whose absolute value is at least ``least``; shaped like ``weight``."""
    return np.asarray(np.abs(weight) >= least)


def keep_in_groups(weight: NDArray[np.floating], *, keep: int, group: int, axis: int) -> NDArray[np.bool_]:
    """Mark the ``keep`` largest absolute values in each run of ``group`` neighbours along an axis.

    Args:
        weight: any shape.
        keep: entries to keep in each run; of tied ones the earlier stays.
        group: length of a run; a shorter last run keeps as many, or all it has.

    Returns:
        Boolean mask shaped like ``weight``.

    Raises:
        ValueError: unless 0 < keep < group.
    """
    if not 0 < keep < group:
        raise ValueError(f"keep must lie between 0 and group, got {keep} of {group}")
    sizes = np.moveaxis(np.abs(weight).astype(np.float64), axis, -1)
    length = sizes.shape[-1]
    filled = np.pad(sizes, [(0, 0)] * (sizes.ndim - 1) + [(0, -length % group)], constant_values=-1)
    runs = filled.reshape(*filled.shape[:-1], -1, group)  # (..., runs, group)
    rank = np.argsort(np.argsort(-runs, axis=-1, kind="stable"), axis=-1, kind="stable")
    mask = (rank < keep).reshape(filled.shape)[..., :length]
    return np.moveaxis(mask, -1, axis)
