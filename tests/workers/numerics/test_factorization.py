"""Factors against their products, and ranks against counting."""

import pytest
import torch

from workers.numerics.factorization import (
    matrix_rank_that_pays,
    rank_for_energy,
    svd_factors,
    tucker2_factors,
    tucker2_numbers,
)


def gaussian(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_a_matrix_of_low_rank_comes_back_whole():
    matrix = gaussian(9, 3) @ gaussian(3, 14)

    left, right = svd_factors(matrix, 3)

    assert left.shape == (9, 3) and right.shape == (3, 14)
    assert torch.allclose(left @ right, matrix, atol=1e-5)


def test_the_error_is_that_of_the_singular_values_left_out():
    matrix = gaussian(8, 12)

    left, right = svd_factors(matrix, 5)

    left_out = torch.linalg.svdvals(matrix)[5:].square().sum().sqrt()
    assert torch.linalg.norm(matrix - left @ right).item() == pytest.approx(left_out.item(), rel=1e-4)


def test_a_kernel_of_low_rank_comes_back_whole():
    kernel = torch.einsum("or,rsyx,is->oiyx", gaussian(8, 3), gaussian(3, 2, 3, 3), gaussian(6, 2))

    outs, core, ins = tucker2_factors(kernel, (3, 2))

    assert torch.allclose(torch.einsum("or,rsyx,is->oiyx", outs, core, ins), kernel, atol=1e-4)
    assert tucker2_numbers((8, 6, 3, 3), (3, 2)) == outs.numel() + core.numel() + ins.numel()


def test_iterating_never_leaves_more_error_than_the_plain_higher_order_svd():
    kernel = gaussian(10, 8, 3, 3)

    errors = []
    for rounds in (0, 10):
        outs, core, ins = tucker2_factors(kernel, (4, 3), rounds=rounds)
        errors.append(torch.linalg.norm(kernel - torch.einsum("or,rsyx,is->oiyx", outs, core, ins)).item())

    assert errors[1] <= errors[0]


@pytest.mark.parametrize(("share", "rank"), [(0.6, 1), (16 / 25, 1), (0.65, 2), (1.0, 3)])
def test_the_rank_is_the_smallest_that_keeps_the_energy(share, rank):
    singular = torch.tensor([4.0, 2.828427, 1.0])  # squares 16, 8, 1

    assert rank_for_energy(singular, share=share) == rank


@pytest.mark.parametrize(("rows", "columns"), [(10, 10), (128, 64), (1, 50), (3, 7)])
def test_a_rank_pays_while_the_factors_hold_fewer_numbers(rows, columns):
    counted = [rank for rank in range(1, 200) if rank * (rows + columns) < rows * columns]

    assert matrix_rank_that_pays(rows, columns) == max(counted, default=0)
