"""Scores against sums written out by hand."""

import pytest
import torch

from workers.numerics.ranking import distances_to_others, expendable, influence, magnitudes

FILTERS = torch.tensor([[1.0, -2.0], [3.0, 0.0], [0.0, 0.5]])


@pytest.mark.parametrize(("power", "expected"), [(1, [3.0, 3.0, 0.5]), (2, [5.0, 9.0, 0.25])])
def test_magnitudes_are_sums_over_each_filter(power, expected):
    assert magnitudes(FILTERS, power=power).tolist() == expected


def test_influence_is_the_first_order_change_of_the_loss():
    filters = FILTERS.clone().requires_grad_()
    loss = (filters * torch.tensor([1.0, 2.0])).sum()  # linear: the first order is all there is
    loss.backward()

    without = [(filters[i] * torch.tensor([1.0, 2.0])).sum().item() ** 2 for i in range(3)]
    assert influence(FILTERS, filters.grad).tolist() == pytest.approx(without)


def test_the_filter_in_the_middle_is_nearest_to_the_others():
    line = torch.tensor([[0.0], [1.0], [2.1], [3.0], [4.0]])

    assert distances_to_others(line).argmin().item() == 2
    assert distances_to_others(line)[0].item() == pytest.approx(0 + 1 + 2.1 + 3 + 4, rel=1e-5)


def test_every_group_loses_the_same_positions():
    scores = torch.tensor([1.0, 5.0, 9.0, 6.0, 1.0, 9.0])  # means of the two groups: 3.5, 3, 9

    assert expendable(scores, count=2, groups=2).tolist() == [1, 4]
    assert expendable(scores, count=2).tolist() == [0, 4]
