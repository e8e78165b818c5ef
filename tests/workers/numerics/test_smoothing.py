import numpy as np
import pytest

from workers.numerics.smoothing import divisors


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.8])
def test_they_follow_the_papers_formula_up_to_a_common_factor(strength):
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0.1, 50, 40), rng.uniform(0.01, 2, 40)

    found = divisors(x, w, strength=strength)

    ratios = [value / (a**strength / b ** (1 - strength)) for value, a, b in zip(found, x, w, strict=True)]
    assert np.ptp(ratios) < 1e-9 * ratios[0]


def test_at_half_strength_both_sides_become_equally_large():
    rng = np.random.default_rng(1)
    x, w = rng.uniform(0.1, 50, 40), rng.uniform(0.01, 2, 40)

    found = divisors(x, w, strength=0.5)

    factor = (x / found) / (w * found)
    np.testing.assert_allclose(factor, factor[0])


def test_channels_that_are_always_zero_or_never_read_stay():
    found = divisors(np.array([0.0, 4.0, 4.0, 9.0]), np.array([1.0, 0.0, 1.0, 1.0]), strength=0.5)

    assert found[0] == found[1] == 1
    assert np.isfinite(found).all()
