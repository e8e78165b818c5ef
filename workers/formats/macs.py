"""Multiply-accumulates of one node, from the shapes of what goes in and comes out.

A multiply-accumulate is one product added to a sum; biases, activations and normalisation are not
counted, as is usual (for example in MobileNet, arXiv:1704.04861, section 3).
"""

import math
from collections.abc import Callable

import onnx

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
HEAVY_BUT_UNCOUNTED = frozenset(
    {"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "DeformConv", "QLinearConvTranspose"}
)


class Unknown(Exception):
    """A shape that is needed is not known."""


def count(node: onnx.NodeProto, shapes: Shapes) -> int:
    """The multiply-accumulates of a node; 0 for operators that do none.

    Raises:
        Unknown: if a needed shape is not known, or the operator multiplies in a way not counted here.
    """
    if node.op_type in HEAVY_BUT_UNCOUNTED:
        raise Unknown(node.op_type)
    rule = RULES.get(node.op_type)
    return 0 if rule is None else rule(node, shapes)


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    """The attributes of a node as Python values."""
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _shape(node: onnx.NodeProto, slot: int, shapes: Shapes) -> Shape:
    name = node.input[slot] if slot < len(node.input) else ""
    if name not in shapes:
        raise Unknown(node.op_type)
    return shapes[name]


def _output(node: onnx.NodeProto, shapes: Shapes) -> Shape:
    if node.output[0] not in shapes:
        raise Unknown(node.op_type)
    return shapes[node.output[0]]


def _convolution(weight_slot: int) -> Callable[[onnx.NodeProto, Shapes], int]:
    """Every output element sums over (in / groups) x kernel products; weights are (out, in / groups, *kernel)."""

    def macs(node: onnx.NodeProto, shapes: Shapes) -> int:
        weight = _shape(node, weight_slot, shapes)
        return math.prod(_output(node, shapes)) * math.prod(weight[1:])

    return macs


def _transposed_convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every input element meets (out / groups) x kernel weights; weights are (in, out / groups, *kernel)."""
    weight = _shape(node, 1, shapes)
    return math.prod(_shape(node, 0, shapes)) * math.prod(weight[1:])


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    first = _shape(node, 0, shapes)
    depth = first[0] if attributes(node).get("transA") else first[-1]
    return math.prod(_output(node, shapes)) * depth


def _matmul(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(_output(node, shapes)) * _shape(node, 0, shapes)[-1]


def _recurrent(gates: int) -> Callable[[onnx.NodeProto, Shapes], int]:
    """Each step and direction multiplies the input and the state into every gate."""

    def macs(node: onnx.NodeProto, shapes: Shapes) -> int:
        said = attributes(node)
        given: Shape = _shape(node, 0, shapes)  # (steps, batch, in), or (batch, steps, in)
        hidden = next(int(item.i) for item in node.attribute if item.name == "hidden_size")
        directions = 2 if said.get("direction") == b"bidirectional" else 1
        return given[0] * given[1] * directions * gates * hidden * (given[2] + hidden)

    return macs


def _einsum(node: onnx.NodeProto, shapes: Shapes) -> int:
    """One product for every combination of all letters, for two operands without dots."""
    equation = attributes(node).get("equation", b"")
    text = equation.decode().replace(" ", "") if isinstance(equation, bytes) else ""
    operands = text.split("->")[0].split(",")
    if len(operands) != 2 or "." in text:
        raise Unknown(node.op_type)
    sizes: dict[str, int] = {}
    for slot, letters in enumerate(operands):
        sizes.update(zip(letters, _shape(node, slot, shapes), strict=True))
    return math.prod(sizes.values())


RULES: dict[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
    "Einsum": _einsum,
}
