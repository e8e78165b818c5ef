"""Weights as products of thinner ones. Pure tensor functions."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


def rank_for_energy(singular: Tensor, *, share: float) -> int:
    """The smallest rank that keeps a share of the squared singular values.

    Args:
        singular: (n,), falling.
        share: in (0, 1].

    Returns:
        From 1 to n.
    """
    energy = singular.double().square()
    kept = energy.cumsum(0) / energy.sum().clamp_min(1e-300)
    return min(int((kept < share - 1e-12).sum()) + 1, len(singular))


def matrix_rank_that_pays(rows: int, columns: int) -> int:
    """The largest rank at which two factors hold fewer numbers than the matrix: r < mn / (m + n). May be 0."""
    return (rows * columns - 1) // (rows + columns)


def svd_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best approximation of a matrix by two thinner ones.

    Args:
        weight: (out, in).
        rank: from 1 to min(out, in).

    Returns:
        (out, rank) and (rank, in), which share the singular values evenly; their product is nearest to ``weight``
        in the Frobenius norm among all matrices of this rank.

    Source: Eckart & Young 1936, doi:10.1007/BF02288367.
    """
    left, singular, right = torch.linalg.svd(weight.double(), full_matrices=False)
    root = singular[:rank].sqrt()
    return (left[:, :rank] * root).to(weight.dtype), (root[:, None] * right[:rank]).to(weight.dtype)


def channel_bases(weight: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Orthonormal bases of a kernel's output and input channels with their singular values (higher-order SVD).

    Args:
        weight: (out, in, *kernel).

    Returns:
        For outputs, then inputs: (channels, n) basis vectors as columns and (n,) singular values, falling.

    Source: De Lathauwer et al. 2000, doi:10.1137/S0895479896305696.
    """
    return _basis(weight), _basis(weight.transpose(0, 1))


def tucker2_factors(weight: Tensor, ranks: tuple[int, int], *, rounds: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel as a thin kernel between two changes of channels.

    Args:
        weight: (out, in, *kernel).
        ranks: of the outputs and of the inputs.
        rounds: of orthogonal iteration after the higher-order SVD.

    Returns:
        (out, r_out), (r_out, r_in, *kernel), (in, r_in); ``weight`` is about their product over both ranks.

    Source: Kim et al. 2016, arXiv:1511.06530, section 3.1.
    """
    exact = weight.double()
    (outs, _), (ins, _) = channel_bases(exact)
    outs, ins = outs[:, : ranks[0]], ins[:, : ranks[1]]
    for _ in range(rounds):
        outs = _basis(torch.einsum("oi...,ir->or...", exact, ins))[0][:, : ranks[0]]
        ins = _basis(torch.einsum("oi...,or->ri...", exact, outs).transpose(0, 1))[0][:, : ranks[1]]
    core = torch.einsum("oi...,or,is->rs...", exact, outs, ins)
    return outs.to(weight.dtype), core.to(weight.dtype), ins.to(weight.dtype)


def tucker2_numbers(shape: tuple[int, ...], ranks: tuple[int, int]) -> int:
    """How many numbers the three factors of a kernel of this shape hold."""
    return shape[0] * ranks[0] + ranks[0] * ranks[1] * prod(shape[2:]) + shape[1] * ranks[1]


def _basis(tensor: Tensor) -> tuple[Tensor, Tensor]:
    left, singular, _ = torch.linalg.svd(tensor.flatten(1), full_matrices=False)
    return left, singular


def whitened_factors(weight: Tensor, moments: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Two thinner matrices whose product answers nearest to ``weight`` on the inputs that were seen.

    Args:
        weight: (out, in).
        moments: mean of x xᵀ over the inputs x, (in, in).
        rank: from 1 to min(out, in).

    Returns:
        (out, rank) and (rank, in); no other product of this rank has a smaller mean ‖(weight − product) x‖².

    Source: Wang et al. 2024, SVD-LLM, arXiv:2403.07378, section 3.1 (truncation after whitening).
    """
    root = whitener(moments)
    left, right = svd_factors(weight.double() @ root, rank)
    back = torch.linalg.solve_triangular(root, right, upper=False, left=False)
    return left.to(weight.dtype), back.to(weight.dtype)


def whitener(moments: Tensor) -> Tensor:
    """The lower triangle L, double, whose L Lᵀ is ``moments`` with a little more on their diagonal."""
    exact = moments.double()
    least = 1e-6 * exact.diagonal().mean().clamp_min(1e-12)
    lower: Tensor = torch.linalg.cholesky(exact + least * torch.eye(len(exact), dtype=torch.float64))
    return lower


def cp_factors(weight: Tensor, rank: int, *, rounds: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel as a sum of products: one output pattern, one input pattern and one small picture each.

    Args:
        weight: (out, in, *kernel).
        rank: how many products.
        rounds: of alternating least squares, each with a start that is always the same.

    Returns:
        (out, rank), (in, rank) and (rank, *kernel).

    Source: Lebedev et al. 2015, arXiv:1412.6553, section 3, with the picture kept whole as in Phan et al. 2020,
    arXiv:2008.05441.
    """
    exact = weight.double().flatten(2)  # (out, in, places)
    factors = [_start(exact.movedim(axis, 0), rank, axis) for axis in range(3)]
    for _ in range(rounds):
        for axis in range(3):
            one, two = (factors[other] for other in range(3) if other != axis)
            gram = (one.T @ one) * (two.T @ two)
            ridge = 1e-9 * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(rank, dtype=torch.float64)
            products = torch.einsum("ir,jr->ijr", one, two).flatten(0, 1)
            unfolded = exact.movedim(axis, 0).flatten(1)
            factors[axis] = torch.linalg.solve(gram + ridge, (unfolded @ products).T).T
    outs, ins, places = _balanced(factors)
    kernels = places.T.reshape(rank, *weight.shape[2:])
    return outs.to(weight.dtype), ins.to(weight.dtype), kernels.to(weight.dtype)


def cp_numbers(shape: tuple[int, ...], rank: int) -> int:
    """How many numbers the three factors of a kernel of this shape hold."""
    return rank * (shape[0] + shape[1] + prod(shape[2:]))


def cp_product(outs: Tensor, ins: Tensor, kernels: Tensor) -> Tensor:
    """The kernel that three factors stand for; (out, in, *kernel)."""
    return torch.einsum("or,ir,r...->oi...", outs, ins, kernels)


def _start(unfolded: Tensor, rank: int, axis: int) -> Tensor:
    """The leading directions of one axis, filled up with noise that is always the same."""
    basis, _ = _basis(unfolded)
    missing = max(rank - basis.shape[1], 0)
    generator = torch.Generator().manual_seed(axis)
    noise = torch.randn(len(basis), missing, generator=generator, dtype=torch.float64)
    return torch.cat([basis[:, :rank], noise], dim=1)


def _balanced(factors: list[Tensor]) -> list[Tensor]:
    """The same products with lengths shared evenly, so that no factor holds huge numbers."""
    lengths = [factor.norm(dim=0).clamp_min(1e-30) for factor in factors]
    each = torch.stack(lengths).prod(0).pow(1 / 3)
    return [factor / length * each for factor, length in zip(factors, lengths, strict=True)]
