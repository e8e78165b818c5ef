"""Closed-form intervals against published values, slow searches and scipy."""

import numpy as np
import pytest
from scipy import optimize, stats

from workers.numerics.intervals import Z95, difference_like, paired_difference, share_like, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_values_of_newcombe_1998_table_i(hits, n, low, high):
    found = wilson(hits, n)

    assert found == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (7, 7), (180, 360), (359, 360), (9_971, 10_000)])
def test_wilson_agrees_with_scipy(hits, n):
    other = stats.binomtest(hits, n).proportion_ci(method="wilson")

    assert wilson(hits, n) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(hits, n):
    with pytest.raises(ValueError, match="expected"):
        wilson(hits, n)


def test_tango_gives_the_value_published_for_airway_reactivity_in_children():
    """Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33:2850: 1 and 7 discordant of 21."""
    assert paired_difference(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


def tango_by_search(gained: int, lost: int, n: int) -> tuple[float, float]:
    """The same interval the slow way: maximise the likelihood under each difference numerically, then search."""

    def score(delta: float) -> float:
        floor, ceiling = max(0.0, -delta), (1 - delta) / 2

        def unlikely(share_lost: float) -> float:
            shares = np.clip([share_lost + delta, share_lost, 1 - 2 * share_lost - delta], 1e-15, 1)
            return -float(np.dot([gained, lost, n - gained - lost], np.log(shares)))

        best = optimize.minimize_scalar(unlikely, bounds=(floor, ceiling), method="bounded", options={"xatol": 1e-13}).x
        return (gained - lost - n * delta) / np.sqrt(n * (2 * best + delta * (1 - delta)))

    middle = (gained - lost) / n
    low = optimize.brentq(lambda delta: score(delta) - Z95, -0.9999, middle - 1e-6)
    high = optimize.brentq(lambda delta: score(delta) + Z95, middle + 1e-6, 0.9999)
    return low, high


@pytest.mark.parametrize(("gained", "lost", "n"), [(4, 11, 60), (89, 131, 10_000), (3, 3, 360), (20, 1, 150)])
def test_tango_agrees_with_a_numeric_search(gained, lost, n):
    assert paired_difference(gained, lost, n) == pytest.approx(tango_by_search(gained, lost, n), abs=1e-5)


@pytest.mark.parametrize(
    ("gained", "lost"), [(gained, lost) for gained in range(0, 26, 5) for lost in range(0, 31, 3) if gained + lost]
)
def test_zero_lies_outside_exactly_when_mcnemars_test_rejects(gained, lost):
    low, high = paired_difference(gained, lost, 200)
    p_value = stats.chi2.sf((gained - lost) ** 2 / (gained + lost), df=1)

    assert (low > 0 or high < 0) == (p_value < 0.05)


@pytest.mark.parametrize(("gained", "lost"), [(0, 12), (3, 20), (30, 8), (5, 6), (10, 10)])
def test_clear_cases_agree_with_the_exact_test(gained, lost):
    low, high = paired_difference(gained, lost, 500)

    assert (low > 0 or high < 0) == (stats.binomtest(gained, gained + lost).pvalue < 0.05)


def test_nothing_changed_is_not_taken_for_certainty():
    square = Z95 * Z95

    assert paired_difference(0, 0, 360) == pytest.approx((-square / (360 + square), square / (360 + square)), abs=1e-9)


def test_swapping_before_and_after_mirrors_the_interval():
    low, high = paired_difference(9, 4, 120)

    assert paired_difference(4, 9, 120) == pytest.approx((-high, -low), abs=1e-9)


def test_everything_changed_ends_at_one_and_has_a_closed_form():
    low, high = paired_difference(10, 0, 10)

    assert high == 1
    assert low == pytest.approx((10 - Z95**2) / (10 + Z95**2))


def test_a_figure_like_a_share_with_the_spread_of_a_share_gets_wilsons_interval():
    spread = np.sqrt(0.9 * 0.1 / 250)

    assert share_like(0.9, spread, 400) == pytest.approx(wilson(225, 250), abs=1e-9)


@pytest.mark.parametrize(("value", "hits"), [(1.0, 80), (0.0, 0)])
def test_without_spread_the_samples_themselves_bound_a_figure(value, hits):
    assert share_like(value, 0.0, 80) == wilson(hits, 80)


def test_no_change_in_a_paired_figure_still_leaves_two_samples_of_doubt():
    low, high = difference_like(0.0, 0.0, 100)

    assert (low, high) == pytest.approx((-Z95 / 100, Z95 / 100))
