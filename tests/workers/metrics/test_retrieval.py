"""MRR and recall at k against a slow loop over queries and documents."""

import math

import numpy as np
import pytest

from workers.contract import Contract, OutputSpec, Task
from workers.evaluation.predictions import Predictions, chance_level, compare, score
from workers.metric import for_contract
from workers.metrics.mrr import MeanReciprocalRank
from workers.metrics.recall_at_1 import RecallAt1
from workers.metrics.recall_at_5 import RecallAt5
from workers.metrics.recall_at_10 import RecallAt10
from workers.numerics.retrieval import ranks

CONTRACT = Contract(task=Task.EMBEDDING, inputs=(), outputs=(OutputSpec(name="e", meaning="embedding"),))


def pairs(count: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of ``count`` queries and documents, one after the other, and their labels."""
    rng = np.random.default_rng(seed)
    documents = rng.normal(size=(count, 8))
    queries = documents + noise * rng.normal(size=(count, 8))
    vectors = np.stack([queries, documents], axis=1).reshape(-1, 8).astype(np.float32)
    return vectors, np.stack([np.repeat(np.arange(count), 2), np.tile([0, 1], count)], axis=1)


def slow_ranks(vectors: np.ndarray, labels: np.ndarray) -> list[int]:
    documents = {number: vector for vector, (number, is_document) in zip(vectors, labels, strict=True) if is_document}

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    found = []
    for vector, (number, is_document) in zip(vectors, labels, strict=True):
        if not is_document and number in documents:
            own = cosine(vector, documents[number])
            found.append(1 + sum(cosine(vector, other) > own for key, other in documents.items() if key != number))
    return found


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_ranks_are_those_of_a_slow_loop(noise):
    vectors, labels = pairs(40, noise=noise)

    found = ranks(vectors, labels)

    expected = slow_ranks(vectors, labels)
    assert found.tolist() == expected
    mrr = MeanReciprocalRank().measure(vectors, labels, seed=0)
    assert mrr.value == pytest.approx(sum(1 / rank for rank in expected) / 40)
    for k, recall in ((1, RecallAt1()), (5, RecallAt5()), (10, RecallAt10())):
        assert recall.measure(vectors, labels, seed=0).value == sum(rank <= k for rank in expected) / 40


def test_recall_says_nothing_where_there_are_no_more_documents_than_places():
    names = ["mrr", "recall_at_1", "recall_at_5", "recall_at_10"]

    for count, defined in ((11, names), (10, names[:3]), (5, names[:2])):
        vectors, labels = pairs(count, noise=1.0)
        found = score(Predictions(vectors, labels, np.arange(len(labels))), CONTRACT, seed=0)
        assert list(found) == defined
    assert [metric.name for metric in for_contract(CONTRACT)] == names


def test_a_tie_counts_against_the_network():
    vectors, labels = pairs(5, noise=0.1)
    vectors[:] = 1.0

    assert ranks(vectors, labels).tolist() == [5] * 5


def test_a_document_that_stands_there_twice_is_right_both_times():
    vectors, labels = pairs(4, noise=0.0)
    vectors[6:], labels[6:, 0] = vectors[:2], 0

    assert ranks(vectors, labels).tolist() == [1, 1, 1, 1]


def test_a_query_whose_document_was_cut_off_is_left_out():
    vectors, labels = pairs(6, noise=0.1)

    assert len(ranks(vectors[:-1], labels[:-1])) == 5


def test_vectors_of_not_a_number_find_nothing():
    vectors, labels = pairs(6, noise=0.1)

    assert (ranks(np.full_like(vectors, np.nan), labels) > 1).all()


def test_differences_are_paired_and_have_the_sign_of_the_gain():
    good, labels = pairs(200, noise=0.2)
    bad, _ = pairs(200, noise=2.0)
    rows = np.arange(len(labels))

    found = compare(Predictions(bad, labels, rows), Predictions(good, labels, rows), CONTRACT, seed=0)

    for name in ("mrr", "recall_at_1", "recall_at_5", "recall_at_10"):
        before, after = (score(Predictions(one, labels, rows), CONTRACT, seed=0)[name].value for one in (bad, good))
        assert found[name].value == pytest.approx(after - before) and found[name].distinguishable
        assert found[name].low < found[name].value < found[name].high


def test_guessing_reaches_what_random_orders_reach():
    _, labels = pairs(50, noise=0.0)
    rng = np.random.default_rng(3)
    tried = [1 / (1 + rng.integers(50)) for _ in range(50_000)]

    assert chance_level(labels, CONTRACT) == pytest.approx(np.mean(tried), rel=0.05)
    assert chance_level(labels, CONTRACT, "recall_at_1") == 1 / 50
    assert chance_level(labels, CONTRACT, "recall_at_10") == pytest.approx(np.mean(np.array(tried) >= 1 / 10), rel=0.05)
