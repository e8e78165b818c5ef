"""Static INT8 on attention: what has no range, no weights, or runs along all blocks stays in float."""

import numpy as np
from onnx import helper

from tests.workers.techniques.conftest import gaussian, loaded, network, rows, run
from workers.graph import int8
from workers.model import LoadedModel
from workers.techniques.static_int8 import StaticInt8


def masked() -> LoadedModel:
    """Self-attention whose mask holds minus infinity, moved about before it is added."""
    make = gaussian(6)
    mask = np.where(np.tri(5, dtype=bool), 0, -np.inf).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "q"], ["query"], name="query"),
        helper.make_node("MatMul", ["x", "v"], ["value"], name="value"),
        helper.make_node("Transpose", ["query"], ["key"], name="key", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["query", "key"], ["scores"], name="scores"),
        helper.make_node("ReduceMean", ["x"], ["some"], name="some", axes=[1, 2], keepdims=1),
        helper.make_node("Mul", ["some", "zero"], ["none"], name="none"),
        helper.make_node("Add", ["none", "mask"], ["made"], name="made"),
        helper.make_node("Reshape", ["made", "shape"], ["moved"], name="moved"),
        helper.make_node("Add", ["scores", "moved"], ["hidden"], name="hidden"),
        helper.make_node("Softmax", ["hidden"], ["shares"], name="shares"),
        helper.make_node("MatMul", ["shares", "value"], ["y"], name="attended"),
    ]
    weights = {
        "q": make(8, 8, scale=0.4), "v": make(8, 8, scale=0.4), "zero": np.zeros(1, np.float32), "mask": mask[None],
        "shape": np.array([-1, 5, 5]),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 5, 8), ("N", 5, 8)))


def test_a_mask_of_minus_infinity_stays_in_float(make_bench):
    model, x = masked(), rows(4, 5, 8)

    quantized = StaticInt8().apply(model, make_bench((5, 8)))

    exact = run(model.proto, x)
    assert np.abs(run(quantized.proto, x) - exact).max() < 0.05 * np.abs(exact).max()


def test_the_sums_along_the_blocks_of_a_vision_transformer_stay_in_float():
    make = gaussian(6)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["patches"], name="patch", strides=[4, 4]),
        helper.make_node("Reshape", ["patches", "shape"], ["flat"], name="flat"),
        helper.make_node("Transpose", ["flat"], ["stream"], name="stream", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["stream", "v"], ["made"], name="mlp"),
        helper.make_node("Add", ["stream", "made"], ["y"], name="join"),
    ]
    weights = {"w": make(8, 3, 4, 4), "shape": np.array([0, 8, 9]), "v": make(8, 8)}

    assert int8.delicate(network(nodes, weights, ("N", 3, 12, 12), ("N", 9, 8))) == ["join"]


def test_products_of_two_activations_give_floats(make_bench):
    quantized = StaticInt8().apply(masked(), make_bench((5, 8))).proto

    rounded = {node.input[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
    assert "query" in rounded and not rounded & {"scores", "y"}
