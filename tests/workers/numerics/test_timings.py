"""What a table of timings says, against numpy the slow way."""

import numpy as np
import pytest

from workers.numerics.bootstrap import resampled_rounds
from workers.numerics.timings import ratio_of_medians, tails


def table(seed: int, *, sittings: int = 4, rounds: int = 9, runs: int = 5, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).gamma(30, 1 / 30, size=(sittings, rounds, runs))


def test_tails_are_percentiles_over_all_single_runs():
    times = table(1)

    assert tails(times) == pytest.approx(tuple(np.percentile(times.ravel(), [50, 95, 99])))


def test_the_ratio_and_its_interval_agree_with_drawing_rounds_one_by_one():
    above, below = table(1, runs=6, scale=3.0), table(2)

    value, low, high = ratio_of_medians(above, below, seed=5, resamples=200)

    slow = []
    for counts in resampled_rounds(4, 9, seed=5, resamples=200):
        medians = [np.median(np.repeat(times.reshape(36, -1), counts, axis=0)) for times in (above, below)]
        slow.append(medians[0] / medians[1])
    assert value == pytest.approx(np.median(above) / np.median(below))
    assert (low, high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_what_slows_a_whole_round_down_does_not_widen_the_ratio():
    weather = np.random.default_rng(3).uniform(1, 2, size=(4, 9, 1))
    above, below = 2 * weather * np.ones((4, 9, 5)), weather * np.ones((4, 9, 5))

    assert ratio_of_medians(above, below, seed=1) == pytest.approx((2, 2, 2))


def test_the_interval_covers_the_true_ratio_about_95_times_in_100():
    covered = 0
    for seed in range(150):
        luck = np.random.default_rng(seed).normal(1, 0.03, size=(2, 12, 1, 1))  # each session has its own speed
        above = table(1000 + seed, sittings=12, scale=1.5) * luck[0]
        below = table(5000 + seed, sittings=12) * luck[1]
        _, low, high = ratio_of_medians(above, below, seed=seed, resamples=300)
        covered += low <= 1.5 <= high

    assert 0.88 <= covered / 150 <= 0.99


def test_tables_of_different_rounds_are_refused():
    with pytest.raises(ValueError, match="same rounds"):
        ratio_of_medians(table(1), table(1, rounds=8), seed=0)
