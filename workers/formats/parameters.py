"""Which stored tensors are parameters, how many values they hold, and which layer they belong to."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from workers.formats.structure import all_nodes

_T = onnx.TensorProto
FLOATS = frozenset(
    {
        _T.FLOAT,
        _T.FLOAT16,
        _T.BFLOAT16,
        _T.DOUBLE,
        _T.FLOAT8E4M3FN,
        _T.FLOAT8E4M3FNUZ,
        _T.FLOAT8E5M2,
        _T.FLOAT8E5M2FNUZ,
        _T.FLOAT4E2M1,
    }
)
SMALL_INTEGERS = frozenset({_T.INT8, _T.UINT8, _T.INT4, _T.UINT4, _T.INT16, _T.UINT16})

# Inputs that hold scales, zero points, limits or states: stored, but learned by nobody.
NOT_LEARNED: dict[str, frozenset[int]] = {
    "QuantizeLinear": frozenset({1, 2}),
    "DequantizeLinear": frozenset({1, 2}),
    "QLinearConv": frozenset({1, 2, 4, 5, 6, 7}),
    "QLinearMatMul": frozenset({1, 2, 4, 5, 6, 7}),
    "ConvInteger": frozenset({2, 3}),
    "MatMulInteger": frozenset({2, 3}),
    "QLinearAdd": frozenset({1, 2, 4, 5, 6, 7}),
    "QLinearMul": frozenset({1, 2, 4, 5, 6, 7}),
    "QGemm": frozenset({1, 2, 4, 5, 7, 8}),
    "MatMulNBits": frozenset({2, 3, 4}),
    "GatherBlockQuantized": frozenset({1, 2, 3}),
    "DynamicQuantizeMatMul": frozenset({2, 3}),
    "MatMulIntegerToFloat": frozenset({2, 3, 4, 5}),
    "DynamicQuantizeLSTM": frozenset({4, 5, 6, 8, 9, 10, 11}),
    "LSTM": frozenset({4, 5, 6}),
    "GRU": frozenset({4, 5}),
    "RNN": frozenset({4, 5}),
    "BatchNormalization": frozenset({3, 4}),
    "Clip": frozenset({1, 2}),
    "Resize": frozenset({1, 2}),
    "Upsample": frozenset({1}),
    "Pad": frozenset({2}),
    "Dropout": frozenset({1}),
    "OneHot": frozenset({2}),
    "Pow": frozenset({1}),
}
BIASES_IN_INT32 = {("DequantizeLinear", 0), ("QLinearConv", 8), ("QGemm", 6)}
PASSES_ON = frozenset(
    {"DequantizeLinear", "QuantizeLinear", "Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze"}
)
MOST_HOPS = 8


@dataclass(frozen=True)
class Use:
    """A value as one input of one node."""

    node: onnx.NodeProto
    slot: int


def uses_by_name(graph: onnx.GraphProto) -> dict[str, list[Use]]:
    """Where each value goes, in graph order, nested graphs included.

    Products with the scale of a dynamic quantization are left out: they restore a range, and the
    scales of weights that meet it there were learned by nobody.
    """
    found: dict[str, list[Use]] = defaultdict(list)
    scales: set[str] = set()
    for node in graph.node:
        for inner in (node, *all_nodes(node_inside(node))):
            if inner.op_type == "DynamicQuantizeLinear":
                scales.add(inner.output[1])
            if inner.op_type == "Mul" and scales & set(inner.input):
                continue
            for slot, name in enumerate(inner.input):
                if name:
                    found[name].append(Use(inner, slot))
    return found


def node_inside(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes of the graphs in a node's attributes, one level down."""
    return [inner for attribute in node.attribute for graph in (attribute.g, *attribute.graphs) for inner in graph.node]


def stored_tensors(proto: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Initializers and the values of Constant nodes, by the name under which they are used."""
    yield from ((tensor.name, tensor) for tensor in proto.graph.initializer)
    yield from ((sparse.values.name, sparse.values) for sparse in proto.graph.sparse_initializer)
    for node in all_nodes(proto.graph.node):
        if node.op_type == "Constant":
            yield from ((node.output[0], item.t) for item in node.attribute if item.HasField("t"))
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from ((tensor.name, tensor) for tensor in graph.initializer)


def parameters_in(tensor: onnx.TensorProto, uses: list[Use]) -> int:
    """How many learned values a tensor holds: all of its elements, or none."""
    learned = [use for use in uses if use.slot not in NOT_LEARNED.get(use.node.op_type, ())]
    if not learned or not _has_learned_type(tensor, learned):
        return 0
    packed = next((use.node for use in learned if use.node.op_type == "MatMulNBits" and use.slot == 1), None)
    if packed is not None:
        sizes = {item.name: item.i for item in packed.attribute}
        return int(sizes.get("K", 0) * sizes.get("N", 0))
    rows = next((use.node for use in learned if use.node.op_type == "GatherBlockQuantized"), None)
    if rows is not None and tensor.data_type == _T.UINT8:
        return int(math.prod(tensor.dims) * 8 // next((item.i for item in rows.attribute if item.name == "bits"), 4))
    return math.prod(tensor.dims)


def _has_learned_type(tensor: onnx.TensorProto, learned: list[Use]) -> bool:
    if tensor.data_type in FLOATS:
        return len(tensor.dims) > 0  # a lone number is a constant of the formula
    if tensor.data_type == _T.INT32:
        return any((use.node.op_type, use.slot) in BIASES_IN_INT32 for use in learned)
    return tensor.data_type in SMALL_INTEGERS and len(tensor.dims) > 0


def owner(name: str, uses: dict[str, list[Use]]) -> onnx.NodeProto | None:
    """The first node that works with a stored tensor, looking through casts and dequantization."""
    for _ in range(MOST_HOPS):
        reading = [use for use in uses.get(name, ()) if use.slot not in NOT_LEARNED.get(use.node.op_type, ())]
        if not reading:
            return None
        node = reading[0].node
        if node.op_type not in PASSES_ON or not uses.get(node.output[0]):
            return node
        name = node.output[0]
    return None
