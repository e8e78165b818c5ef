"""The work of a network by kind of layer: what a prediction of its time on another device needs.

A layer that a runtime merges into its neighbour (activations after a convolution, reshapes, the pairs around a
quantized tensor, what depends on constants alone) is no layer here.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import onnx

from workers.facts import KindOfWork
from workers.formats import macs

Kind = Literal["c1", "c3w", "cx", "dw", "fc", "gemm", "other"]
Node = tuple[onnx.NodeProto, str, macs.Shapes]

WEIGHT_SLOTS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}
PRODUCTS = frozenset(macs.RULES) - WEIGHT_SLOTS.keys()
MERGED = frozenset(
    {
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "BatchNormalization",
        "Identity",
        "Dropout",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Cast",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "Constant",
        "If",
        "Loop",
        "Scan",
    }
)


def by_kind(nodes: Iterable[Node], stored: set[str], *, batch: int = 1) -> tuple[KindOfWork, ...]:
    """Sum up the layers of each kind for one sample.

    Args:
        nodes: every node with its operator's own name and the shapes it sees, in the order of the graph.
        stored: the names of the tensors that lie in the file.
        batch: how many samples the shapes are for.
    """
    listed = list(nodes)
    constant = _constants(listed, stored)
    swish = _gates(listed)
    sums: dict[Kind, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for node, op, shapes in listed:
        if not op or op in MERGED or node.output[0] in constant or node.output[0] in swish:
            continue
        total = sums[_kind(node, shapes, constant)]
        for slot, value in enumerate(_row(node, shapes, constant)):
            total[slot] += value
    return tuple(
        KindOfWork(
            kind=kind,
            count=count,
            macs=products // batch,
            weights=weights,
            act_in=act_in // batch,
            act_out=act_out // batch,
        )
        for kind, (count, products, weights, act_in, act_out) in sorted(sums.items())
    )


def _row(node: onnx.NodeProto, shapes: macs.Shapes, constant: set[str]) -> tuple[int, int, int, int, int]:
    """One layer, its products, and the sizes of its weights, of what goes in and of what comes out."""
    try:
        products = macs.count(node, shapes)
    except macs.Unknown:
        products = 0
    sizes = {name: math.prod(shapes[name]) for name in (*node.input, *node.output) if shapes.get(name)}
    weights = sum(sizes.get(name, 0) for name in node.input if name in constant)
    goes_in = sum(sizes.get(name, 0) for name in node.input if name not in constant)
    return 1, products, weights, goes_in, sum(sizes.get(name, 0) for name in node.output)


def _kind(node: onnx.NodeProto, shapes: macs.Shapes, constant: set[str]) -> Kind:
    if node.op_type in WEIGHT_SLOTS:
        return _kind_of_convolution(node, shapes)
    if node.op_type not in PRODUCTS:
        return "other"
    learned = any(name in constant for name in node.input if len(shapes.get(name, ())) > 1)
    shape = shapes.get(node.output[0], ())
    one_row = bool(shape) and math.prod(shape[:-1]) == 1
    return "fc" if node.op_type in ("Gemm", "QGemm") or (learned and one_row) else "gemm"


def _kind_of_convolution(node: onnx.NodeProto, shapes: macs.Shapes) -> Kind:
    said = macs.attributes(node)
    slot = WEIGHT_SLOTS[node.op_type]
    kernel = shapes.get(node.input[slot] if slot < len(node.input) else "", ())[2:]
    if said.get("group", 1) != 1:
        return "dw"
    if node.op_type == "ConvTranspose":
        return "cx"
    if all(side == 1 for side in kernel):
        return "c1"
    plain = all(step == 1 for name in ("strides", "dilations") for step in _numbers(said.get(name)))
    return "c3w" if kernel == (3, 3) and plain else "cx"


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _constants(nodes: list[Node], stored: set[str]) -> set[str]:
    """The stored tensors, and what nodes make of them and of shapes alone."""
    known = set(stored)
    for node, op, _ in nodes:
        given = [name for name in node.input if name]
        fixed = op in ("Constant", "Shape", "Size") or (bool(given) and all(name in known for name in given))
        if fixed:
            known.update(node.output)
    return known


def _gates(nodes: list[Node]) -> set[str]:
    """The outputs of sigmoids that scale their own input: with the product one layer (swish), not two."""
    sigmoids = {node.output[0]: node.input[0] for node, op, _ in nodes if op in ("Sigmoid", "HardSigmoid")}
    return {
        name
        for node, op, _ in nodes
        if op == "Mul"
        for name in node.input
        if name in sigmoids and sigmoids[name] in node.input
    }
