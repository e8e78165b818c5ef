"""Classes and macro F1 against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workers.numerics.classes import NO_CLASS, Confusions, said_classes


def test_the_highest_score_names_the_class():
    assert said_classes(np.array([[0.1, 0.9], [2.0, -1.0]])).tolist() == [1, 0]


def test_class_numbers_name_themselves():
    assert said_classes(np.array([3.0, 0.0, 2.0])).tolist() == [3, 0, 2]


@pytest.mark.parametrize("outputs", [np.array([[np.nan, 1.0], [0.0, 1.0]]), np.array([np.nan, 1.0])])
def test_not_a_number_is_no_answer(outputs):
    assert said_classes(outputs).tolist() == [NO_CLASS, 1]


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="classes"):
        said_classes(np.zeros((2, 3, 4)))


@pytest.mark.parametrize(("classes", "n"), [(2, 40), (5, 300), (30, 200)])
def test_macro_f1_agrees_with_scikit_learn(classes, n):
    rng = np.random.default_rng(classes)
    labels, first, second = (rng.integers(0, classes, n) for _ in range(3))
    seen = Confusions(labels, first, second)

    found = [float(seen.macro_f1(seen.counts[None], network)[0]) for network in (0, 1)]

    known = np.unique(labels)
    expected = [f1_score(labels, said, labels=known, average="macro") for said in (first, second)]
    assert found == pytest.approx(expected)


def test_a_class_that_is_said_but_never_true_lowers_the_others_and_is_not_averaged():
    labels, said = np.array([0, 0, 1, 1]), np.array([0, 7, 1, NO_CLASS])
    seen = Confusions(labels, said)

    assert seen.macro_f1(seen.counts[None], 0)[0] == pytest.approx(2 / 3)


def test_counts_weigh_as_if_samples_were_repeated():
    rng = np.random.default_rng(1)
    labels, said = rng.integers(0, 3, 30), rng.integers(0, 3, 30)
    seen = Confusions(labels, said)
    counts = rng.integers(1, 4, size=(5, len(seen.counts)))

    found = seen.macro_f1(counts, 0)

    for row, weights in enumerate(counts):
        true, said_ = (np.repeat(seen.cells[:, column], weights) for column in (0, 1))
        assert found[row] == pytest.approx(f1_score(true, said_, average="macro"))
