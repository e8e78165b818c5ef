"""Labels per frame and per pixel: values against scikit-learn, intervals against a bootstrap over samples."""

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, jaccard_score, roc_auc_score

from workers.metric import metrics
from workers.numerics.clusters import spread_of, student

NAMES = ("accuracy", "macro_f1", "mean_iou", "auc", "ap")
SCORED = {"auc": roc_auc_score, "ap": average_precision_score}


def recordings(n: int, frames: int, seed: int, alike: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, frames, 2) and labels (n, frames); every recording is easier or harder as a whole."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, frames)) < 0.3).astype(int)
    ease = 1.5 + alike * rng.normal(size=(n, 1))
    scores = rng.normal(size=(n, frames)) + ease * (labels - 0.5)
    return np.stack([np.zeros_like(scores), scores], axis=2), labels


def value_of(name: str, outputs: np.ndarray, labels: np.ndarray) -> float:
    """The figure over all frames that have a label, by scikit-learn."""
    known = labels.ravel() >= 0
    true, scores = labels.ravel()[known], outputs.reshape(-1, 2)[known]
    if name in SCORED:
        return SCORED[name](true, scores[:, 1])
    said = scores.argmax(axis=1)
    if name == "accuracy":
        return accuracy_score(true, said)
    source = f1_score if name == "macro_f1" else jaccard_score
    return source(true, said, average="macro")


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_over_all_frames_that_have_a_label(name):
    outputs, labels = recordings(30, 20, seed=1)
    labels[3, 5:] = -1

    found = metrics()[name]().measure(outputs, labels, seed=0)

    assert found.value == pytest.approx(value_of(name, outputs, labels))
    assert found.n == 30 * 20 - 15


@pytest.mark.parametrize("name", NAMES)
def test_the_interval_is_as_wide_as_a_bootstrap_over_recordings_says(name):
    outputs, labels = recordings(60, 40, seed=2)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 60, 60) for _ in range(120)]
    spread = np.std([value_of(name, outputs[rows], labels[rows]) for rows in drawn])

    found = metrics()[name]().measure(outputs, labels, seed=0)

    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_a_paired_difference_is_over_recordings_too(name):
    before, labels = recordings(60, 40, seed=3)
    after = before + np.random.default_rng(4).normal(0, 0.8, (60, 1, 1)) * np.array([0, 1])
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 60, 60) for _ in range(120)]
    spread = np.std([value_of(name, after[r], labels[r]) - value_of(name, before[r], labels[r]) for r in drawn])

    found = metrics()[name]().compare(before, after, labels, seed=0)

    assert found.value == pytest.approx(value_of(name, after, labels) - value_of(name, before, labels))
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.25)


@pytest.mark.parametrize("name", NAMES)
def test_one_recording_says_nothing_about_the_next(name):
    found = metrics()[name]().measure(*recordings(1, 500, seed=5), seed=0)

    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 20, 400])
def test_few_samples_widen_as_students_t_does(degrees):
    assert student(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=0.01)


def test_influences_of_one_sample_are_added_before_they_are_squared():
    influence = np.array([0.1, 0.1, -0.1, -0.1])

    together = spread_of(influence, np.array([0, 0, 1, 1])) / student(1)
    alone = spread_of(influence) / student(3)

    assert together / alone == pytest.approx(np.sqrt(2 * 0.08 / (4 / 3 * 0.04)))
