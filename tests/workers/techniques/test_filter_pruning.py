"""Filter pruning: dead channels go first, layers in step stay in step, outputs keep their shape."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.workers.techniques.conftest import gaussian, loaded, network, rows, run
from tests.workers.techniques.lessons import agreement, classroom, discerning
from workers import formats
from workers.errors import YoursToFix
from workers.techniques.filter_pruning import FilterPruning
from workers.techniques.fine_tune import FineTune

HIDDEN = 16


def shapes(model):
    return {tensor.name: tuple(tensor.dims) for tensor in model.proto.graph.initializer}


def chain(dead=()):
    """Two convolutions and a Gemm; channels in ``dead`` hold zeros and are read with zeros."""
    make = gaussian(4)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="one", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], name="two", pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["r2"]),
        node("Flatten", ["r2"], ["flat"]),
        node("Gemm", ["flat", "w3", "b3"], ["y"], name="head", transB=1),
    ]
    weights = {
        "w1": make(8, 3, 3, 3), "b1": make(8), "w2": make(HIDDEN, 8, 3, 3), "b2": make(HIDDEN),
        "w3": make(10, HIDDEN, 12, 12), "b3": make(10),
    }  # fmt: skip
    for channel in dead:
        weights["w2"][channel], weights["b2"][channel], weights["w3"][:, channel] = 0, 0, 0
    weights["w3"] = weights["w3"].reshape(10, -1)
    return loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", 10)))


def heads():
    """A layer whose 16 outputs a Reshape with fixed numbers splits into 4 heads, between two others."""
    make = gaussian(8)
    node = helper.make_node
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["a"], name="in", transB=1),
        node("Relu", ["a"], ["r"]),
        node("Gemm", ["r", "w2", "b2"], ["b"], name="free", transB=1),
        node("Relu", ["b"], ["s"]),
        node("Gemm", ["s", "w3", "b3"], ["c"], name="split", transB=1),
        node("Reshape", ["c", "four"], ["h"]),
        node("ReduceSum", ["h", "axis"], ["d"], keepdims=0),
        node("Gemm", ["d", "w4", "b4"], ["y"], name="out", transB=1),
    ]
    weights = {
        "w1": make(24, 6), "b1": make(24), "w2": make(32, 24), "b2": make(32), "w3": make(16, 32), "b3": make(16),
        "w4": make(10, 4), "b4": make(10), "four": np.array([-1, 4, 4]), "axis": np.array([1]),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 6), ("N", 10)))


def grouped():
    """A convolution in 2 groups and a depthwise one, which a last convolution reads."""
    make = gaussian(9)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="one", pads=[1, 1, 1, 1]),
        node("Conv", ["a", "w2"], ["b"], name="two", pads=[1, 1, 1, 1], group=2),
        node("Relu", ["b"], ["r"]),
        node("Conv", ["r", "d"], ["e"], name="deep", pads=[1, 1, 1, 1], group=16),
        node("Conv", ["e", "w3"], ["f"], name="three"),
        node("GlobalAveragePool", ["f"], ["g"]),
        node("Flatten", ["g"], ["y"]),
    ]
    weights = {"w1": make(8, 3, 3, 3), "w2": make(16, 4, 3, 3), "d": make(16, 1, 3, 3), "w3": make(10, 16, 1, 1)}
    return loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", 10)))


@pytest.mark.parametrize("criterion", ["l1", "l2", "taylor"])
def test_channels_that_do_nothing_go_first_and_nothing_changes(criterion, tmp_path):
    model = chain(dead=(1, 4, 11, 12))

    pruned = FilterPruning(amount=0.25, criterion=criterion).apply(model, classroom(model, tmp_path, rows=64))

    assert shapes(pruned)["w2"] == (HIDDEN - 4, 8, 3, 3)
    x = rows(7, 3, 12, 12)
    assert np.allclose(run(pruned.proto, x), run(model.proto, x), atol=1e-3)


def test_of_channels_that_are_alike_the_geometric_median_removes_one(tmp_path):
    model = chain()
    weights = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    filters = numpy_helper.to_array(weights["w2"]).copy()
    filters[5] = filters.mean(0)
    weights["w2"].CopyFrom(numpy_helper.from_array(filters, "w2"))

    step = FilterPruning(amount=1 / HIDDEN, multiple=1, criterion="geometric-median")
    pruned = step.apply(model, classroom(model, tmp_path, rows=64))

    left = next(numpy_helper.to_array(tensor) for tensor in pruned.proto.graph.initializer if tensor.name == "w2")
    assert np.array_equal(left, np.delete(filters, 5, axis=0))


def test_the_layers_on_both_sides_of_a_shortcut_lose_the_same_channels(tmp_path):
    model = discerning(16)

    pruned = FilterPruning(amount=0.5, keep_first=False).apply(model, classroom(model, tmp_path, rows=64))

    found = shapes(pruned)
    assert (found["w1"], found["w2"], found["w3"]) == ((8, 3, 3, 3), (8, 8, 3, 3), (10, 8))
    assert run(pruned.proto, rows(5, 3, 12, 12)).shape == (5, 10)


def test_the_first_and_the_last_layer_stay_as_they_are_by_default(tmp_path):
    model = chain()

    found = shapes(FilterPruning(amount=0.5).apply(model, classroom(model, tmp_path, rows=64)))

    assert found["w1"] == (8, 3, 3, 3)
    assert found["w3"] == (10, HIDDEN // 2 * 12 * 12)


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_the_share_of_macs_asked_for_goes_and_not_much_more(scope, tmp_path):
    model = chain()
    step = FilterPruning(target="macs", amount=0.5, scope=scope, multiple=1, keep_first=False)

    pruned = step.apply(model, classroom(model, tmp_path, rows=64))

    left = formats.facts(pruned.proto).macs / formats.facts(model.proto).macs
    assert 0.35 < left <= 0.5


def test_a_width_that_fixed_numbers_count_on_stays(tmp_path):
    model = heads()

    pruned = FilterPruning(amount=0.5).apply(model, classroom(model, tmp_path, shape=(6,), rows=64))

    found = shapes(pruned)
    assert found["w2"] == (16, 24) and found["w3"] == (16, 16)
    assert run(pruned.proto, rows(3, 6)).shape == (3, 10)


def test_where_only_the_first_layer_can_lose_channels_it_does(tmp_path):
    model = discerning(16)

    found = shapes(FilterPruning(amount=0.5).apply(model, classroom(model, tmp_path, rows=64)))

    assert found["w1"] == (8, 3, 3, 3)


def test_grouped_convolutions_keep_groups_of_one_width(tmp_path):
    model = grouped()

    pruned = FilterPruning(amount=0.5).apply(model, classroom(model, tmp_path, rows=64))

    found = shapes(pruned)
    assert found["w2"] == (8, 4, 3, 3) and found["d"] == (8, 1, 3, 3)
    assert run(pruned.proto, rows(2, 3, 12, 12)).shape == (2, 10)


def test_widths_are_multiples_of_what_was_asked_for(tmp_path):
    model = chain()

    found = shapes(FilterPruning(amount=0.4, multiple=8).apply(model, classroom(model, tmp_path, rows=64)))

    assert found["w2"][0] % 8 == 0


def test_layers_left_alone_keep_their_channels(tmp_path):
    model = chain()
    step = FilterPruning(amount=0.5, keep_first=False, excluded=("two",))

    found = shapes(step.apply(model, classroom(model, tmp_path, rows=64)))

    assert (found["w1"][0], found["w2"][0]) == (4, HIDDEN)


def test_without_batch_norm_its_scale_is_refused_with_the_way_out(tmp_path):
    model = chain()

    with pytest.raises(YoursToFix, match="fold") as caught:
        FilterPruning(criterion="batch-norm").apply(model, classroom(model, tmp_path, rows=64))
    assert "L2" in caught.value.hint


def test_batch_norm_scales_decide_where_there_are_any(tmp_path):
    model = discerning(16)
    scales = next(tensor for tensor in model.proto.graph.initializer if tensor.name == "g")
    scales.CopyFrom(numpy_helper.from_array(np.arange(1, 17, dtype=np.float32), "g"))

    step = FilterPruning(amount=0.5, criterion="batch-norm", keep_first=False)
    pruned = step.apply(model, classroom(model, tmp_path, rows=64))

    left = next(numpy_helper.to_array(tensor) for tensor in pruned.proto.graph.initializer if tensor.name == "g")
    assert left.tolist() == list(range(9, 17))


def test_training_afterwards_recovers_what_pruning_cost(tmp_path):
    model = discerning(16)
    bench = classroom(model, tmp_path, rows=512)
    pruned = FilterPruning(amount=0.5, keep_first=False).apply(model, bench)

    tuned = FineTune(epochs=6, learning_rate=0.005).apply(pruned, bench)

    assert agreement(tuned, model, bench) > agreement(pruned, model, bench) + 0.1
    assert shapes(tuned) == shapes(pruned)


def attending():
    """Tokens of 16 numbers, which a Reshape that finds the length by itself splits into 4 heads; then a wide layer."""
    make = gaussian(8)
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w1"], ["a"], name="split"),
        node("Reshape", ["a", "heads"], ["h"]),
        node("Transpose", ["h"], ["t"], perm=[0, 2, 1, 3]),
        node("Softmax", ["t"], ["s"], axis=2),
        node("Transpose", ["s"], ["u"], perm=[0, 2, 1, 3]),
        node("Reshape", ["u", "joined"], ["j"]),
        node("MatMul", ["j", "w2"], ["b"], name="wide"),
        node("Relu", ["b"], ["r"]),
        node("MatMul", ["r", "w3"], ["y"], name="out"),
    ]
    weights = {
        "w1": make(6, 16), "w2": make(16, 32), "w3": make(32, 10),
        "heads": np.array([0, -1, 4, 4]), "joined": np.array([0, -1, 16]),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 8, 6), ("N", 8, 10)))


def test_heads_that_would_be_mixed_up_keep_their_width_though_shapes_would_fit(tmp_path):
    model = attending()
    step = FilterPruning(amount=0.5, keep_first=False)

    found = shapes(step.apply(model, classroom(model, tmp_path, shape=(8, 6), rows=64)))

    assert found["w1"] == (6, 16) and found["w2"] == (16, 16)


def rotary():
    """A layer whose halves change places, as rotary embeddings turn them, beside a wide layer that is free."""
    make = gaussian(8)
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w0"], ["z"], name="in"),
        node("MatMul", ["z", "w1"], ["q"], name="turned"),
        node("Slice", ["q", "zero", "half", "last"], ["one"]),
        node("Slice", ["q", "half", "end", "last"], ["two"]),
        node("Neg", ["two"], ["minus"]),
        node("Concat", ["minus", "one"], ["swapped"], axis=2),
        node("Add", ["q", "swapped"], ["r"]),
        node("MatMul", ["r", "w2"], ["b"], name="wide"),
        node("Relu", ["b"], ["s"]),
        node("MatMul", ["s", "w3"], ["y"], name="out"),
    ]
    weights = {
        "w0": make(6, 8), "w1": make(8, 16), "w2": make(16, 32), "w3": make(32, 10), "zero": np.array([0]),
        "half": np.array([8]), "end": np.array([16]), "last": np.array([2]),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 8, 6), ("N", 8, 10)))


def test_the_search_for_what_depends_on_rotary_embeddings_ends(tmp_path):
    model = rotary()

    found = shapes(FilterPruning(amount=0.5).apply(model, classroom(model, tmp_path, shape=(8, 6), rows=64)))

    assert found["w1"] == (8, 16) and found["w2"] == (16, 16)


def test_the_first_layer_goes_where_something_counts_on_all_others(tmp_path):
    model = heads()
    step = FilterPruning(amount=0.5, excluded=("free",))

    found = shapes(step.apply(model, classroom(model, tmp_path, shape=(6,), rows=64)))

    assert found["w1"] == (12, 6) and found["w3"] == (16, 32)
