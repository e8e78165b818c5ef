"""If and Loop: folded where they always do the same, kept where the input decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from tests.workers.graph_fx.agreement import assert_agrees, assert_close, run, run_torch
from tests.workers.graph_fx.test_importer import graph_of
from workers.graph.fx import UnsupportedOperator, to_onnx, to_torch

ROWS = (TensorProto.FLOAT, ["n", 3])
WEIGHT = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)


def body(nodes, outputs, inputs=(), weights=()):
    made = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs]
    taken = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    return helper.make_graph(nodes, "body", taken, made, list(weights))


def branch(op_type, *inputs):
    """One node over values from outside; both branches of a test call their result alike, as the format allows."""
    return body([helper.make_node(op_type, list(inputs), ["made"])], [("made", TensorProto.FLOAT)])


def choice(condition):
    return helper.make_node(
        "If",
        [condition],
        ["y"],
        name="choose",
        then_branch=branch("MatMul", "x", "w"),
        else_branch=branch("Relu", "x"),
    )


def test_an_if_over_a_known_size_becomes_the_branch_taken():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["size"]),
        helper.make_node("Equal", ["size", "three"], ["is_three"]),
        choice("is_three"),
    ]
    weights = {"w": WEIGHT, "one": np.array(1), "three": np.array(3)}

    module = assert_agrees(graph_of(nodes, {"x": ROWS}, {"y": ROWS}, weights))

    assert [type(part).__name__ for part in module.children()] == ["Linear"]


def test_an_if_the_input_decides_keeps_both_branches():
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        choice("positive"),
    ]
    proto = graph_of(nodes, {"x": ROWS}, {"y": ROWS}, {"w": WEIGHT, "zero": np.array(0, np.float32)})

    module = assert_agrees(proto)

    feed = np.ones((2, 3), np.float32)
    module(torch.from_numpy(feed)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    again = to_onnx(module, like=proto)
    for sign in (1, -1):
        assert_close(run(again, {"x": sign * feed}), run(proto, {"x": sign * feed}))
        assert_close(run_torch(module, {"x": sign * feed}), run(proto, {"x": sign * feed}))


def test_branches_that_share_a_weight_share_the_parameter():
    node = helper.make_node(
        "If", ["positive"], ["y"], then_branch=branch("MatMul", "x", "w"), else_branch=branch("MatMul", "negative", "w")
    )
    nodes = [
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        node,
    ]
    proto = graph_of(nodes, {"x": ROWS}, {"y": ROWS}, {"w": WEIGHT, "zero": np.array(0, np.float32)})

    module = assert_agrees(proto)

    assert len(list(module.parameters())) == 1
    again = to_onnx(module, like=proto)
    assert [tensor.name for tensor in again.graph.initializer if list(tensor.dims) == [3, 3]] == ["w"]


def loop(count):
    """state ← relu(state · w) ``count`` times, and every state."""
    nodes = [
        helper.make_node("MatMul", ["state", "w"], ["product"], name="turn"),
        helper.make_node("Relu", ["product"], ["next"]),
        helper.make_node("Identity", ["next"], ["seen"]),
        helper.make_node("Identity", ["going"], ["still"]),
    ]
    rounds = body(
        nodes,
        [("still", TensorProto.BOOL), ("next", TensorProto.FLOAT), ("seen", TensorProto.FLOAT)],
        [("round", TensorProto.INT64, []), ("going", TensorProto.BOOL, []), ("state", *ROWS)],
    )
    return helper.make_node("Loop", [count, "true", "x"], ["y", "all"], name="around", body=rounds)


@pytest.mark.parametrize("opset", [12, 17])
def test_a_loop_of_known_length_is_written_out(opset):
    weights = {"w": WEIGHT, "count": np.array(3), "true": np.array(True)}
    outputs = {"y": ROWS, "all": (TensorProto.FLOAT, [3, "n", 3])}

    module = assert_agrees(graph_of([loop("count")], {"x": ROWS}, outputs, weights, opset=opset))

    assert len(list(module.parameters())) == 1


def test_a_loop_whose_length_the_input_decides_is_refused():
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("ReduceMax", ["s"], ["n"], keepdims=0)]
    outputs = {"y": ROWS, "all": (TensorProto.FLOAT, ["k", "n", 3])}
    proto = graph_of([*nodes, loop("n")], {"x": ROWS}, outputs, {"w": WEIGHT, "true": np.array(True)})

    with pytest.raises(UnsupportedOperator, match=r"Loop .*rounds.*'around'"):
        to_torch(proto)


def test_recurrent_weights_put_together_by_nodes_are_worked_out():
    rng = np.random.default_rng(0)
    w, r = (rng.normal(size=shape).astype(np.float32) for shape in [(20, 3), (20, 5)])
    ends = {"0": [0], "5": [5], "20": [20]}
    nodes = [
        helper.make_node("Slice", ["w", "5", "20"], ["w1"]),
        helper.make_node("Slice", ["w", "0", "5"], ["w2"]),
        helper.make_node("Concat", ["w1", "w2"], ["w12"], axis=0),
        helper.make_node("Unsqueeze", ["w12", "0"], ["W"]),
        helper.make_node("Unsqueeze", ["r", "0"], ["R"]),
        helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=5),
    ]
    weights = {"w": w, "r": r} | {name: np.array(value) for name, value in ends.items()}
    borders = {"x": (TensorProto.FLOAT, [4, "n", 3])}, {"y": (TensorProto.FLOAT, [4, 1, "n", 5])}

    module = assert_agrees(graph_of(nodes, *borders, weights))

    assert [type(part).__name__ for part in module.children()] == ["LSTM"]
