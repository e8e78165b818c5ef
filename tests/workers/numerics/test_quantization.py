import numpy as np
import pytest
from scipy.stats import entropy

from workers.numerics.quantization import MOST_CUT, counts, entropy_range, mse_range, percentile_range

BINS = 2048


def histogram(values):
    low, high = float(values.min()), float(values.max())
    return counts(values, low=low, high=high, bins=BINS), low, high


def test_counts_agree_with_numpys_histogram():
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    hist, low, high = histogram(values)

    expected, _ = np.histogram(values, BINS, (low, high))

    assert hist.sum() == len(values)
    assert np.abs(np.cumsum(hist) - np.cumsum(expected)).max() <= 20  # float32 rounding moves values at bin edges


@pytest.mark.parametrize("percentile", [99.99, 99.0, 95.0])
def test_percentile_range_agrees_with_numpys_quantiles(percentile):
    values = np.random.default_rng(1).normal(size=200_000).astype(np.float32)
    hist, low, high = histogram(values)
    cut = (100 - percentile) / 2

    found = percentile_range(hist, low=low, high=high, percentile=percentile)

    width = (high - low) / BINS
    np.testing.assert_allclose(found, np.percentile(values, [cut, 100 - cut]), atol=1.5 * width)


def test_a_hundred_percent_keeps_everything():
    hist, low, high = histogram(np.random.default_rng(2).normal(size=1000).astype(np.float32))

    assert percentile_range(hist, low=low, high=high, percentile=100) == pytest.approx((low, high))


def test_nothing_is_cut_at_the_end_where_zeros_pile_up():
    values = np.maximum(np.random.default_rng(3).normal(size=50_000), 0).astype(np.float32)
    hist, low, high = histogram(values)

    found = percentile_range(hist, low=low, high=high, percentile=99)

    assert found[0] == 0
    assert found[1] < high


def test_entropy_range_cuts_a_lonely_outlier():
    body = np.random.default_rng(4).normal(size=100_000)
    hist, low, high = histogram(np.append(body, 20.0).astype(np.float32))

    found = entropy_range(hist, low=low, high=high)

    assert found[1] < 10
    assert found[0] == pytest.approx(low, abs=0.05)


def test_entropy_range_keeps_a_flat_distribution_whole():
    hist, low, high = histogram(np.random.default_rng(5).uniform(-1, 1, 500_000).astype(np.float32))

    assert entropy_range(hist, low=low, high=high) == pytest.approx((low, high), abs=0.02)


def test_entropy_range_never_cuts_more_than_its_limit():
    spikes = np.repeat(np.linspace(0.1, 0.4, 24), 4000)  # what a constant background leaves behind a convolution
    tail = np.random.default_rng(6).uniform(0, 4, 10_000)
    values = np.concatenate([spikes, tail]).astype(np.float32)
    hist, low, high = histogram(values)

    found = entropy_range(hist, low=low, high=high)

    assert np.mean(values > found[1]) <= MOST_CUT


def test_the_divergence_is_the_kullback_leibler_divergence_of_the_definition():
    from workers.numerics.quantization import _divergence

    hist = np.random.default_rng(7).integers(1, 50, 512)
    first, last, levels = 64, 448, 128
    clipped = hist[first:last].astype(float)
    clipped[0] += hist[:first].sum()
    clipped[-1] += hist[last:].sum()
    means = [hist[first + 3 * level : first + 3 * level + 3].mean() for level in range(levels)]  # 384 bins, 128 levels

    found = _divergence(hist, first, last, levels)

    assert found == pytest.approx(entropy(clipped, np.repeat(means, 3)), rel=1e-4)


@pytest.mark.parametrize("percentile", [0, -1, 100.1])
def test_a_percentile_outside_its_range_is_refused(percentile):
    with pytest.raises(ValueError, match="percentile"):
        percentile_range(np.ones(4, np.int64), low=0, high=1, percentile=percentile)


def rounded_slowly(value: float, low: float, high: float, levels: int) -> float:
    """The nearest of ``levels`` equal steps, one of them zero, as onnxruntime lays them."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (levels - 1)
    zero = round(-low / step)
    return (min(max(round(value / step) + zero, 0), levels - 1) - zero) * step


def loss_slowly(values, low, high, levels):
    return sum((rounded_slowly(float(value), low, high, levels) - float(value)) ** 2 for value in values)


@pytest.mark.parametrize("levels", [16, 256])
def test_mse_range_is_no_worse_than_any_range_of_a_coarse_grid(levels):
    values = np.random.default_rng(8).laplace(size=3000).astype(np.float32)
    hist, low, high = histogram(values)

    found = mse_range(hist, low=low, high=high, levels=levels)

    shares = np.linspace(0.2, 1, 9)
    least = min(loss_slowly(values, low * a, high * b, levels) for a in shares for b in shares)
    assert loss_slowly(values, *found, levels) <= 1.05 * least


def test_mse_range_keeps_an_end_at_zero():
    values = np.maximum(np.random.default_rng(9).normal(size=5000), 0).astype(np.float32)
    hist, low, high = histogram(values)

    found = mse_range(hist, low=low, high=high)

    assert found[0] == 0
    assert 0.5 * high < found[1] <= high


def test_mse_range_cuts_a_lonely_outlier_at_few_levels():
    body = np.random.default_rng(10).normal(size=50_000)
    hist, low, high = histogram(np.append(body, 40.0).astype(np.float32))

    assert mse_range(hist, low=low, high=high, levels=16)[1] < 8
