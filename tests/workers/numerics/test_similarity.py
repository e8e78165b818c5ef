"""Alignment against its definition by kernels, and at cases whose value is known."""

import pytest
import torch

from workers.numerics.similarity import linear_cka


def gaussian(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_layer_turned_scaled_and_moved_is_the_same_layer():
    x = gaussian(40, 6)
    turn = torch.linalg.qr(gaussian(6, 6, seed=2)).Q

    assert linear_cka(x, 3 * x @ turn + 7) == pytest.approx(1)


def test_it_is_the_normalised_dependence_of_two_centred_kernels():
    x, y = gaussian(12, 4), gaussian(12, 7, seed=2)
    centre = torch.eye(12, dtype=torch.float64) - 1 / 12

    def dependence(one, other):
        return torch.trace(one @ one.T @ centre @ other @ other.T @ centre)

    slow = dependence(x, y) / (dependence(x, x) * dependence(y, y)).sqrt()
    assert linear_cka(x, y) == pytest.approx(float(slow))


def test_what_does_not_vary_is_like_nothing():
    assert linear_cka(torch.ones(9, 3), gaussian(9, 3)) == 0


def test_unrelated_layers_over_many_samples_are_hardly_alike():
    assert linear_cka(gaussian(4000, 3), gaussian(4000, 3, seed=2)) < 0.02
