import numpy as np
import pytest

from workers.numerics.masks import keep_from, keep_in_groups, keep_largest, threshold


def test_keep_largest_keeps_ties_at_the_threshold():
    weight = np.array([1.0, -2.0, 2.0, 0.5])

    mask = keep_largest(weight, share=0.25)

    assert mask.tolist() == [False, True, True, False]


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.77, 1.0])
def test_keep_largest_agrees_with_sorting(share):
    weight = np.random.default_rng(0).normal(size=(7, 5, 3))
    kept = max(1, round(weight.size * share))
    expected = set(sorted(np.abs(weight).ravel(), reverse=True)[:kept])

    mask = keep_largest(weight, share=share)

    assert mask.shape == weight.shape
    assert set(np.abs(weight[mask])) == expected


def test_threshold_looks_at_all_arrays_together():
    assert threshold([np.array([[3.0, -9.0]]), np.array([5.0, 1.0])], share=0.5) == 5.0


def test_at_least_one_entry_stays():
    assert keep_largest(np.array([1.0, 2.0, 3.0]), share=0.001).tolist() == [False, False, True]


def test_keep_from_includes_its_limit():
    assert keep_from(np.array([-2.0, 1.9]), 2.0).tolist() == [True, False]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        keep_largest(np.ones(3), share=share)


def test_an_empty_array_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        keep_largest(np.ones(0), share=0.5)


def kept_slowly(row, keep, group):
    """Mark entries of a list, run by run, taking the largest left until enough are taken."""
    marks = [False] * len(row)
    for begin in range(0, len(row), group):
        left = list(range(begin, min(begin + group, len(row))))
        for _ in range(min(keep, len(left))):
            best = max(left, key=lambda index: (abs(row[index]), -index))
            marks[best] = True
            left.remove(best)
    return marks


@pytest.mark.parametrize(("keep", "group"), [(2, 4), (1, 4), (4, 8), (3, 5)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_keep_in_groups_agrees_with_a_slow_loop(keep, group, axis):
    weight = np.random.default_rng(2).integers(-5, 6, size=(6, 11, 7)).astype(np.float32)  # with many ties

    mask = keep_in_groups(weight, keep=keep, group=group, axis=axis)

    rows = np.moveaxis(weight, axis, -1).reshape(-1, weight.shape[axis])
    marks = np.moveaxis(mask, axis, -1).reshape(-1, weight.shape[axis])
    assert marks.tolist() == [kept_slowly(row.tolist(), keep, group) for row in rows]


@pytest.mark.parametrize(("keep", "group"), [(0, 4), (4, 4), (5, 4)])
def test_a_pattern_that_keeps_nothing_or_everything_is_refused(keep, group):
    with pytest.raises(ValueError, match="keep"):
        keep_in_groups(np.ones((4, 4)), keep=keep, group=group, axis=0)
