"""Factors against their products, and ranks against counting."""

import pytest
import torch

from workers.numerics.factorization import (
    cp_factors,
    cp_numbers,
    cp_product,
    matrix_rank_that_pays,
    rank_for_energy,
    svd_factors,
    tucker2_factors,
    tucker2_numbers,
    whitened_factors,
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


def test_on_the_inputs_seen_no_product_of_this_rank_is_nearer():
    weight, x = gaussian(10, 8).double(), gaussian(200, 8).double() * torch.arange(1, 9)

    left, right = whitened_factors(weight, x.T @ x / len(x), 3)

    missed = ((weight - left @ right) @ x.T).square().sum() / len(x)
    closed_form = torch.linalg.svdvals(weight @ x.T)[3:].square().sum() / len(x)
    plain_left, plain_right = svd_factors(weight, 3)
    plain = ((weight - plain_left @ plain_right) @ x.T).square().sum() / len(x)
    assert missed.item() == pytest.approx(closed_form.item(), rel=1e-3)
    assert missed < 0.95 * plain


def test_inputs_that_never_vary_in_some_direction_are_no_trouble():
    x = gaussian(50, 2) @ gaussian(2, 6)

    left, right = whitened_factors(gaussian(5, 6), x.T @ x / 50, 2)

    assert torch.isfinite(left @ right).all()
    assert torch.allclose((left @ right) @ x.T, gaussian(5, 6) @ x.T, atol=1e-2)


def test_a_sum_of_products_comes_back_whole():
    kernel = torch.einsum("or,ir,ryx->oiyx", gaussian(8, 3), gaussian(6, 3) + 1, gaussian(3, 3, 3))

    outs, ins, pictures = cp_factors(kernel, 3, rounds=300)

    slow = sum(
        outs[:, r][:, None, None, None] * ins[:, r][None, :, None, None] * pictures[r][None, None] for r in range(3)
    )
    assert torch.allclose(slow, kernel, atol=0.02 * kernel.abs().max())
    assert torch.allclose(cp_product(outs, ins, pictures), slow, atol=1e-5)
    assert cp_numbers((8, 6, 3, 3), 3) == outs.numel() + ins.numel() + pictures.numel()


def test_more_products_leave_less_error_and_two_runs_are_equal():
    kernel = gaussian(6, 5, 3, 3)

    errors = [float((kernel - cp_product(*cp_factors(kernel, rank))).norm()) for rank in (1, 4, 12)]

    assert errors == sorted(errors, reverse=True)
    assert all(torch.equal(one, two) for one, two in zip(cp_factors(kernel, 4), cp_factors(kernel, 4), strict=True))
