import time

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workers.metrics.macro_f1 import MacroF1


def made(n: int, right: float, seed: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and class numbers that are right with a probability."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    wrong = (labels + rng.integers(1, classes, n)) % classes
    return labels, np.where(rng.random(n) < right, labels, wrong).astype(float)


def test_it_agrees_with_scikit_learn():
    labels, said = made(400, 0.8, seed=1)

    found = MacroF1().measure(said, labels, seed=0)

    assert found.value == pytest.approx(f1_score(labels, said, average="macro"))


@pytest.mark.parametrize(("n", "right", "classes"), [(360, 0.97, 10), (360, 0.995, 10), (600, 0.8, 60)])
def test_its_interval_covers_the_truth_about_95_times_in_100(n, right, classes):
    covered = 0
    for seed in range(120):
        labels, said = made(n, right, seed, classes)
        found = MacroF1().measure(said, labels, seed=seed)
        covered += found.low <= right <= found.high  # balanced classes and even mistakes: macro F1 is the share right

    assert covered / 120 >= 0.88


def test_no_mistake_on_few_samples_is_not_certainty():
    labels, said = made(50, 1.0, seed=1)

    found = MacroF1().measure(said, labels, seed=0)

    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(50 / (50 + 3.8415), abs=1e-4)


def test_a_paired_difference_is_tighter_than_two_intervals():
    labels, before = made(1000, 0.9, seed=1)
    after = before.copy()
    after[:30] = (labels[:30] + 1) % 10

    found = MacroF1().compare(before, after, labels, seed=0)
    alone = MacroF1().measure(before, labels, seed=0)

    assert found.value == pytest.approx(
        f1_score(labels, after, average="macro") - f1_score(labels, before, average="macro")
    )
    assert found.distinguishable
    assert found.high - found.low < alone.high - alone.low


def test_ten_thousand_samples_take_a_fraction_of_a_second():
    labels, said = made(10_000, 0.9, seed=1)
    begin = time.process_time()

    MacroF1().measure(said, labels, seed=0)

    assert time.process_time() - begin < 3  # about 0.02 s; drawing samples one by one takes a minute
