"""How many singular values of a matrix are more than noise. Pure tensor functions.

Source: Nakajima, Sugiyama, Babacan & Tomioka 2013, Global Analytic Solution of Fully-observed Variational Bayesian
Matrix Factorization, JMLR 14, theorem 2 and corollary 1 (empirical priors). Kim et al. 2016, arXiv:1511.06530, choose
the ranks of convolutions so.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

THRESHOLD = 2.5129  # of the square root of the sides' ratio; Nakajima et al. 2013, equation 26
STEPS = 400
NARROWINGS = 60


def vbmf_rank(singular: Tensor, shape: tuple[int, int]) -> int:
    """The rank that variational Bayes gives a matrix whose noise is not known.

    Args:
        singular: all singular values, (min(shape),), falling.
        shape: of the matrix.

    Returns:
        From 0, where there is nothing but noise, to the number of singular values.
    """
    short, long = min(shape), max(shape)
    squares = singular.double().square()
    if float(squares.sum()) <= 0:
        return 0
    ratio = short / long
    tau = THRESHOLD * math.sqrt(ratio)
    edge = (1 + tau) * (1 + ratio / tau)
    noise = _noise(squares, short, long, edge)
    return int((squares > long * noise * edge).sum())


def _noise(squares: Tensor, short: int, long: int, edge: float) -> float:
    """The variance of the noise that makes the matrix likeliest; searched between the bounds of the paper."""
    ratio = short / long
    signals = min(math.ceil(short / (1 + ratio)) - 1, short - 1)  # more cannot be told from noise
    rest = squares[signals:]
    top = float(squares.sum()) / (short * long)
    bottom = max(float(rest[0]) / (long * edge), float(rest.mean()) / long)
    bottom = min(max(bottom, 1e-12 * top), top)

    def free_energy(variance: float) -> float:
        return _free_energy(squares / (long * variance), short, ratio, edge, variance)

    grid: list[float] = [bottom * (top / bottom) ** (step / STEPS) for step in range(STEPS + 1)]
    best = min(range(STEPS + 1), key=lambda step: free_energy(grid[step]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, STEPS)]
    for _ in range(NARROWINGS):  # thirds: the function has one valley between neighbours of the best
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if free_energy(left) < free_energy(right) else (left, high)
    return (low + high) / 2


def _free_energy(x: Tensor, short: int, ratio: float, edge: float, variance: float) -> float:
    """What is minimised over the noise, up to constants; ``x`` are squared singular values over long side and noise."""
    signal, noise = x[x > edge], x[x <= edge].clamp_min(1e-300)
    middle = signal - (1 + ratio)
    tau = (middle + (middle.square() - 4 * ratio).clamp_min(0).sqrt()) / 2
    parts = (
        (noise - noise.log()).sum(),
        (signal - tau).sum(),
        ((tau + 1) / signal).log().sum(),
        ratio * (tau / ratio + 1).log().sum(),
    )
    return float(torch.stack(parts).sum()) + (short - len(x)) * math.log(variance)
