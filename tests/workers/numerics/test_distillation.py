"""Losses against sums written out by hand."""

import math

import pytest
import torch

from workers.numerics.distillation import class_logits, cosine_distance, in_batch_contrast, soft_cross_entropy


def test_the_divergence_is_that_of_the_softened_probabilities_times_the_temperature_squared():
    student, teacher, temperature = [1.0, 0.0, -1.0], [2.0, 1.0, 0.5], 3.0
    p, q = (
        [math.exp(z / temperature) / sum(math.exp(y / temperature) for y in scores) for z in scores]
        for scores in (teacher, student)
    )

    loss = soft_cross_entropy(torch.tensor([student]), torch.tensor([teacher]), temperature=temperature)

    assert loss.item() == pytest.approx(9 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-4)


def test_equal_networks_have_nothing_to_learn():
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))

    assert soft_cross_entropy(scores, scores, temperature=2.0).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("probabilities", [False, True])
def test_one_column_is_the_score_of_the_second_of_two_classes(probabilities):
    logit = torch.tensor([[-0.7], [1.3]])

    scores = class_logits(torch.sigmoid(logit) if probabilities else logit, probabilities=probabilities)

    assert torch.allclose(scores.softmax(1)[:, 1:], torch.sigmoid(logit), atol=1e-5)
    assert torch.equal(class_logits(logit[:, 0], probabilities=False), class_logits(logit, probabilities=False))


def test_vectors_that_point_apart_are_two_apart():
    x = torch.tensor([[1.0, 2.0, 3.0]])

    assert cosine_distance(x, -5 * x).item() == pytest.approx(2.0, rel=1e-5)


def test_the_contrast_is_the_surprise_at_each_right_document_among_those_of_the_batch():
    vectors = [(1.0, 0.2), (0.9, -0.1), (0.0, 1.0), (0.3, 0.8), (-1.0, 0.4)]  # query, document, query, document, query
    numbers, is_document = [7, 7, 9, 9, 5], [False, True, False, True, False]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    surprises = []
    for query, right in ((0, 1), (2, 3)):  # nobody knows the document of the last query
        scores = {place: math.exp(cosine(vectors[query], vectors[place]) / 0.1) for place in (1, 3)}
        surprises.append(-math.log(scores[right] / sum(scores.values())))

    loss = in_batch_contrast(torch.tensor(vectors), torch.tensor(numbers), torch.tensor(is_document), temperature=0.1)

    assert loss.item() == pytest.approx(sum(surprises) / 2, rel=1e-4)


def test_a_document_that_stands_twice_in_a_batch_is_right_both_times():
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    is_document = torch.tensor([False, True, True])

    assert in_batch_contrast(vectors, torch.tensor([3, 3, 3]), is_document).item() == pytest.approx(0, abs=1e-6)
    assert in_batch_contrast(vectors, torch.tensor([3, 3, 4]), is_document).item() == pytest.approx(math.log(2))


def test_a_batch_without_a_single_pair_teaches_nothing():
    vectors = torch.ones(2, 2, requires_grad=True)

    loss = in_batch_contrast(vectors, torch.tensor([1, 2]), torch.tensor([False, True]))

    loss.backward()
    assert loss.item() == 0 and not vectors.grad.any()
