"""N:M pruning: the pattern lies where a product sums, whatever the layout of the weight."""

import zlib

import numpy as np
import pytest
from onnx import helper, numpy_helper
from pydantic import ValidationError

from tests.workers.techniques.conftest import gaussian, loaded, network, rows, run
from workers.errors import YoursToFix
from workers.techniques.nm_pruning import NmPruning
from workers.techniques.static_int8 import StaticInt8


def weights(model) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}


def most_in_a_group(matrix: np.ndarray, group: int) -> int:
    """The most non-zeros in any whole group along the last axis."""
    whole = matrix.shape[-1] // group * group
    return int((matrix[..., :whole].reshape(-1, group) != 0).sum(axis=1).max())


def test_convolutions_keep_two_of_four_input_channels_at_each_place(cnn, bench):
    pruned = weights(NmPruning().apply(cnn, bench))

    assert most_in_a_group(np.moveaxis(pruned["w2"], 1, -1), 4) == 2
    assert most_in_a_group(pruned["w3"], 4) == 2  # a Gemm with transB
    assert np.mean(pruned["w2"] == 0) == 0.5


def test_both_layouts_of_a_product_are_pruned_along_their_inputs(mlp, make_bench):
    pruned = weights(NmPruning(keep=1).apply(mlp, make_bench((64,))))

    for name in ("w1", "w2"):  # a MatMul, and a Gemm without transB: inputs first
        assert most_in_a_group(pruned[name].T, 4) == 1


def test_a_transposed_convolution_and_an_lstm_are_pruned_along_their_inputs(bench):
    make = gaussian(3)
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w"], ["c"], name="up"),
        helper.make_node("Reshape", ["c", "shape"], ["s"], name="shape"),
        helper.make_node("LSTM", ["s", "lw", "lr"], ["", "y"], name="lstm", hidden_size=8),
    ]
    held = {"w": make(3, 4, 3, 3), "shape": np.array([14, -1, 56]), "lw": make(1, 32, 56), "lr": make(1, 32, 8)}
    model = loaded(network(nodes, held, (1, 3, 12, 12), (1, 1, 8)))

    pruned = weights(NmPruning().apply(model, bench))

    assert most_in_a_group(pruned["lw"], 4) == most_in_a_group(pruned["lr"], 4) == 2
    assert ((pruned["w"] != 0).sum(axis=0) == 2).all()  # a short group of 3 keeps 2 as well


def test_the_largest_stay_and_keep_their_value(cnn, bench):
    before = np.moveaxis(weights(cnn)["w2"], 1, -1).reshape(-1, 4)

    after = np.moveaxis(weights(NmPruning().apply(cnn, bench))["w2"], 1, -1).reshape(-1, 4)

    gone = after == 0
    np.testing.assert_array_equal(after[~gone], before[~gone])
    assert (np.where(gone, np.abs(before), 0).max(axis=1) <= np.where(gone, np.inf, np.abs(before)).min(axis=1)).all()


def test_biases_norms_and_excluded_layers_are_left_alone(cnn, bench):
    before, after = weights(cnn), weights(NmPruning(excluded=("head",)).apply(cnn, bench))

    for name in ("b1", "g", "beta", "mean", "var", "w3"):
        np.testing.assert_array_equal(after[name], before[name])


def test_only_the_zipped_file_shrinks_and_the_note_says_so(cnn, bench):
    pruned = NmPruning().apply(cnn, bench)

    before, after = (model.proto.SerializeToString() for model in (cnn, pruned))
    assert len(after) == len(before)
    assert len(zlib.compress(after)) < 0.8 * len(zlib.compress(before))
    assert "no faster" in pruned.notes[0] and "2 in 4" in pruned.notes[0]


def test_the_pattern_survives_quantization(cnn, bench):
    quantized = StaticInt8().apply(NmPruning().apply(cnn, bench), bench)

    assert most_in_a_group(np.moveaxis(weights(quantized)["w2_quantized"], 1, -1), 4) == 2
    assert np.isfinite(run(quantized.proto, rows(2, 3, 12, 12))).all()


def test_a_pattern_that_keeps_everything_is_refused():
    with pytest.raises(ValidationError, match="4 of 4"):
        NmPruning(keep=4)


def test_a_quantized_network_is_refused(cnn, bench):
    with pytest.raises(YoursToFix, match="already quantized"):
        NmPruning().apply(StaticInt8().apply(cnn, bench), bench)


@pytest.mark.parametrize("through", ["Identity", "Constant"])
def test_weights_that_come_through_nodes_that_do_nothing_are_pruned_as_well(through, cnn, bench):
    expected = NmPruning().apply(cnn, bench).proto
    stored = next(tensor for tensor in cnn.proto.graph.initializer if tensor.name == "w2")
    if through == "Constant":
        made = helper.make_node("Constant", [], ["w2"], value=stored)
        cnn.proto.graph.initializer.remove(stored)
    else:
        made = helper.make_node("Identity", ["w2_raw"], ["w2"])
        stored.name = "w2_raw"
    cnn.proto.graph.node.insert(0, made)

    pruned = NmPruning().apply(cnn, bench).proto

    x = rows(2, 3, 12, 12)
    np.testing.assert_array_equal(run(pruned, x), run(expected, x))
