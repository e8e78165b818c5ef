"""A static 8-bit network as an x86 processor without VNNI computes it, written in operators that every processor has.

Its kernels multiply unsigned activations with signed weights two by two and add each pair in 16 bits with saturation
(VPMADDUBSW, Intel's Software Developer's Manual, volume 2); only then do they go on in 32 bits. ONNX Runtime lays the
products of a convolution out by kernel position first and channel last, those of a matrix product in their order. A
pair of weights of one sign beyond 128 together can saturate; 7-bit weights never do. For the pairs that can, the
network gets nodes that compute what is cut off and take it away again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import surgery

LARGEST_ACTIVATION = 255
HIGHEST, LOWEST = 32767, -32768
MOST_PAIRS = 20_000
LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
INTEGER_LAYERS = {"MatMulInteger": 1, "ConvInteger": 1}


@dataclass(frozen=True)
class Layer:
    """One layer that multiplies unsigned with signed bytes.

    ``weights`` is (out, k) in the order in which pairs are formed; ``places`` maps k to a flat place in one output's
    own weights, (in, kh, kw) or (in,).
    """

    node: NodeProto
    activation: NodeProto
    weights: NDArray[np.int8]
    places: NDArray[np.int64]
    scale: NDArray[np.float32]
    kernel: tuple[int, ...] = ()

    @property
    def at_risk(self) -> NDArray[np.int64]:
        """(pairs, 2): the output and the first k of each pair that can saturate."""
        weights = np.pad(self.weights.astype(np.int64), ((0, 0), (0, self.weights.shape[1] % 2)))
        pairs = weights.reshape(len(weights), -1, 2)
        most = LARGEST_ACTIVATION * np.maximum(pairs, 0).sum(axis=2)
        least = LARGEST_ACTIVATION * np.minimum(pairs, 0).sum(axis=2)
        found = np.argwhere((most > HIGHEST) | (least < LOWEST))  # (pairs, 2): output, number of the pair
        risky: NDArray[np.int64] = found * np.array([1, 2])
        return risky


def layers(proto: ModelProto) -> list[Layer]:
    """The layers between DequantizeLinear nodes whose activations are unsigned and whose weights are signed bytes.

    Depthwise convolutions have kernels of their own, which widen each product.
    """
    makers = {name: node for node in proto.graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    return [
        layer
        for node in proto.graph.node
        if node.op_type in LAYERS and (layer := _layer(node, makers, stored)) is not None
    ]


def pairs_at_risk(proto: ModelProto) -> int:
    """How many pairs of weights can saturate, over all layers with weights in the file; of dynamic ones too."""
    static = sum(len(layer.at_risk) for layer in layers(proto))
    return static + sum(_in_integer_layer(node, proto) for node in proto.graph.node if node.op_type in INTEGER_LAYERS)


def is_static(proto: ModelProto) -> bool:
    """Whether no layer computes its ranges anew in every run, so that ``without_vnni`` shows all that can happen."""
    return not any(node.op_type in INTEGER_LAYERS or "Dynamic" in node.op_type for node in proto.graph.node)


def without_vnni(proto: ModelProto) -> ModelProto:
    """The network with what saturates taken away; float nodes do it, so it answers as the slower processor would.

    Raises:
        ValueError: if more pairs can saturate than can be followed.
    """
    found = [(layer, layer.at_risk) for layer in layers(proto)]
    if (number := sum(len(pairs) for _, pairs in found)) > MOST_PAIRS:
        raise ValueError(f"{number} pairs of weights can saturate, more than {MOST_PAIRS}")
    changed = surgery.copy(proto)
    for position, (layer, pairs) in enumerate(found):
        if len(pairs):
            _correct(changed, layer, pairs, f"saturated_{position}")
    surgery.sort_topologically(changed.graph)
    del changed.graph.value_info[:]
    return changed


def _layer(node: NodeProto, makers: dict[str, NodeProto], stored: dict[str, TensorProto]) -> Layer | None:
    given, held = (makers.get(name) for name in node.input[:2])
    if given is None or held is None or {given.op_type, held.op_type} != {"DequantizeLinear"}:
        return None
    tensor, zero = stored.get(held.input[0]), stored.get(given.input[2]) if len(given.input) > 2 else None
    if tensor is None or zero is None or tensor.data_type != TensorProto.INT8 or zero.data_type != TensorProto.UINT8:
        return None
    weights = numpy_helper.to_array(tensor)
    arranged = _arranged(node, weights)
    if arranged is None:
        return None
    rows, places = arranged
    scale = np.asarray(numpy_helper.to_array(stored[held.input[1]]), np.float32).ravel()
    scales = np.broadcast_to(scale, (len(rows),)) if scale.size == 1 else scale
    return Layer(node, given, rows, places, scales, weights.shape[2:] if node.op_type == "Conv" else ())


def _arranged(node: NodeProto, weights: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64]] | None:
    """Weights as (out, k) with pairs side by side, and where each k stands in an output's own weights."""
    said = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Conv":
        if weights.shape[1] == 1 and said.get("group", 1) > 1:
            return None
        flat = np.arange(weights[0].size).reshape(weights.shape[1:])  # (in, kh, kw)
        places = np.moveaxis(flat, 0, -1).ravel()  # kernel position first, channel last
        return weights.reshape(len(weights), -1)[:, places], places
    if weights.ndim != 2:
        return None
    rows = weights if node.op_type == "Gemm" and said.get("transB", 0) else weights.T
    return np.ascontiguousarray(rows), np.arange(rows.shape[1])


