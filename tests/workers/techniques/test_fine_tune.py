"""Fine-tuning recovers what a step cost, keeps zeros, and never looks at test data."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.workers.techniques.conftest import CONTRACT, gaussian, loaded, network, run
from tests.workers.techniques.lessons import agreement, classroom, discerning
from workers.contract import InputSpec, Task
from workers.errors import Stopped, YoursToFix
from workers.events import Point
from workers.facts import Role, TargetFacts
from workers.techniques.fine_tune import FineTune
from workers.techniques.magnitude_pruning import MagnitudePruning

QUICK = {"epochs": 4, "learning_rate": 0.003, "batch": 32}


@pytest.fixture
def whole():
    return discerning(8)


@pytest.fixture
def spoilt(whole, tmp_path):
    return MagnitudePruning(sparsity=0.7).apply(whole, classroom(whole, tmp_path, rows=64))


def weights(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}


@pytest.mark.parametrize("learn_from", ["both", "labels", "baseline"])
def test_it_recovers_what_pruning_cost(whole, spoilt, tmp_path, learn_from):
    bench = classroom(whole, tmp_path)

    tuned = FineTune(learn_from=learn_from, **QUICK).apply(spoilt, bench)

    assert agreement(tuned, whole, bench) > agreement(spoilt, whole, bench) + 0.05


def test_weights_that_are_zero_stay_zero_and_others_move(whole, spoilt, tmp_path):
    before = weights(spoilt)

    after = weights(FineTune(**QUICK).apply(spoilt, classroom(whole, tmp_path)))

    for name in ("w1", "w2", "w3"):
        assert np.array_equal(before[name] == 0, after[name] == 0)
        assert not np.array_equal(before[name], after[name])


def test_without_keeping_zeros_pruned_weights_grow_back(whole, spoilt, tmp_path):
    after = weights(FineTune(keep_zeros=False, **QUICK).apply(spoilt, classroom(whole, tmp_path)))

    assert (after["w2"] == 0).mean() < 0.1


def test_it_learns_from_the_baseline_where_there_are_no_labels(whole, spoilt, tmp_path):
    bench = classroom(whole, tmp_path, labelled=False)

    tuned = FineTune(**QUICK).apply(spoilt, bench)

    assert agreement(tuned, whole, bench) > agreement(spoilt, whole, bench) + 0.05


def test_the_same_seed_gives_the_same_network(whole, spoilt, tmp_path):
    once, again = (FineTune(**QUICK).apply(spoilt, classroom(whole, tmp_path)) for _ in range(2))

    assert once.proto.SerializeToString(deterministic=True) == again.proto.SerializeToString(deterministic=True)


def test_a_network_that_cannot_get_better_comes_back_as_it_was(whole, tmp_path):
    tuned = FineTune(**QUICK).apply(whole, classroom(whole, tmp_path))

    assert tuned.proto == whole.proto


def test_it_stops_between_two_batches_when_asked(whole, spoilt, tmp_path):
    asked = iter([False] * 60)

    with pytest.raises(Stopped):
        FineTune(epochs=100).apply(spoilt, classroom(whole, tmp_path, should_stop=lambda: next(asked, True)))


def test_it_draws_a_curve_of_the_loss_that_falls(whole, spoilt, tmp_path):
    events = []

    FineTune(**QUICK).apply(spoilt, classroom(whole, tmp_path, emit=events.append))

    loss = [event.y for event in events if isinstance(event, Point) and event.series == "loss"]
    assert len(loss) == 4 and loss[-1] < loss[0]


def test_it_opens_training_and_validation_rows_only(whole, spoilt, tmp_path):
    bench = classroom(whole, tmp_path)

    FineTune(**QUICK).apply(spoilt, bench)

    assert set(bench.data.asked) == {Role.TRAIN, Role.VALIDATION}


def test_it_says_so_where_labels_are_wanted_and_there_are_none(whole, spoilt, tmp_path):
    with pytest.raises(YoursToFix, match="neither"):
        FineTune(learn_from="labels").apply(spoilt, classroom(whole, tmp_path, labelled=False))


def test_a_training_row_of_a_class_that_the_network_does_not_know_is_named(whole, spoilt, tmp_path):
    bench = classroom(whole, tmp_path, rows=64)
    bench.data.labels[3] = 10

    with pytest.raises(YoursToFix, match=r"from 0 to 9, .* found 10"):
        FineTune(**QUICK).apply(spoilt, bench)


@pytest.mark.parametrize("learn_from", ["labels", "baseline"])
def test_a_network_whose_answer_is_one_number_without_an_axis_is_trained(learn_from, tmp_path):
    make, node = gaussian(7), helper.make_node
    nodes = [
        node("Gemm", ["x", "w1"], ["h"], name="one"),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "w2"], ["c"], name="two"),
        node("Squeeze", ["c", "last"], ["y"]),
    ]
    weights = {"w1": make(6, 16), "w2": make(16, 1), "last": np.array([1])}
    model = loaded(network(nodes, weights, ("N", 6), ("N",)))
    contract = CONTRACT.model_copy(update={"task": Task.REGRESSION, "inputs": (InputSpec(name="x", shape=(6,)),)})
    bench = classroom(model, tmp_path, shape=(6,), rows=64, labelled=False, contract=contract)
    bench.data.labels = run(model.proto, bench.data.values)
    bench.data.facts = bench.data.facts.model_copy(update={"target": TargetFacts(kind="number")})
    worse = MagnitudePruning(sparsity=0.5).apply(model, bench)

    tuned = FineTune(**QUICK | {"epochs": 20}, learn_from=learn_from, keep_zeros=False).apply(worse, bench)

    error = [np.square(run(one.proto, bench.data.values) - bench.data.labels).mean() for one in (worse, tuned)]
    assert error[1] < 0.8 * error[0]
