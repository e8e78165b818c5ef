"""AUC and average precision against scikit-learn, DeLong's variance written out, and simulated truth."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from workers.contract import Contract, OutputSpec, Task
from workers.evaluation.predictions import Predictions, left_out
from workers.metrics.ap import Ap
from workers.metrics.auc import Auc
from workers.numerics.rank_curves import auc, average_precision, rank_scores

SOURCES = {"auc": roc_auc_score, "ap": average_precision_score}
METRICS = {"auc": Auc(), "ap": Ap()}


def binary(n: int, share: float, seed: int, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Two normal scores a distance apart, as logits of two classes."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(int)
    labels[:2] = 0, 1
    scores = rng.normal(size=n) + apart * labels
    return np.stack([np.zeros(n), scores], axis=1), labels


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("places", [1, 8])
def test_two_classes_agree_with_scikit_learn_ties_or_not(name, places):
    outputs, labels = binary(500, 0.2, seed=1)
    outputs = outputs.round(places)

    assert METRICS[name].measure(outputs, labels, seed=0).value == pytest.approx(SOURCES[name](labels, outputs[:, 1]))


@pytest.mark.parametrize("name", METRICS)
def test_more_classes_are_the_mean_of_one_against_the_rest(name):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 600)
    logits = rng.normal(size=(600, 5)) + 1.5 * np.eye(5)[labels]  # the fifth class never occurs
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = np.mean([SOURCES[name](labels == one, shares[:, one]) for one in range(4)])

    assert METRICS[name].measure(logits, labels, seed=0).value == pytest.approx(wanted)
    assert METRICS[name].measure(shares, labels, seed=0).value == pytest.approx(wanted)


def test_sure_logits_keep_their_order_where_shares_would_round_to_one():
    ranks = rank_scores(np.array([[0.0, 60.0], [0.0, 50.0], [70.0, 0.0]]))

    np.testing.assert_allclose(ranks[:, 1], [60, 50, -70])


def test_the_variance_of_auc_is_delongs():
    outputs, labels = binary(80, 0.4, seed=3)
    scores, positive = outputs[:, 1], labels == 1

    beats = (scores[positive][:, None] > scores[~positive][None]).astype(float)
    m, n = beats.shape
    delong = beats.mean(axis=1).var(ddof=1) / m + beats.mean(axis=0).var(ddof=1) / n
    _, influence = auc(scores, positive)

    assert np.sum(np.square(influence)) == pytest.approx(delong)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("curve", [auc, average_precision])
def test_an_influence_is_what_the_figure_moves_by_when_an_answer_counts_a_little_more(curve):
    outputs, labels = binary(40, 0.4, seed=4)
    scores, positive = outputs[:, 1], labels == 1
    _, influence = curve(scores, positive)
    more, source = 1e-6, roc_auc_score if curve is auc else average_precision_score
    weights = np.ones(40)
    for place in (0, 7, 23):
        weights[place] += more
        moved = (source(positive, scores, sample_weight=weights) - source(positive, scores)) / more
        weights[place] = 1
        group = positive.sum() if positive[place] else (~positive).sum()
        unscaled = influence[place] / (np.sqrt(group / (group - 1)) if curve is auc else 1)
        assert unscaled == pytest.approx(moved, rel=1e-3, abs=1e-6)


def truth(name: str, share: float, apart: float = 1.5) -> float:
    """The figure of infinitely many answers, by integration over thresholds."""
    if name == "auc":
        return norm.cdf(apart / np.sqrt(2))
    level = np.linspace(-8, 10, 20_001)
    hits, false = share * norm.sf(level - apart), (1 - share) * norm.sf(level)
    return float(np.trapezoid(norm.pdf(level - apart) * hits / (hits + false), level))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("share", [0.3, 0.05])
def test_its_interval_covers_the_truth_about_95_times_in_100(name, share):
    found = [METRICS[name].measure(*binary(600, share, seed), seed=0) for seed in range(300)]

    assert np.mean([one.low <= truth(name, share) <= one.high for one in found]) >= 0.89


@pytest.mark.parametrize("name", METRICS)
def test_a_paired_difference_is_tighter_than_two_intervals_and_covers_zero_between_equals(name):
    wrong = 0
    for seed in range(150):
        outputs, labels = binary(400, 0.3, seed)
        noise = np.random.default_rng(seed + 1000).normal(0, 0.3, (2, 400))
        before, after = (np.stack([np.zeros(400), outputs[:, 1] + one], axis=1) for one in noise)
        found = METRICS[name].compare(before, after, labels, seed=0)
        wrong += found.distinguishable

    alone = METRICS[name].measure(before, labels, seed=0)
    assert wrong / 150 <= 0.1
    assert found.high - found.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize("name", METRICS)
def test_scores_without_a_mistake_on_few_samples_are_not_certainty(name):
    labels = np.repeat([0, 1], 15)

    found = METRICS[name].measure(np.eye(2)[labels] * 4, labels, seed=0)

    assert found.value == found.high == 1
    assert found.low == pytest.approx(15 / (15 + 3.8415), abs=1e-4)  # Wilson's for 15 of 15


@pytest.mark.parametrize("name", METRICS)
def test_no_answer_is_a_wrong_answer(name):
    labels = np.repeat([0, 1], 15)
    outputs = np.eye(2)[labels] * 4.0
    outputs[20] = np.nan

    assert METRICS[name].measure(outputs, labels, seed=0).value < 1


@pytest.mark.parametrize("name", METRICS)
def test_it_is_not_measured_where_it_is_not_defined(name):
    scores = np.eye(3)[[0, 1, 1]]

    assert METRICS[name].applies(scores, np.array([0, 1, 1]))
    assert not METRICS[name].applies(scores, np.array([1, 1, 1]))  # one class only
    assert not METRICS[name].applies(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]))  # class numbers, no scores
    crowd = np.broadcast_to(np.float32(0), (20_001, 1000))
    assert not METRICS[name].applies(crowd, np.arange(20_001) % 2)  # more scores than can be ordered in time


@pytest.mark.parametrize("name", METRICS)
def test_a_thousand_classes_are_the_mean_over_those_that_occur(name):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 150, 400)
    logits = rng.normal(size=(400, 1000)) + 3 * np.eye(1000)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = np.mean([SOURCES[name](labels == one, shares[:, one]) for one in np.unique(labels)])

    found = METRICS[name].measure(logits, labels, seed=0)

    assert METRICS[name].applies(logits, labels)
    assert found.value == pytest.approx(wanted) and found.low < found.value < found.high


@pytest.mark.parametrize(
    ("outputs", "labels", "why"),
    [
        (np.eye(3)[[0, 1, 1]], [1, 1, 1], "all answers are of one class"),
        (np.array([0.0, 1.0, 1.0]), [0, 1, 1], "the network gives classes"),
        (np.broadcast_to(np.float32(0), (20_001, 1000)), [0, 1] * 10_000 + [0], "20,001,000 scores"),
    ],
)
def test_a_report_says_why_they_are_not_there(outputs, labels, why):
    meaning = "labels" if outputs.ndim == 1 else "logits"
    contract = Contract(task=Task.CLASSIFICATION, inputs=(), outputs=(OutputSpec(name="y", meaning=meaning),))

    said = left_out(Predictions(outputs, np.array(labels), np.arange(len(labels))), contract)

    assert [note.partition(" was left out: ")[0] for note in said] == ["Average precision", "AUC"]
    assert all(why in note for note in said)
    assert left_out(Predictions(np.eye(3), np.arange(3), np.arange(3)), contract) == ()
