"""Perplexity against torch's cross entropy and closed forms."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from workers.contract import Contract, OutputSpec, Task
from workers.evaluation.predictions import chance_level
from workers.metrics.perplexity import Perplexity
from workers.numerics.next_token import NOTHING, next_token_losses

CONTRACT = Contract(task=Task.CAUSAL_LM, inputs=(), outputs=(OutputSpec(name="logits", meaning="logits"),))


def windows(rows: int, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, vocabulary, size=(rows, length))
    tokens[0, length // 2 :] = NOTHING
    return rng.normal(size=(rows, length, vocabulary)).astype(np.float32) * 3, tokens


def test_losses_are_those_of_torch():
    scores, tokens = windows(5, 12, 30)

    found = next_token_losses(scores, tokens)

    shifted = torch.from_numpy(scores[:, :-1]).flatten(0, 1)
    expected = cross_entropy(shifted, torch.from_numpy(tokens[:, 1:]).flatten(), reduction="none", ignore_index=NOTHING)
    np.testing.assert_allclose(found.reshape(-1), expected.numpy(), rtol=1e-5, atol=1e-6)
    mean = cross_entropy(shifted, torch.from_numpy(tokens[:, 1:]).flatten(), ignore_index=NOTHING)
    measured = Perplexity().measure(found, tokens, seed=0)
    assert measured.value == pytest.approx(float(mean.exp()), rel=1e-5)
    assert measured.low < measured.value < measured.high


def test_a_network_that_knows_nothing_wavers_between_all_tokens():
    _, tokens = windows(4, 9, 50)

    losses = next_token_losses(np.zeros((4, 9, 50), np.float32), tokens)

    assert Perplexity().measure(losses, tokens, seed=0).value == pytest.approx(50)


def test_enormous_scores_do_not_overflow():
    _, tokens = windows(2, 6, 10)

    assert np.isfinite(next_token_losses(np.full((2, 6, 10), 3e38, np.float32), tokens)).all()


def test_the_difference_is_paired():
    scores, tokens = windows(60, 12, 30)
    before, after = (next_token_losses(scores * scale, tokens) for scale in (1.0, 0.5))

    found = Perplexity().compare(before, after, tokens, seed=0)

    one, other = (Perplexity().measure(losses, tokens, seed=0).value for losses in (before, after))
    assert found.value == pytest.approx(other - one) and found.distinguishable and found.high < 0
    same = Perplexity().compare(before, before, tokens, seed=0)
    assert (same.value, same.low, same.high, same.distinguishable) == (0, 0, 0, False)


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    tokens = np.zeros((80, 11), dtype=np.int64)
    held = 0
    for number in range(100):
        losses = rng.exponential(2.0, size=(80, 1)) + rng.normal(0, 0.1, size=(80, 10))
        measured = Perplexity().measure(losses, tokens, seed=number)
        held += measured.low <= np.exp(2.0) <= measured.high

    assert held >= 85


def test_guessing_by_frequency_is_the_entropy_of_the_text():
    tokens = np.array([[0, 0, 1, 2, NOTHING, NOTHING]])

    assert chance_level(tokens, CONTRACT) == pytest.approx(2**1.5)
