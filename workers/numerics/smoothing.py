"""Moving the size of activations into weights, channel by channel. NumPy only.

Source: Xiao et al. 2023, SmoothQuant, arXiv:2211.10438, equation 4.
"""

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-5


def divisors(
    activations: NDArray[np.floating], weights: NDArray[np.floating], *, strength: float
) -> NDArray[np.float64]:
    """What to divide each channel of the activations by, and to multiply the weights that read it by.

    Args:
        activations: (channels,), the largest absolute value each channel takes.
        weights: (channels,), the largest absolute weight that reads each channel.
        strength: 0 leaves all difficulty in the activations, 1 moves all of it into the weights.

    Returns:
        (channels,): activations**strength / weights**(1 - strength), scaled so that their median is one;
        one for a channel that is always zero or that nothing reads.
    """
    speaks = (activations > 0) & (weights > 0)
    if not speaks.any():
        return np.ones(len(activations))
    heard, read = activations[speaks].astype(np.float64), weights[speaks].astype(np.float64)
    found = np.power(heard, strength) / np.power(read, 1 - strength)
    result = np.ones(len(activations))
    result[speaks] = np.maximum(found / np.median(found), _LEAST)
    return result
