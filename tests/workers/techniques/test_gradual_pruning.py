"""Zeros grow along the curve, stay, and cost less than all at once."""

import numpy as np
import pytest
from onnx import numpy_helper

from tests.workers.techniques.lessons import agreement, classroom, discerning
from workers.errors import Stopped, YoursToFix
from workers.events import Point
from workers.numerics.schedules import cubic_sparsity
from workers.techniques.gradual_pruning import GradualPruning
from workers.techniques.magnitude_pruning import MagnitudePruning

QUICK = {"epochs": 6, "learning_rate": 0.01, "batch": 32}
LAYERS = ("w1", "w2", "w3")


@pytest.fixture
def whole():
    return discerning(16)


def weights(model):
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}
    return [found[name] for name in LAYERS]


def test_each_layer_has_its_share_of_zeros(whole, tmp_path):
    pruned = GradualPruning(sparsity=0.6, scope="layer", **QUICK).apply(whole, classroom(whole, tmp_path, rows=128))

    for weight in weights(pruned):
        assert np.mean(weight == 0) == pytest.approx(0.6, abs=1 / weight.size)


def test_the_network_has_its_share_of_zeros_wherever_they_are(whole, tmp_path):
    pruned = GradualPruning(sparsity=0.6, **QUICK).apply(whole, classroom(whole, tmp_path, rows=128))

    everything = np.concatenate([weight.ravel() for weight in weights(pruned)])
    assert np.mean(everything == 0) == pytest.approx(0.6, abs=0.002)
    assert len({round(float(np.mean(weight == 0)), 2) for weight in weights(pruned)}) > 1


def test_the_share_drawn_follows_the_cubic_curve_until_the_ramp_ends(whole, tmp_path):
    events = []

    GradualPruning(sparsity=0.5, ramp=0.5, **QUICK).apply(whole, classroom(whole, tmp_path, emit=events.append))

    drawn = [(event.x, event.y) for event in events if isinstance(event, Point) and event.series == "share of zeros"]
    steps = 256 // 32 * QUICK["epochs"] // 2
    assert drawn[-1] == (steps, pytest.approx(0.5))
    assert [share for _, share in drawn] == pytest.approx([cubic_sparsity(0.5, step / steps) for step, _ in drawn])


def test_it_keeps_more_than_pruning_at_once(whole, tmp_path):
    bench = classroom(whole, tmp_path, rows=512)

    gradual = GradualPruning(sparsity=0.7, **QUICK).apply(whole, bench)
    once = MagnitudePruning(sparsity=0.7).apply(whole, bench)

    assert agreement(gradual, whole, bench) > agreement(once, whole, bench) + 0.1


def test_a_layer_left_untouched_has_no_zeros(whole, tmp_path):
    pruned = GradualPruning(excluded=("body/conv",), **QUICK).apply(whole, classroom(whole, tmp_path, rows=64))

    assert [bool(np.any(weight == 0)) for weight in weights(pruned)] == [True, False, True]


def test_the_same_seed_gives_the_same_file(whole, tmp_path):
    step = GradualPruning(**QUICK)

    once, again = (step.apply(whole, classroom(whole, tmp_path, rows=64)).proto for _ in range(2))

    assert once.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_it_stops_between_two_batches(whole, tmp_path):
    asked = iter([False] * 30)

    with pytest.raises(Stopped):
        GradualPruning().apply(whole, classroom(whole, tmp_path, should_stop=lambda: next(asked, True)))


def test_with_every_layer_untouched_there_is_nothing_to_do(whole, tmp_path):
    names = ("stem/conv", "body/conv", "head")

    with pytest.raises(YoursToFix, match="found none"):
        GradualPruning(excluded=names).apply(whole, classroom(whole, tmp_path, rows=64))
