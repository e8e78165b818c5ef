"""Ranks that were put in and buried in noise are found again."""

import pytest
import torch

from workers.numerics.bayes_rank import vbmf_rank


def gaussian(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rank_of(matrix):
    return vbmf_rank(torch.linalg.svdvals(matrix), tuple(matrix.shape))


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (64, 64), (32, 576)])
@pytest.mark.parametrize("rank", [1, 4, 9])
@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_the_rank_below_the_noise_is_found(shape, rank, noise):
    signal = gaussian(shape[0], rank) @ gaussian(rank, shape[1], seed=2)

    assert rank_of(signal + noise * gaussian(*shape, seed=3)) == rank


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_has_no_rank(seed):
    assert rank_of(gaussian(50, 80, seed=seed)) == 0


def test_without_noise_the_rank_is_the_rank():
    assert rank_of(gaussian(40, 5) @ gaussian(5, 50, seed=2)) == 5


def test_the_scale_of_the_numbers_does_not_matter():
    matrix = gaussian(40, 5) @ gaussian(5, 50, seed=2) + gaussian(40, 50, seed=3)

    assert rank_of(1e-4 * matrix) == rank_of(matrix) == rank_of(1e4 * matrix)


def test_a_signal_too_weak_to_see_is_taken_for_noise():
    weak = gaussian(50, 1) @ gaussian(1, 80, seed=2) * 0.05

    assert rank_of(weak + gaussian(50, 80, seed=3)) == 0


def test_nothing_has_rank_nothing():
    assert rank_of(torch.zeros(5, 7)) == 0
