"""Resampling against theory: standard errors, coverage, and how blocks are drawn."""

import numpy as np
import pytest

from workers.numerics.bootstrap import percentiles, resampled_counts, resampled_means, resampled_rounds


def test_resampled_means_spread_as_the_standard_error_says():
    values = np.random.default_rng(1).normal(5, 2, size=(400, 1))

    means = resampled_means(values, seed=3)

    assert means.shape == (1000, 1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.1)


def test_columns_are_drawn_together():
    first = np.random.default_rng(2).normal(size=300)
    values = np.stack([first, first + 1], axis=1)

    means = resampled_means(values, seed=3)

    np.testing.assert_allclose(means[:, 1] - means[:, 0], 1)


def test_a_bootstrap_is_the_same_under_the_same_seed_and_another_under_another():
    values = np.random.default_rng(2).normal(size=(50, 1))

    assert np.array_equal(resampled_means(values, seed=7), resampled_means(values, seed=7))
    assert not np.array_equal(resampled_means(values, seed=7), resampled_means(values, seed=8))


def test_many_samples_are_drawn_in_portions_of_the_same_total():
    values = np.random.default_rng(2).normal(size=(30_000, 1))

    assert resampled_means(values, seed=1, resamples=150).shape == (150, 1)


def test_the_percentile_interval_of_a_mean_covers_it_about_95_times_in_100():
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        low, high = percentiles(resampled_means(rng.normal(3, 1, size=(150, 1)), seed=seed, resamples=400)[:, 0])
        covered += low <= 3 <= high

    assert 0.90 <= covered / 200 <= 0.99


def test_counts_are_those_of_all_samples_and_scatter_as_a_multinomial():
    shares = np.array([0.7, 0.2, 0.1])

    counts = np.concatenate(list(resampled_counts(shares, 500, seed=4)))

    assert counts.shape == (1000, 3)
    assert set(counts.sum(axis=1)) == {500}
    np.testing.assert_allclose(counts.mean(axis=0), 500 * shares, rtol=0.02)
    np.testing.assert_allclose(counts.var(axis=0), 500 * shares * (1 - shares), rtol=0.2)


def test_every_resample_holds_as_many_rounds_as_were_measured():
    drawn = resampled_rounds(5, 12, seed=1)

    assert drawn.shape == (1000, 60)
    assert set(drawn.sum(axis=1)) == {60}
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.2)


def test_a_sitting_is_drawn_whole_or_not_at_all():
    drawn = resampled_rounds(6, 8, seed=1).reshape(1000, 6, 8).sum(axis=2)

    assert set(np.unique(drawn % 8)) == {0}
    assert (drawn == 0).any(axis=1).mean() > 0.9


def test_neighbouring_rounds_are_drawn_together():
    drawn = resampled_rounds(1, 64, seed=1).astype(float)

    beside = np.corrcoef(drawn[:, 10], drawn[:, 11])[0, 1]
    apart = np.corrcoef(drawn[:, 10], drawn[:, 40])[0, 1]

    assert beside > 0.5
    assert abs(apart) < 0.2
