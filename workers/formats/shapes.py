"""The shape of every value for one sample, through ONNX shape inference on a light copy."""

import math
from dataclasses import dataclass

import onnx
from onnx import helper, inliner

from workers.formats.folding import fold, known_shapes
from workers.formats.skeleton import skeleton

FREE_PICTURE_AXIS = 224
FREE_SIGNAL_AXIS = 512
FREE_AXIS = 128

# Operators of ONNX Runtime that shape inference does not know, each with a standard one of the same output
# shape and which of its inputs that takes. Matters for files made by ONNX Runtime's own tools.
STAND_INS: dict[str, tuple[str, tuple[int, ...]]] = {
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "FusedMatMul": ("MatMul", (0, 1)),
    "QGemm": ("Gemm", (0, 3)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
    "DynamicQuantizeLSTM": ("LSTM", (0, 1, 2)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "Gelu": ("Identity", (0,)),
    "FastGelu": ("Identity", (0,)),
    "QuickGelu": ("Identity", (0,)),
    "BiasGelu": ("Identity", (0,)),
    "SkipLayerNormalization": ("Identity", (0,)),
    "SkipSimplifiedLayerNormalization": ("Identity", (0,)),
    "SimplifiedLayerNormalization": ("Identity", (0,)),
}
KEPT_ATTRIBUTES = {
    "Conv": ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"),
    "Gemm": ("transA", "transB"),
    "LSTM": ("hidden_size", "direction"),
    "AveragePool": ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"),
}


BYTE_BITS = 8
MOST_ROUNDS = 12
MOST_FOLDED_NODES = 20_000


@dataclass(frozen=True)
class Shaped:
    """The light copy with functions and decided branches written out, and all known shapes."""

    graph: onnx.GraphProto
    shapes: dict[str, tuple[int, ...]]
    warnings: tuple[str, ...]


def infer(proto: onnx.ModelProto) -> Shaped:
    """Infer all shapes for batch 1; other free axes get a stated length and a warning."""
    light = skeleton(proto)
    if light.functions:
        light = inliner.inline_local_functions(light)
    stored = {tensor.name for tensor in proto.graph.initializer}
    warnings = _fix_free_axes(light.graph, stored)
    _forget_shapes(light.graph)
    for node in light.graph.node:
        node.ClearField("doc_string")
        _stand_in(light.graph, node)
    opset = next((item.version for item in light.opset_import if item.domain in ("", "ai.onnx")), 1)
    try:
        light = onnx.shape_inference.infer_shapes(light, data_prop=True)
        for _ in range(MOST_ROUNDS if len(light.graph.node) <= MOST_FOLDED_NODES else 0):
            if not fold(light.graph, {}, opset):
                break
            light = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        warnings.append(f"Shapes could not be inferred, so multiplications are not counted: {str(error)[:120]}")
    return Shaped(light.graph, known_shapes(light.graph), tuple(warnings))


def own_operator(node: onnx.NodeProto) -> str:
    """The operator a node of the light copy had in the network itself."""
    return str(node.doc_string or node.op_type)


def _fix_free_axes(graph: onnx.GraphProto, stored: set[str]) -> list[str]:
    """Give each free axis of each input a length: 1 for the batch, a usual one for the rest."""
    inputs = [item for item in graph.input if item.name not in stored]
    batch_names = {
        item.type.tensor_type.shape.dim[0].dim_param for item in inputs if item.type.tensor_type.shape.dim
    } - {""}
    said = []
    for item in inputs:
        dims = item.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                continue
            is_state = item is not inputs[0] and len(dims) == 3 and axis == 1  # (layers, batch, hidden)
            is_batch = axis == 0 or dim.dim_param in batch_names or is_state
            dim.dim_value = 1 if is_batch else _usual_length(item.type.tensor_type)
            if not is_batch:
                said.append(
                    f"Axis {axis} of {item.name!r} is free; multiplications are counted for length {dim.dim_value}."
                )
    return said


def _usual_length(tensor: onnx.TypeProto.Tensor) -> int:
    """A length for a free axis: of pictures by their four axes, of signals by their plain row of floats."""
    axes = len(tensor.shape.dim)
    if axes == 4:
        return FREE_PICTURE_AXIS
    return FREE_SIGNAL_AXIS if axes == 2 and tensor.elem_type == onnx.TensorProto.FLOAT else FREE_AXIS


def _forget_shapes(graph: onnx.GraphProto) -> None:
    """Drop the shapes the exporter wrote down, which may be those of another batch, where inference finds its own."""
    unknown = {name for node in graph.node if node.domain not in ("", "ai.onnx") for name in node.output}
    kept = [item for item in graph.value_info if item.name in unknown]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for item in graph.output:
        if item.type.HasField("tensor_type") and item.name not in unknown:
            item.type.tensor_type.ClearField("shape")


def _stand_in(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    if node.domain != "com.microsoft":
        return
    if node.op_type == "MatMulNBits":
        _plain_matmul(graph, node)
    elif node.op_type == "GatherBlockQuantized":
        _plain_look_up(graph, node)
    elif node.op_type in STAND_INS:
        op, slots = STAND_INS[node.op_type]
        inputs = [node.input[slot] for slot in slots if slot < len(node.input)]
        kept = [item for item in node.attribute if item.name in KEPT_ATTRIBUTES.get(op, ())]
        _become(node, op, inputs, kept)


def _plain_matmul(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """A product with packed weights, as one with a plain (K, N) matrix."""
    sizes = {item.name: item.i for item in node.attribute}
    name = f"{node.output[0]}/unpacked"
    graph.input.append(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [sizes.get("K", 0), sizes.get("N", 0)])
    )
    _become(node, "MatMul", [node.input[0], name], [])


def _plain_look_up(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """A look-up in packed rows, as one in a plain float table; the table may be shared and only seen as rows here."""
    source = next((maker.input[0] for maker in graph.node if node.input[0] in maker.output), node.input[0])
    held = {item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in graph.input}
    held |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    dims = held.get(source, [])
    if not dims or min(dims) < 1:
        return
    bits = next((item.i for item in node.attribute if item.name == "bits"), 4)
    name = f"{node.output[0]}/unpacked"
    width = math.prod(dims[1:]) * BYTE_BITS // bits
    graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [dims[0], width]))
    _become(node, "Gather", [name, node.input[1]], [])


def _become(node: onnx.NodeProto, op: str, inputs: list[str], attributes: list[onnx.AttributeProto]) -> None:
    kept = [type(item).FromString(item.SerializeToString()) for item in attributes]
    node.doc_string = node.op_type
    node.op_type, node.domain = op, ""
    del node.input[:], node.attribute[:]
    node.input.extend(inputs)
    node.attribute.extend(kept)
