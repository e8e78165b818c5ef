"""What kind of work a network is, against counts done by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workers import formats


def network(nodes, weights, *, given=(1, 4, 8, 8), gives=None) -> onnx.ModelProto:
    stored = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def kinds(proto: onnx.ModelProto):
    return {row.kind: row for row in formats.facts(proto).work}


def convolution(**said):
    return helper.make_node("Conv", ["x", "w"], ["y"], **said)


@pytest.mark.parametrize(
    ("shape", "said", "kind"),
    [
        ((6, 4, 1, 1), {}, "c1"),
        ((6, 4, 3, 3), {"pads": [1] * 4}, "c3w"),
        ((6, 4, 3, 3), {"strides": [2, 2]}, "cx"),
        ((6, 4, 3, 3), {"dilations": [2, 2]}, "cx"),
        ((6, 4, 5, 5), {}, "cx"),
        ((4, 1, 3, 3), {"group": 4}, "dw"),
        ((6, 2, 3, 3), {"group": 2}, "dw"),
    ],
)
def test_a_convolution_is_told_by_kernel_stride_and_groups(shape, said, kind):
    assert list(kinds(network([convolution(**said)], {"w": shape}))) == [kind]


def test_a_layer_counts_its_products_its_weights_and_what_goes_through():
    found = kinds(network([convolution(pads=[1] * 4)], {"w": (6, 4, 3, 3)}))["c3w"]

    assert found.count == 1
    assert found.macs == 6 * 8 * 8 * 4 * 9
    assert (found.weights, found.act_in, found.act_out) == (6 * 4 * 9, 4 * 64, 6 * 64)


def test_activations_and_reshapes_are_part_of_their_neighbours():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "v"], ["y"]),
    ]

    found = kinds(network(nodes, {"w": (6, 4, 1, 1), "v": (6 * 64, 10)}))

    assert {kind: row.count for kind, row in found.items()} == {"c1": 1, "fc": 1}
    assert found["fc"].macs == found["fc"].weights == 6 * 64 * 10


def test_additions_and_pools_move_bytes_and_multiply_nothing():
    nodes = [helper.make_node("Add", ["x", "x"], ["a"]), helper.make_node("GlobalAveragePool", ["a"], ["y"])]

    found = kinds(network(nodes, {}))

    assert set(found) == {"other"}
    assert (found["other"].count, found["other"].macs) == (2, 0)
    assert found["other"].act_out == 4 * 64 + 4


def test_a_sigmoid_that_gates_its_own_input_is_one_layer_with_the_product():
    nodes = [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["x", "s"], ["y"])]

    assert kinds(network(nodes, {}))["other"].count == 1


def test_a_product_of_many_rows_is_a_matrix_product_and_of_one_row_a_full_connection():
    product = [helper.make_node("MatMul", ["x", "w"], ["y"])]

    many = kinds(network(product, {"w": (16, 8)}, given=(1, 10, 16)))
    one = kinds(network(product, {"w": (16, 8)}, given=(1, 16)))

    assert set(many) == {"gemm"}
    assert many["gemm"].macs == 10 * 16 * 8
    assert set(one) == {"fc"}


def test_what_depends_on_stored_tensors_alone_is_no_layer_but_a_weight():
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]

    found = kinds(network(nodes, {"w": (8, 16)}, given=(1, 10, 16)))

    assert set(found) == {"gemm"}
    assert (found["gemm"].weights, found["gemm"].act_in) == (8 * 16, 10 * 16)
    assert (
        sum(row.macs for row in found.values()) == formats.facts(network(nodes, {"w": (8, 16)}, given=(1, 10, 16))).macs
    )


def test_a_network_for_many_samples_at_once_is_counted_for_one():
    one = kinds(network([convolution()], {"w": (6, 4, 1, 1)}))["c1"]
    eight = kinds(network([convolution()], {"w": (6, 4, 1, 1)}, given=(8, 4, 8, 8), gives=(8, 6, 8, 8)))["c1"]

    assert (eight.macs, eight.act_in, eight.weights) == (one.macs, one.act_in, one.weights)
