"""The cubic ramp at points whose values are known."""

import pytest

from workers.numerics.schedules import cubic_sparsity


@pytest.mark.parametrize(
    ("done", "expected"),
    [(-1, 0.0), (0, 0.0), (0.5, 0.8 * 7 / 8), (0.75, 0.8 * 63 / 64), (1, 0.8), (3, 0.8)],
)
def test_the_share_of_zeros_follows_the_cubic_curve(done, expected):
    assert cubic_sparsity(0.8, done) == pytest.approx(expected)


def test_the_ramp_may_start_above_nothing():
    assert cubic_sparsity(0.9, 0.5, first=0.5) == pytest.approx(0.9 - 0.4 / 8)
