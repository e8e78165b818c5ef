"""Ranges for integer quantization, chosen from histograms of what a tensor holds. NumPy only.

A histogram is an array of counts over equal bins between ``low`` and ``high``.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
LEVELS = 256
# A constant background in the data makes spikes, and divergence alone would cut half the values to keep
# those sharp: measured on Fashion-MNIST, accuracy fell from 92 to 74 % without this limit.
MOST_CUT = 0.001
_CANDIDATES = 128
_TINY = 1e-9


def counts(values: NDArray[np.floating], *, low: float, high: float, bins: int) -> Counts:
    """Count the values in ``bins`` equal bins of [low, high].

    Args:
        values: any shape; all of them lie inside [low, high].
        low, high: ends of the histogram, low < high.
    """
    scaled = (values.ravel() - np.float32(low)) * np.float32(bins / (high - low))
    index = np.clip(scaled.astype(np.int64), 0, bins - 1)
    return np.bincount(index, minlength=bins)


def percentile_range(hist: Counts, *, low: float, high: float, percentile: float) -> tuple[float, float]:
    """The range that keeps ``percentile`` percent of the values, cutting as many below as above.

    Returns:
        (low, high) on bin edges, so that each end is at most one bin too wide.

    Raises:
        ValueError: if ``percentile`` is outside (0, 100] or the histogram is empty.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile}")
    total = int(hist.sum())
    if not total:
        raise ValueError("expected a histogram with values, got an empty one")
    cut = total * (100 - percentile) / 200
    below = np.cumsum(hist)
    first = int(np.searchsorted(below, cut, side="right"))
    last = int(np.searchsorted(below, total - cut, side="left"))
    width = (high - low) / len(hist)
    return low + first * width, low + (min(last, len(hist) - 1) + 1) * width


def entropy_range(hist: Counts, *, low: float, high: float, levels: int = LEVELS) -> tuple[float, float]:
    """The range whose ``levels`` steps tell least less about the values than the histogram itself.

    Candidates cut the range towards zero from both ends. Each is judged by the Kullback-Leibler
    divergence between the histogram, with what was cut piled on its ends, and the same
    histogram seen through ``levels`` equal steps (Migacz 2017, "8-bit inference with TensorRT").

    Returns:
        (low, high) on bin edges, inside the histogram's.
    """
    width = (high - low) / len(hist)
    hist = _without_spike_at_zero(hist, low, width)
    furthest = max(abs(low), abs(high))
    most_cut = MOST_CUT * hist.sum()
    best, chosen = np.inf, (0, len(hist))
    for share in np.linspace(1, 0, _CANDIDATES, endpoint=False):
        first = max(0, int(np.floor((-furthest * share - low) / width)))
        last = min(len(hist), int(np.ceil((furthest * share - low) / width)))
        if last - first < levels or hist[:first].sum() + hist[last:].sum() > most_cut:
            break
        loss = _divergence(hist, first, last, levels)
        if loss < best:
            best, chosen = loss, (first, last)
    return low + chosen[0] * width, low + chosen[1] * width


def mse_range(hist: Counts, *, low: float, high: float, levels: int = LEVELS) -> tuple[float, float]:
    """The range whose ``levels`` values, zero among them, lie closest to what the tensor holds, in mean squared error.

    The upper end is tried first, cut step by step towards zero, then the lower end under the best upper one
    (Nagel et al. 2021, arXiv:2106.08295, section 3.1, equation 3.4; each end on its own).

    Returns:
        (low, high) inside the histogram's; an end on the far side of zero is never moved across it.
    """
    centres = low + (np.arange(len(hist)) + 0.5) * (high - low) / len(hist)
    shares = np.linspace(1, 0, _CANDIDATES, endpoint=False)
    best_high = min((_rounding_loss(hist, centres, low, high * share, levels), -share) for share in _of(shares, high))
    top = -best_high[1] * high
    best_low = min((_rounding_loss(hist, centres, low * share, top, levels), -share) for share in _of(shares, -low))
    return -best_low[1] * low, top


def _of(shares: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """The shares of an end that reaches beyond zero; one that does not stays where it is."""
    return shares if length > 0 else shares[:1]


def _rounding_loss(hist: Counts, centres: NDArray[np.float64], low: float, high: float, levels: int) -> float:
    """Sum of squared differences between what the bins hold and its nearest level in the range that includes zero."""
    bottom, top = min(low, 0.0), max(high, 0.0)
    step = max(top - bottom, _TINY) / (levels - 1)
    zero = np.round(-bottom / step)
    level = np.clip(np.round(centres / step) + zero, 0, levels - 1)
    return float(hist @ np.square((level - zero) * step - centres))


def _without_spike_at_zero(hist: Counts, low: float, width: float) -> Counts:
    """Lower the bin that holds zero to its larger neighbour: the many exact zeros behind a ReLU fit any range."""
    zero = int(np.clip(-low / width, 0, len(hist) - 1))
    around = [hist[index] for index in (zero - 1, zero + 1) if 0 <= index < len(hist)]
    calmer = hist.copy()
    calmer[zero] = min(hist[zero], max(around))
    return calmer


def _divergence(hist: Counts, first: int, last: int, levels: int) -> float:
    """What ``levels`` equal steps over bins first..last lose, in nats; both distributions are normalised."""
    inside = hist[first:last].astype(np.float64)
    clipped = inside.copy()
    clipped[0] += hist[:first].sum()
    clipped[-1] += hist[last:].sum()
    step = np.arange(len(inside)) * levels // len(inside)
    filled = np.bincount(step, weights=inside > 0, minlength=levels)
    mass = np.bincount(step, weights=inside, minlength=levels)
    spread = (mass / np.maximum(filled, 1))[step] * (inside > 0)
    p = clipped / clipped.sum()
    q = spread / max(spread.sum(), 1) + _TINY
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))


def rows_in_int8(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A table with a scale of its own for each row: ``levels * scales`` is near ``values``.

    Args:
        values: (rows, width).

    Returns:
        Levels from -127 to 127, shaped like ``values``, and scales (rows, 1). No entry is off by more than half its
        row's scale; a row of zeros has scale 1.
    """
    most = np.abs(values).max(axis=1, keepdims=True)
    scales = np.where(most > 0, most / 127, 1).astype(np.float32)
    return np.clip(np.round(values / scales), -127, 127).astype(np.int8), scales
