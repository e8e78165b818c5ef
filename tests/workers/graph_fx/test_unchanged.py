"""Which nodes a technique left as they were."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from workers.graph.weights import unchanged


def graph(*, second=2.0, third="MatMul"):
    """Three products with weights of their own, one whose weight is turned first, and a sum of two values."""
    square = np.eye(2, dtype=np.float32)
    weights = {"w1": square, "w2": second * square, "w3": square, "w4": square}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
        helper.make_node("MatMul", ["a", "w2"], ["b"], name="second"),
        helper.make_node(third, ["b", "w3"], ["c"], name="third"),
        helper.make_node("Transpose", ["w4"], ["t"], name="turn"),
        helper.make_node("MatMul", ["c", "t"], ["d"], name="turned"),
        helper.make_node("Add", ["c", "d"], ["y"], name="sum"),
    ]
    border = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    return helper.make_graph(nodes, "g", border[:1], border[1:], tensors)


def test_nodes_with_other_weights_or_another_operator_have_changed():
    assert unchanged(graph(), graph()) == {"first", "second", "third", "turn"}
    assert unchanged(graph(), graph(second=3.0, third="Add")) == {"first", "turn"}


def test_a_weight_by_another_name_is_the_same_weight():
    other = graph()
    other.initializer[0].name = other.node[0].input[1] = "renamed"

    assert "first" in unchanged(graph(), other)


def test_a_weight_that_is_now_computed_is_another():
    other = graph()
    other.node[0].input[1] = "t"

    assert "first" not in unchanged(graph(), other)
