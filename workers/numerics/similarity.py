"""How alike two layers see the same samples. Pure tensor functions."""

from __future__ import annotations

from torch import Tensor


def linear_cka(one: Tensor, other: Tensor) -> float:
    """Centred kernel alignment with linear kernels: 1 where one is the other turned or scaled, 0 where unrelated.

    Args:
        one, other: (samples, features), the same samples in the same order; the features may differ in number.

    Returns:
        In [0, 1]; 0 where one of them does not vary.

    Source: Kornblith et al. 2019, arXiv:1905.00414, equation 5.
    """
    x, y = (tensor.double() - tensor.double().mean(0) for tensor in (one, other))
    shared = (y.T @ x).square().sum()
    lengths = (x.T @ x).norm() * (y.T @ y).norm()
    return float(shared / lengths) if float(lengths) > 0 else 0.0
