"""Tidy keeps every bit, and what it removes is gone."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.workers.techniques.conftest import convolutional, gaussian, loaded, network, rows, run
from workers.techniques.dynamic_int8 import DynamicInt8
from workers.techniques.static_int8 import StaticInt8
from workers.techniques.tidy import Tidy

node = helper.make_node


def tidied(proto, bench, **fields) -> onnx.ModelProto:
    return Tidy(**fields).apply(loaded(proto), bench).proto


def ops(proto) -> list[str]:
    return [item.op_type for item in proto.graph.node]


def eight_bit_entries(proto) -> int:
    """How many weights the file holds as int8, matrices only."""
    matrices = [tensor for tensor in proto.graph.initializer if len(tensor.dims) > 1]
    return sum(len(tensor.raw_data) for tensor in matrices if tensor.data_type == TensorProto.INT8)


def test_a_network_without_batch_norm_keeps_every_bit(mlp, make_bench):
    x = rows(40, 64)

    result = Tidy().apply(mlp, make_bench((64,))).proto

    np.testing.assert_array_equal(run(result, x), run(mlp.proto, x))


def test_merged_batch_norm_gives_the_very_numbers_onnxruntime_gives_when_it_merges_by_itself(cnn, bench):
    x = rows(40, 3, 12, 12)

    result = Tidy().apply(cnn, bench).proto

    assert "BatchNormalization" not in ops(result)
    np.testing.assert_array_equal(run(result, x), run(cnn.proto, x))


def test_merged_batch_norm_agrees_with_the_unmerged_network_to_rounding(cnn, bench):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(cnn.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rows(40, 3, 12, 12)

    result = Tidy().apply(cnn, bench).proto

    np.testing.assert_allclose(run(result, x), plain.run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)


def test_batch_norm_can_be_left_alone(cnn, bench):
    assert "BatchNormalization" in ops(Tidy(merge_batch_norm=False).apply(cnn, bench).proto)


def test_batch_norm_stays_where_the_convolution_has_another_reader(bench):
    make = gaussian(6)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("BatchNormalization", ["c", "one", "zero", "zero", "one"], ["n"]),
        node("Add", ["c", "n"], ["y"]),
    ]
    weights = {"w": make(4, 3, 3, 3), "one": np.ones(4, np.float32), "zero": np.zeros(4, np.float32)}
    proto = network(nodes, weights, ("N", 3, 12, 12), ("N", 4, 10, 10))

    result = tidied(proto, bench)

    x = rows(3, 3, 12, 12)
    assert "BatchNormalization" in ops(result)
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_equal_weights_are_stored_once(bench):
    weight = gaussian(7)(16, 16)
    nodes = [node("MatMul", ["x", "a"], ["m"]), node("Relu", ["m"], ["r"]), node("MatMul", ["r", "b"], ["y"])]
    proto = network(nodes, {"a": weight, "b": weight.copy()}, ("N", 16), ("N", 16))

    result = tidied(proto, bench)

    assert len(result.graph.initializer) == 1
    assert result.ByteSize() < 0.6 * proto.ByteSize()
    np.testing.assert_array_equal(run(result, rows(3, 16)), run(proto, rows(3, 16)))


def test_equal_bytes_of_another_shape_or_type_are_not_shared(bench):
    nodes = [
        node("Add", ["x", "row"], ["a"]),
        node("MatMul", ["a", "column"], ["b"]),
        node("Reshape", ["b", "shape"], ["y"]),
    ]
    weights = {"row": np.ones((1, 2), np.float32), "column": np.ones((2, 1), np.float32), "shape": np.array([1, -1])}

    result = tidied(network(nodes, weights, ("N", 2), (1, "N")), bench)

    assert len(result.graph.initializer) == 3


def test_constant_computations_are_done_in_advance(bench):
    nodes = [
        node("Constant", [], ["two"], value=numpy_helper.from_array(np.array(2, np.float32))),
        node("Mul", ["w", "two"], ["doubled"]),
        node("Transpose", ["doubled"], ["turned"], perm=[1, 0]),
        node("MatMul", ["x", "turned"], ["y"]),
    ]
    weight = gaussian(8)(5, 16)
    proto = network(nodes, {"w": weight}, ("N", 16), ("N", 5))

    result = tidied(proto, bench)

    assert ops(result) == ["MatMul"]
    np.testing.assert_array_equal(numpy_helper.to_array(result.graph.initializer[0]), (weight * 2).T)


def test_a_constant_that_would_make_the_file_bigger_stays_a_computation(bench):
    nodes = [node("Expand", ["one", "shape"], ["big"]), node("Add", ["x", "big"], ["y"])]
    weights = {"one": np.ones((1, 1), np.float32), "shape": np.array([64, 64])}
    proto = network(nodes, weights, (64, 64), (64, 64))

    assert "Expand" in ops(tidied(proto, bench))


def test_a_weight_that_is_also_read_as_it_is_is_not_stored_turned_as_well(bench):
    nodes = [
        node("ArgMax", ["x"], ["ids"], axis=1, keepdims=0),
        node("Gather", ["table", "ids"], ["e"]),
        node("Add", ["e", "x"], ["s"]),
        node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node("MatMul", ["s", "turned"], ["y"]),
    ]
    weights = {"table": gaussian(9)(200, 16)}

    assert "Transpose" in ops(tidied(network(nodes, weights, (2, 16), (2, 200)), bench))


def test_unused_nodes_identities_and_dropouts_are_removed(bench):
    nodes = [
        node("Identity", ["x"], ["i"]),
        node("Dropout", ["i"], ["d"]),
        node("MatMul", ["d", "w"], ["m"]),
        node("Exp", ["m"], ["nobody"]),
        node("Identity", ["m"], ["y"]),
    ]
    proto = network(nodes, {"w": gaussian(10)(8, 4), "lost": gaussian(1)(100)}, ("N", 8), ("N", 4))

    result = tidied(proto, bench)

    assert ops(result) == ["MatMul"]
    assert len(result.graph.initializer) == 1
    assert result.graph.node[0].output[0] == "y"
    np.testing.assert_array_equal(run(result, rows(3, 8)), run(proto, rows(3, 8)))


def test_a_network_that_hands_its_input_through_is_kept(bench):
    proto = network([node("Identity", ["x"], ["y"])], {}, ("N", 4), ("N", 4))

    np.testing.assert_array_equal(run(tidied(proto, bench), rows(2, 4)), rows(2, 4))


def test_two_outputs_of_the_same_value_both_stay(bench):
    proto = network([node("Relu", ["x"], ["y"], name="a"), node("Identity", ["y"], ["z"])], {}, ("N", 4), ("N", 4))
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ("N", 4)))

    result = tidied(proto, bench)

    assert [item.name for item in result.graph.output] == ["y", "z"]
    run(result, rows(2, 4))


def test_nodes_that_do_the_same_are_merged_but_random_ones_are_not(bench):
    nodes = [
        node("Sqrt", ["x"], ["a"]), node("Sqrt", ["x"], ["b"]),
        node("RandomNormalLike", ["x"], ["r"]), node("RandomNormalLike", ["x"], ["s"]),
        node("Sum", ["a", "b", "r", "s"], ["y"]),
    ]  # fmt: skip

    kinds = ops(tidied(network(nodes, {}, ("N", 4), ("N", 4)), bench))

    assert kinds.count("Sqrt") == 1
    assert kinds.count("RandomNormalLike") == 2


def test_names_inside_become_short_and_those_at_the_border_stay(bench):
    long = "/encoder/layer.0/attention/self/some/very/long/name"
    nodes = [
        node("MatMul", ["x", f"{long}/weight"], [f"{long}/out"], name=f"{long}/MatMul"),
        node("Relu", [f"{long}/out"], ["y"], name=f"{long}/Relu"),
    ]
    proto = network(nodes, {f"{long}/weight": gaussian(1)(4, 4)}, ("N", 4), ("N", 4))

    result = tidied(proto, bench)

    assert long.encode() not in result.SerializeToString()
    assert [item.name for item in (*result.graph.input, *result.graph.output)] == ["x", "y"]
    assert [item.name for item in result.graph.node] == ["MatMul1", "Relu1"]
    assert long.encode() in tidied(proto, bench, shorten_names=False).SerializeToString()


def test_remarks_and_operator_sets_nobody_uses_are_dropped(mlp, make_bench):
    mlp.proto.graph.node[0].doc_string = "remark " * 50
    mlp.proto.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="frame " * 200)
    mlp.proto.opset_import.add(domain="com.example.unused", version=3)

    result = Tidy().apply(mlp, make_bench((64,))).proto

    assert b"remark" not in result.SerializeToString() and b"frame" not in result.SerializeToString()
    assert [entry.domain for entry in result.opset_import] == [""]


def branching() -> onnx.ModelProto:
    """Adds or takes away an outer value inside the branches of an If."""
    then = helper.make_graph(
        [node("Add", ["outer", "weight_name"], ["t"])], "then",
        [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)],
    )  # fmt: skip
    other = helper.make_graph(
        [node("Sub", ["outer", "weight_name"], ["e"])], "else",
        [], [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        node("Identity", ["x"], ["same"]),
        node("Relu", ["same"], ["outer"]),
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["condition"]),
        node("If", ["condition"], ["y"], then_branch=then, else_branch=other),
    ]
    weights = {"weight_name": np.full((1, 4), 7, np.float32), "zero": np.array(0, np.float32)}
    return network(nodes, weights, ("N", 4), ("N", 4))


@pytest.mark.parametrize("sign", [1, -1])
def test_branches_still_see_the_values_around_them(bench, sign):
    proto = branching()
    x = sign * np.abs(rows(3, 4))

    result = tidied(proto, bench)

    assert b"weight_name" not in result.SerializeToString()
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_weights_listed_as_inputs_become_constants(bench):
    proto = network([node("MatMul", ["x", "w"], ["y"])], {"w": gaussian(3)(4, 4)}, ("N", 4), ("N", 4))
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 4)))
    x = rows(2, 4)
    expected = x @ numpy_helper.to_array(proto.graph.initializer[0])

    result = tidied(proto, bench)

    assert [item.name for item in result.graph.input] == ["x"]
    np.testing.assert_allclose(run(result, x), expected, rtol=1e-5)


def test_twice_changes_nothing_more(cnn, bench):
    once = Tidy().apply(cnn, bench)

    assert Tidy().apply(once, bench).proto.SerializeToString() == once.proto.SerializeToString()


@pytest.mark.parametrize("technique", [StaticInt8(), DynamicInt8()])
def test_a_quantized_network_keeps_every_bit_and_its_8_bit_weights(bench, technique):
    quantized = technique.apply(convolutional(32), bench)
    x = rows(30, 3, 12, 12)

    result = Tidy().apply(quantized, bench).proto

    np.testing.assert_array_equal(run(result, x), run(quantized.proto, x))
    assert eight_bit_entries(result) == eight_bit_entries(quantized.proto) > 0
    assert result.ByteSize() < quantized.proto.ByteSize()


def test_typed_fields_are_stored_as_bytes(bench):
    proto = network([node("MatMul", ["x", "w"], ["y"])], {}, ("N", 4), ("N", 4))
    proto.graph.initializer.append(
        helper.make_tensor("w", TensorProto.FLOAT, (4, 4), [float(value) for value in range(16)])
    )

    result = tidied(proto, bench)

    assert len(result.graph.initializer[0].raw_data) == 64
    np.testing.assert_array_equal(run(result, rows(2, 4)), run(proto, rows(2, 4)))


def decided_by(condition: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Doubles pictures if a condition holds, else halves them."""
    branches = {
        name: helper.make_graph(
            [node("Mul", ["x", factor], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, factor in (("then_branch", "two"), ("else_branch", "half"))
    }
    weights = {
        "two": np.array(2, np.float32), "half": np.array(0.5, np.float32), "four": np.array(4, np.int64),
        "twelve": np.array(12, np.int64), "last": np.array(3, np.int64),
    }  # fmt: skip
    nodes = [node("Shape", ["x"], ["shape"]), *condition, node("If", ["decided"], ["y"], **branches)]
    return network(nodes, weights, ("N", 3, "H", "W"), ("N", 3, "H", "W"))


def test_a_branch_decided_by_the_number_of_axes_is_taken_in_advance(bench):
    proto = decided_by([node("Size", ["shape"], ["rank"]), node("Equal", ["rank", "four"], ["decided"])])
    x = rows(2, 3, 5, 7)

    result = tidied(proto, bench)

    assert ops(result) == ["Mul"]
    np.testing.assert_array_equal(run(result, x), 2 * x)


def test_sizes_that_the_contract_fixes_decide_branches_if_asked_to_and_rows_stay_free(bench):
    proto = decided_by([node("Gather", ["shape", "last"], ["wide"]), node("Equal", ["wide", "twelve"], ["decided"])])
    x = rows(5, 3, 12, 12)

    result = tidied(proto, bench, fix_sides=True)

    assert "If" in ops(tidied(proto, bench))
    assert ops(result) == ["Mul"]
    np.testing.assert_array_equal(run(result, x), 2 * x)
    sides = [dim.dim_value for dim in result.graph.input[0].type.tensor_type.shape.dim]
    assert sides == [0, 3, 12, 12]


@pytest.mark.parametrize(("put_back", "left"), [(2, ["Relu"]), (1, ["Reshape", "Relu"])])
def test_an_axis_taken_away_and_put_back_at_once_stays_and_elsewhere_it_is_moved_in_one_step(bench, put_back, left):
    nodes = [
        node("Squeeze", ["x", "away"], ["flat"]),
        node("Unsqueeze", ["flat", "back"], ["again"]),
        node("Relu", ["again"], ["y"]),
    ]
    weights = {"away": np.array([2], np.int64), "back": np.array([put_back], np.int64)}
    proto = network(nodes, weights, ("N", 3, 1), ("N", "a", "b"))
    x = rows(4, 3, 1)

    result = tidied(proto, bench)

    assert ops(result) == left
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_changes_of_shape_in_a_row_become_one_also_around_an_activation(bench):
    nodes = [
        node("Squeeze", ["x", "first"], ["a"]),
        node("Unsqueeze", ["a", "last"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("Sigmoid", ["c"], ["d"]),
        node("Reshape", ["d", "flat"], ["y"]),
    ]
    weights = {"first": np.array([0]), "last": np.array([2]), "flat": np.array([-1, 2, 3])}
    proto = network(nodes, weights, (1, "N", 6), ("N", 2, 3))
    x = rows(1, 5, 6)

    result = tidied(proto, bench)

    assert ops(result) == ["Relu", "Sigmoid", "Reshape"]
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_a_change_of_shape_with_two_free_sides_is_left_as_it_is(bench):
    nodes = [node("Unsqueeze", ["x", "one"], ["a"]), node("Unsqueeze", ["a", "one"], ["y"])]
    proto = network(nodes, {"one": np.array([1])}, ("N", "L"), ("N", 1, 1, "L"))

    assert ops(tidied(proto, bench)) == ["Unsqueeze", "Unsqueeze"]


@pytest.mark.parametrize(("keepdims", "left"), [(1, ["Relu"]), (0, ["Relu", "Reshape"])])
@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceProd"])
def test_a_reduction_over_axes_of_one_entry_is_a_change_of_shape(bench, kind, keepdims, left):
    nodes = [node("Relu", ["x"], ["r"]), node(kind, ["r"], ["y"], axes=[1, -1], keepdims=keepdims)]
    proto = network(nodes, {}, ("N", 1, 4, 1), ("N", 1, 4, 1) if keepdims else ("N", 4))
    x = rows(3, 1, 4, 1)

    result = tidied(proto, bench)

    assert ops(result) == left
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_one_entry_of_an_axis_with_the_axis_put_back_is_picked_in_one_step(bench):
    nodes = [
        node("Gather", ["x", "second"], ["a"], axis=1),
        node("Unsqueeze", ["a", "one"], ["b"]),
        node("Relu", ["b"], ["y"]),
    ]
    proto = network(nodes, {"second": np.array(1), "one": np.array([1])}, ("N", 3, 4), ("N", 1, 4))
    x = rows(5, 3, 4)

    result = tidied(proto, bench)

    assert ops(result) == ["Gather", "Relu"]
    np.testing.assert_array_equal(run(result, x), run(proto, x))


@pytest.mark.parametrize(
    ("kind", "inputs", "number", "left"),
    [
        ("Add", ["r", "c"], np.float32(0), []),
        ("Add", ["c", "r"], np.zeros((1, 1), np.float32), []),
        ("Sub", ["r", "c"], np.float32(0), []),
        ("Mul", ["c", "r"], np.float32(1), []),
        ("Div", ["r", "c"], np.float32(1), []),
        ("Sub", ["c", "r"], np.float32(0), ["Sub"]),
        ("Div", ["c", "r"], np.float32(1), ["Div"]),
        ("Add", ["r", "c"], np.zeros((1, 1, 1), np.float32), ["Add"]),  # the result has another axis
        ("Mul", ["r", "c"], np.float32(0), ["Mul"]),  # infinity times nought is no number
    ],
)
def test_arithmetic_that_changes_nothing_goes(bench, kind, inputs, number, left):
    axes = ("N", 4) if np.ndim(number) < 3 else (1, "N", 4)
    nodes = [node("Exp", ["x"], ["r"]), node(kind, inputs, ["s"]), node("Neg", ["s"], ["y"])]
    proto = network(nodes, {"c": np.asarray(number)}, ("N", 4), axes)
    x = rows(3, 4)

    result = tidied(proto, bench)

    assert ops(result) == ["Exp", *left, "Neg"]
    np.testing.assert_array_equal(run(result, x), run(proto, x))


def test_whole_numbers_times_nought_are_worked_out_in_advance(bench):
    nodes = [
        node("Shape", ["x"], ["sides"]),
        node("Mul", ["sides", "nought"], ["noughts"]),
        node("Cast", ["noughts"], ["cast"], to=TensorProto.FLOAT),
        node("Add", ["x", "cast"], ["y"]),
    ]
    proto = network(nodes, {"nought": np.array(0)}, ("N", 2), ("N", 2))
    x = rows(3, 2)

    result = tidied(proto, bench)

    assert ops(result) == ["Add"]
    np.testing.assert_array_equal(run(result, x), x)


def test_what_is_computed_from_known_sizes_is_worked_out_in_advance_and_from_free_ones_it_stays(bench):
    def halves(axis):
        nodes = [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "axis"], ["side"], axis=0),
            node("Div", ["side", "two"], ["half"]),
            node("Slice", ["x", "zero", "half", "axis"], ["y"]),
        ]
        weights = {"axis": np.array([axis]), "two": np.array([2]), "zero": np.array([0])}
        return network(nodes, weights, ("N", 6), ("M", "K"))

    x = rows(4, 6)

    known, free = (tidied(halves(axis), bench) for axis in (1, 0))

    assert ops(known) == ["Slice"] and ops(free) == ["Shape", "Gather", "Div", "Slice"]
    np.testing.assert_array_equal(run(known, x), x[:, :3])
    np.testing.assert_array_equal(run(free, x), x[:2])
