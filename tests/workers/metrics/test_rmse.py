import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error

from workers.metrics.rmse import Rmse


def test_it_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    said, true = rng.normal(size=(2, 300))

    assert Rmse().measure(said, true, seed=0).value == pytest.approx(root_mean_squared_error(true, said))


def test_several_targets_are_averaged_within_a_sample():
    rng = np.random.default_rng(1)
    said, true = rng.normal(size=(2, 300, 3))

    expected = np.sqrt(np.mean((said - true) ** 2))

    assert Rmse().measure(said, true, seed=0).value == pytest.approx(expected)


def test_its_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(100):
        found = Rmse().measure(rng.normal(0, 2, 300), np.zeros(300), seed=seed)
        covered += found.low <= 2 <= found.high

    assert 0.88 <= covered / 100 <= 1


def test_a_small_paired_change_is_seen_through_large_errors():
    rng = np.random.default_rng(1)
    true = np.zeros(2000)
    before = rng.normal(0, 10, 2000)

    found = Rmse().compare(before, before * 1.01, true, seed=0)

    assert found.value == pytest.approx(0.01 * np.sqrt(np.mean(before**2)))
    assert found.distinguishable and found.low > 0