def _in_integer_layer(node: NodeProto, proto: ModelProto) -> int:
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    tensor = stored.get(node.input[INTEGER_LAYERS[node.op_type]])
    if tensor is None or tensor.data_type != TensorProto.INT8:
        return 0
    weights = numpy_helper.to_array(tensor)
    rows = weights.reshape(-1, weights.shape[-1]).T if node.op_type == "MatMulInteger" else weights
    arranged = _arranged(helper.make_node("Conv", [], []), rows) if rows.ndim == 4 else (rows, np.arange(0))
    return 0 if arranged is None else len(Layer(node, node, arranged[0], arranged[1], np.ones(1, np.float32)).at_risk)


def _correct(proto: ModelProto, layer: Layer, pairs: NDArray[np.int64], prefix: str) -> None:
    """Add nodes behind a layer that add clip(sum of each pair) - (sum of each pair), in the layer's own scale."""
    graph, node = proto.graph, next(one for one in proto.graph.node if one.output[0] == layer.node.output[0])
    of_pairs, to_outputs = _as_layers(layer, pairs)
    given = layer.activation
    zero = float(numpy_helper.to_array(next(t for t in graph.initializer if t.name == given.input[2])))
    scale = float(numpy_helper.to_array(next(t for t in graph.initializer if t.name == given.input[1])))
    offset = zero * of_pairs.reshape(len(of_pairs), -1).sum(axis=1)
    convolution = node.op_type == "Conv"
    if not convolution:
        of_pairs, to_outputs = of_pairs.T, to_outputs.T
    else:
        to_outputs = to_outputs[:, :, None, None] if of_pairs.ndim == 4 else to_outputs[:, :, None]
        offset = offset.reshape((1, -1) + (1,) * (of_pairs.ndim - 2))
    values = {
        "zero": np.float32(zero), "pairs": of_pairs, "offset": offset, "lowest": np.float32(LOWEST),
        "highest": np.float32(HIGHEST), "outputs": to_outputs * np.float32(scale),
    }  # fmt: skip
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), f"{prefix}_{name}") for name, value in values.items()
    )
    op = "Conv" if convolution else "MatMul"
    shape = _like(node) if convolution else {}
    kept, name = node.output[0], f"{prefix}_{{}}".format
    node.output[0] = name("exact")
    graph.node.extend(
        [
            helper.make_node("Cast", [given.input[0]], [name("bytes")], to=TensorProto.FLOAT),
            helper.make_node("Sub", [name("bytes"), name("zero")], [name("centred")]),
            helper.make_node(op, [name("centred"), name("pairs")], [name("products")], **shape),
            helper.make_node("Add", [name("products"), name("offset")], [name("sums")]),
            helper.make_node("Clip", [name("sums"), name("lowest"), name("highest")], [name("clipped")]),
            helper.make_node("Sub", [name("clipped"), name("sums")], [name("cut")]),
            helper.make_node(op, [name("cut"), name("outputs")], [name("lost")]),
            helper.make_node("Add", [name("exact"), name("lost")], [kept]),
        ]
    )


def _as_layers(layer: Layer, pairs: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A layer with one output for each pair, and one that gathers the pairs of each output in its scale.

    Returns:
        (pairs, in, kh, kw) or (pairs, in), over all channels also where the layer is grouped; (out, pairs).
    """
    said = {item.name: helper.get_attribute_value(item) for item in layer.node.attribute}
    groups = int(said.get("group", 1)) if layer.node.op_type == "Conv" else 1
    width = layer.weights.shape[1]
    of_pairs = np.zeros((len(pairs), groups, width), np.float32)
    to_outputs = np.zeros((len(layer.weights), len(pairs)), np.float32)
    for row, (output, first) in enumerate(pairs):
        for k in range(first, min(first + 2, width)):
            of_pairs[row, output * groups // len(layer.weights), layer.places[k]] = layer.weights[output, k]
        to_outputs[output, row] = layer.scale[output]
    return of_pairs.reshape(len(pairs), *_own_shape(layer, groups)), to_outputs


def _own_shape(layer: Layer, groups: int) -> tuple[int, ...]:
    """All input channels, then the kernel."""
    width = layer.weights.shape[1]
    if layer.node.op_type != "Conv":
        return (width,)
    return (groups * width // int(np.prod(layer.kernel)), *layer.kernel)


def _like(node: NodeProto) -> dict[str, Any]:
    """The window of a convolution: everything but its groups."""
    kept = ("strides", "pads", "dilations", "auto_pad", "kernel_shape")
    said = {item.name: helper.get_attribute_value(item) for item in node.attribute if item.name in kept}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in said.items()}
