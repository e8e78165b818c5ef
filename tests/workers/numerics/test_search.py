import numpy as np
import pytest

from workers.numerics.search import first_passing


@pytest.mark.parametrize("count", [1, 2, 3, 10, 63, 64, 65])
def test_it_finds_what_a_walk_from_the_left_finds(count):
    for border in range(count + 1):
        walked = next((number for number in range(count) if number >= border), None)

        assert first_passing(count, lambda number, border=border: number >= border) == walked


def test_it_asks_few_questions():
    asked = []

    first_passing(1000, lambda number: asked.append(number) or number >= 700)

    assert len(asked) <= 13


def test_what_it_returns_has_passed_even_where_order_is_broken():
    answers = np.random.default_rng(0).random(50) < 0.5
    answers[-1] = True

    assert answers[first_passing(50, lambda number: bool(answers[number]))]


def test_nothing_passes_in_an_empty_sequence():
    assert first_passing(0, lambda number: True) is None
