"""Rounding as integer kernels will round, with gradients as if they did not. Pure tensor functions.

Source: Jacob et al. 2018, arXiv:1712.05877, section 3;
for the straight-through estimator, Bengio et al. 2013, arXiv:1308.3432.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 255


def weight(values: Tensor, *, axis: int, most: int) -> Tensor:
    """Round a weight to integers from ``-most`` to ``most``, with a scale per output channel.

    Args:
        values: the weight, its output channels along ``axis``.
        most: 127 for 8 bits, 64 for 7.

    Returns:
        Shaped like ``values``; its gradient is that of ``values`` unchanged.
    """
    others = [other for other in range(values.ndim) if other != axis]
    scale = values.detach().abs().amax(dim=others, keepdim=True).clamp_min(1e-12) / most
    rounded = (values.detach() / scale).round().clamp(-most, most) * scale
    return values + (rounded - values).detach()


def activation(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Cut an activation to a range and round it to 256 levels, one of which is exactly 0.

    Args:
        values: any shape.
        low, high: scalars; the range is widened to hold 0.

    Returns:
        Shaped like ``values``. Gradients pass where values lie in the range, else reach the end that cut them.
    """
    low, high = low.clamp(max=0.0), high.clamp(min=1e-6)
    cut = torch.minimum(torch.maximum(values, low), high)
    with torch.no_grad():
        scale = (high - low) / LEVELS
        zero = (-low / scale).round()
        rounded = ((cut / scale).round() + zero).clamp(0, LEVELS).sub(zero) * scale
    return cut + (rounded - cut).detach()
