import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from workers.metrics.accuracy import Accuracy
from workers.numerics.intervals import paired_difference, wilson


def scores_for(classes: list[int]) -> np.ndarray:
    return np.eye(3)[classes] * 5


def test_it_agrees_with_scikit_learn_and_wilson():
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=(250, 6)), rng.integers(0, 6, 250)

    found = Accuracy().measure(scores, labels, seed=0)

    assert found.value == accuracy_score(labels, scores.argmax(axis=1))
    assert (found.low, found.high) == wilson(round(found.value * 250), 250)


def test_a_perfect_score_on_few_samples_is_not_certainty():
    found = Accuracy().measure(scores_for([0, 1, 2, 0]), np.array([0, 1, 2, 0]), seed=0)

    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(4 / (4 + 3.8415), abs=1e-4)


def test_no_answer_is_a_wrong_answer():
    scores = scores_for([0, 1])
    scores[0, 2] = np.nan

    assert Accuracy().measure(scores, np.array([0, 1]), seed=0).value == 0.5


def test_a_difference_counts_only_the_samples_that_changed_sides():
    labels = np.array([0, 1, 2, 0, 1, 2])
    before = scores_for([0, 1, 0, 0, 0, 1])
    after = scores_for([0, 0, 2, 0, 1, 0])

    found = Accuracy().compare(before, after, labels, seed=0)

    assert found.value == pytest.approx(1 / 6)
    assert (found.low, found.high) == paired_difference(2, 1, 6)
    assert not found.distinguishable
