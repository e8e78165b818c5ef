"""Shapes that a graph computes for itself, against what ONNX Runtime really makes of them."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.material import _weight as weight
from tests.material import model_of
from workers import formats
from workers.formats import shapes


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def padded_to_multiple_of_eight(batch="N", length=50):
    """Pads a signal on the right by (-length) mod 8, computed from its Shape, then convolves it with stride 4."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "two"], ["length"]),
        helper.make_node("Neg", ["length"], ["minus"]),
        helper.make_node("Mod", ["minus", "eight"], ["right"]),
        helper.make_node("Concat", ["zeros", "right"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("Conv", ["padded", "w"], ["y"], strides=[4], name="conv"),
    ]
    weights = [integers("two", 2), integers("eight", 8), integers("zeros", 0, 0, 0, 0, 0), weight("w", 6, 2, 4, seed=0)]
    return model_of(nodes, weights, inputs={"x": (batch, 2, length)}, outputs={"y": ("N", 6, "frames")})


def run(proto, *inputs):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {item.name: value for item, value in zip(session.get_inputs(), inputs, strict=True)})


def test_padding_computed_from_the_shape_is_followed():
    proto = padded_to_multiple_of_eight()

    frames = run(proto, np.zeros((1, 2, 50), np.float32))[0].shape[2]

    facts = formats.facts(proto)
    assert facts.layers[0].output_shape == (1, 6, frames) == (1, 6, 14)
    assert facts.macs == 6 * frames * 2 * 4
    assert facts.warnings == ()


@pytest.mark.parametrize("flag", [True, False])
def test_a_branch_decided_by_a_shape_is_taken(flag):
    def branch(times):
        value = numpy_helper.from_array(np.full((1, 4), times, np.float32))
        constant = helper.make_node("Constant", [], [f"c{times}"], value=value)
        nodes = [constant, helper.make_node("MatMul", ["x", "wide" if times == 2 else "narrow"], [f"o{times}"])]
        return helper.make_graph(nodes, "b", [], [helper.make_tensor_value_info(f"o{times}", TensorProto.FLOAT, None)])

    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["width"]),
        helper.make_node("Greater", ["width", "limit"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch(2), else_branch=branch(3)),
    ]
    one = numpy_helper.from_array(np.int64(1), "one")
    limit = numpy_helper.from_array(np.int64(7 if flag else 8), "limit")
    weights = [one, limit, weight("wide", 8, 20, seed=0), weight("narrow", 8, 5, seed=1)]
    proto = model_of(nodes, weights, inputs={"x": ("N", 8)}, outputs={"y": ("N", "out")})

    made = run(proto, np.zeros((1, 8), np.float32))[0].shape

    assert shapes.infer(proto).shapes["y"] == made == (1, 20 if flag else 5)
    assert formats.facts(proto).macs == 8 * made[1]


def test_a_constant_outside_a_nested_graph_is_seen_inside_it():
    inner = [
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("Conv", ["p", "w"], ["o"]),
    ]
    graph = helper.make_graph(inner, "b", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph),
    ]
    weights = [
        integers("pads", 0, 0, 1, 0, 0, 1),
        numpy_helper.from_array(np.float32(0), "zero"),
        weight("w", 3, 2, 3, seed=0),
    ]
    proto = model_of(nodes, weights, inputs={"x": ("N", 2, 10)}, outputs={"y": ("N", 3, 10)})

    assert run(proto, np.zeros((1, 2, 10), np.float32))[0].shape == (1, 3, 10)
    assert formats.facts(proto).macs == 3 * 10 * 2 * 3


def test_constants_that_would_fill_the_memory_are_not_computed():
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["h"]),
        helper.make_node("Tile", ["one", "times"], ["t"]),
        helper.make_node("Range", ["zero", "end", "step"], ["r"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    scalars = [
        numpy_helper.from_array(np.int64(value), name) for name, value in (("zero", 0), ("end", 1 << 60), ("step", 1))
    ]
    weights = [integers("huge", 1 << 30, 1 << 30), integers("one", 1), integers("times", 1 << 60), *scalars]

    found = shapes.infer(model_of(nodes, weights, inputs={"x": ("N", 4)}, outputs={"y": ("N", 4)}))

    assert [node.op_type for node in found.graph.node] == ["ConstantOfShape", "Tile", "Range", "Relu"]


def test_the_state_of_a_recurrent_network_has_the_batch_on_its_second_axis():
    nodes = [helper.make_node("LSTM", ["x", "w", "r", "", "", "h", "h"], ["", "y"], hidden_size=4)]
    weights = [weight("w", 1, 16, 3, seed=0), weight("r", 1, 16, 4, seed=1)]
    proto = model_of(nodes, weights, inputs={"x": (7, 1, 3), "h": (1, -1, 4)}, outputs={"y": (1, 1, 4)})

    assert formats.facts(proto).macs == 7 * 16 * (3 + 4)
