"""The course of a day has the peak that was asked for."""

import pytest

from workers.numerics.day import sharpened
from workers.serving.workload import SHOP_DAY


@pytest.mark.parametrize("peak", [1, 1.2, 3, 12])
def test_mean_and_peak_are_as_asked(peak):
    day = sharpened(SHOP_DAY, peak=peak)

    assert day.mean() == pytest.approx(1)
    assert day.max() == pytest.approx(peak)


def test_hours_keep_their_order_and_scale_does_not_matter():
    day = sharpened(SHOP_DAY, peak=2)

    assert list(day.argsort(kind="stable")) == sorted(range(24), key=lambda hour: SHOP_DAY[hour])
    assert sharpened(tuple(5 * each for each in SHOP_DAY), peak=2) == pytest.approx(day)


def test_a_flat_day_can_be_given_no_peak():
    with pytest.raises(ValueError, match="allows a peak between"):
        sharpened((1.0,) * 24, peak=2)


def test_hours_without_traffic_set_a_least_peak():
    half = (0.0,) * 12 + (0.5,) * 11 + (1.0,)

    with pytest.raises(ValueError, match="between 2 and 24"):
        sharpened(half, peak=1.5)
    assert sharpened(half, peak=4).max() == pytest.approx(4)
