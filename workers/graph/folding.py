"""Working out in advance what never changes: constant nodes, batch-norm after convolutions, nodes that pass values on.

Every pass changes the graph in place and says how many nodes it removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.contract import Contract
from workers.graph import surgery
from workers.graph.shapes import known_dims

RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout"}
)
GROWTH_BYTES = 1024  # what a folded constant may add to the file


def weights_are_constants(proto: ModelProto) -> None:
    """Take weights off the list of inputs, where old exporters put them as if a caller might replace them."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    surgery.refill(proto.graph.input, [item for item in proto.graph.input if item.name not in weights])
    proto.ir_version = max(proto.ir_version, 4)  # from version 4 on, weights need not be inputs


def fix_sides(proto: ModelProto, contract: Contract) -> None:
    """Write the sizes that the input contract fixes into the inputs, so that what is computed from them is constant.

    The axis of the samples stays free, and so does every side that the contract leaves free.
    """
    specs = {spec.name: spec for spec in contract.inputs}
    for item in proto.graph.input:
        spec = specs.get(item.name)
        if spec is None:
            continue
        sides = list(spec.shape)
        if spec.batch_axis is not None:
            sides.insert(spec.batch_axis, 0)
        if len(sides) != len(item.type.tensor_type.shape.dim):
            continue
        for side, dim in zip(sides, item.type.tensor_type.shape.dim, strict=True):
            if side > 0 and not dim.HasField("dim_value"):
                dim.dim_value = side


def constants_to_weights(graph: GraphProto) -> int:
    """Turn Constant nodes that hold a tensor into initializers."""
    removed = []
    for node in graph.node:
        if node.op_type != "Constant" or node.domain not in surgery.STANDARD:
            continue
        tensor = _tensor_of(node)
        if tensor is not None:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            removed.append(node)
    surgery.drop_nodes(graph, removed)
    return len(removed)


def _tensor_of(node: NodeProto) -> TensorProto | None:
    """The value of a Constant node; nothing for the sparse and text forms, which stay as they are."""
    attribute = node.attribute[0]
    tensor = TensorProto()
    if attribute.name == "value":
        tensor.CopyFrom(attribute.t)
    elif attribute.name in ("value_float", "value_floats"):
        tensor.CopyFrom(numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), np.float32)))
    elif attribute.name in ("value_int", "value_ints"):
        tensor.CopyFrom(numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), np.int64)))
    else:
        return None
    return tensor


def fold_constants(proto: ModelProto) -> int:
    """Replace nodes whose inputs are all constant by their result, computed by onnxruntime itself.

    A result stays a node where storing it would make the file bigger than its inputs did, and so do
    quantized weights, whose DequantizeLinear is what lets the runtime compute in 8 bits.
    """
    graph = proto.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    readers = surgery.consumers(graph)
    borders = {item.name for item in graph.output}
    removed = []
    for node in graph.node:
        if not _may_fold(node, weights, borders):
            continue
        results = _computed(node, weights, proto)
        freed = sum(len(weights[name].raw_data) for name in {*node.input} if name and len(readers[name]) == 1)
        if results is None or sum(len(tensor.raw_data) for tensor in results) > freed + GROWTH_BYTES:
            continue
        weights.update({tensor.name: tensor for tensor in results})
        graph.initializer.extend(results)
        removed.append(node)
    surgery.drop_nodes(graph, removed)
    return len(removed)


def _may_fold(node: NodeProto, weights: dict[str, TensorProto], borders: set[str]) -> bool:
    if (
        node.domain not in surgery.STANDARD
        or node.op_type in RANDOM | surgery.QUANTIZED_OPS
        or any(surgery.subgraphs(node))
    ):
        return False
    constant = all(name in weights for name in node.input if name)
    return bool(node.input) and constant and not borders.intersection(node.output)


def _computed(node: NodeProto, weights: dict[str, TensorProto], proto: ModelProto) -> list[TensorProto] | None:
    """The outputs of a constant node, or nothing where this runtime has no kernel for it."""
    outputs = [name for name in node.output if name]
    graph = GraphProto(
        name="fold", node=[node], initializer=[weights[name] for name in dict.fromkeys(node.input) if name]
    )
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    alone = ModelProto(ir_version=proto.ir_version, graph=graph, opset_import=proto.opset_import)
    options = surgery.session_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(alone.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = session.run(outputs, {})
    except Exception:  # onnxruntime raises a family of bare errors; the node then simply stays
        return None
    if not all(isinstance(value, np.ndarray) and value.dtype != object for value in values):
        return None
    return [numpy_helper.from_array(value, name) for name, value in zip(outputs, values, strict=True)]


def fold_shapes(proto: ModelProto) -> int:
    """Replace Shape of a fully known shape, Gather of a known axis from a partly free one, and Size, its rank."""
    graph = proto.graph
    dims = known_dims(proto)
    shapes = {node.output[0]: node for node in graph.node if node.op_type == "Shape" and not node.attribute}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    borders = {item.name for item in graph.output}
    done = []
    for node in graph.node:
        values: Any = None
        if node.op_type == "Shape" and not node.attribute:
            values = dims.get(node.input[0])
        elif node.op_type == "Gather" and node.input[0] in shapes and node.input[1] in weights:
            known = dims.get(shapes[node.input[0]].input[0])
            picked = numpy_helper.to_array(weights[node.input[1]])
            values = None if known is None else np.array(known, object)[picked]
        elif node.op_type == "Size" and node.input[0] in shapes:
            known = dims.get(shapes[node.input[0]].input[0])
            values = None if known is None else len(known)
        is_known = values is not None and None not in np.ravel(np.array(values, object)).tolist()
        if node.output[0] in borders or not is_known:
            continue
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), node.output[0]))
        done.append(node)
    surgery.drop_nodes(graph, done)
    return len(done)


def drop_passing_nodes(graph: GraphProto) -> int:
    """Remove Identity and, as it does nothing outside training, Dropout."""
    removed = 0
    for node in list(graph.node):
        if _passes_on(node) and bypass(graph, node, node.input[0]):
            surgery.drop_nodes(graph, [node])
            removed += 1
    return removed


def drop_undone_squeezes(graph: GraphProto) -> int:
    """Let readers of an Unsqueeze read what the Squeeze before it took the same axes from."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    borders = {item.name for item in graph.output}
    undone = []
    for node in graph.node:
        before = makers.get(node.input[0]) if node.op_type == "Unsqueeze" else None
        if before is None or before.op_type != "Squeeze" or node.output[0] in borders:
            continue
        axes = axes_of(node, weights)
        if axes is not None and axes == axes_of(before, weights):
            surgery.rename(graph, {node.output[0]: before.input[0]})
            undone.append(node)
    surgery.drop_nodes(graph, undone)
    return len(undone)


def axes_of(node: NodeProto, weights: dict[str, TensorProto]) -> list[int] | None:
    """The axes of a Squeeze, Unsqueeze or reduction: once an attribute, an input in newer operator sets."""
    for attribute in node.attribute:
        if attribute.name == "axes":
            return list(attribute.ints)
    if len(node.input) < 2 or node.input[1] not in weights:
        return None
    return [int(axis) for axis in numpy_helper.to_array(weights[node.input[1]])]


def _passes_on(node: NodeProto) -> bool:
    if node.domain not in surgery.STANDARD:
        return False
    if node.op_type == "Identity":
        return True
    # The third input of Dropout switches training on; its second output is the mask.
    return node.op_type == "Dropout" and len(node.input) < 3 and not any(node.output[1:])


def bypass(graph: GraphProto, node: NodeProto, source: str) -> bool:
    """Let readers of a node's output read another value. Says whether that was possible."""
    target = node.output[0]
    borders = {item.name for item in graph.output}
    if target not in borders:
        surgery.rename(graph, {target: source})
        return True
    makers = [maker for maker in graph.node if source in maker.output]
    if not makers or source in borders:
        return False
    surgery.rename(graph, {source: target}, but=node, definitions=True)
    return True


def merge_batch_norm(proto: ModelProto) -> int:
    """Multiply batch-norm into the convolution before it, in float32 and in onnxruntime's order of operations."""
    graph = proto.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    readers = surgery.consumers(graph)
    borders = {item.name for item in graph.output}
    makers = {name: node for node in graph.node for name in node.output}
    removed = 0
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization" and len(node.output) == 1]:
        conv = makers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or conv.output[0] in borders or len(readers[conv.output[0]]) != 1:
            continue
        if not _may_merge(conv, norm, weights, readers):
            continue
        _merge(graph, conv, norm, weights)
        removed += 1
    return removed


def _may_merge(
    conv: NodeProto, norm: NodeProto, weights: dict[str, TensorProto], readers: dict[str, list[NodeProto]]
) -> bool:
    """Whether everything is float32 and constant, and the convolution's weights are its own."""
    needed = [*conv.input[1:], *norm.input[1:]]
    if any(name not in weights or weights[name].data_type != TensorProto.FLOAT for name in needed if name):
        return False
    training = next((attribute.i for attribute in norm.attribute if attribute.name == "training_mode"), 0)
    return not training and all(len(readers[name]) == 1 for name in conv.input[1:] if name)


def _merge(graph: GraphProto, conv: NodeProto, norm: NodeProto, weights: dict[str, TensorProto]) -> None:
    gamma, beta, mean, variance = (numpy_helper.to_array(weights[name]) for name in norm.input[1:5])
    epsilon = np.float32(next((attribute.f for attribute in norm.attribute if attribute.name == "epsilon"), 1e-5))
    scale = gamma / np.sqrt(variance + epsilon)
    weight = numpy_helper.to_array(weights[conv.input[1]])
    own = conv.input[2] if len(conv.input) > 2 else ""
    bias = numpy_helper.to_array(weights[own]) if own else np.zeros_like(beta)
    merged = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))  # one scale per output channel
    shifted = (bias - mean) * scale + beta
    weights[conv.input[1]].CopyFrom(numpy_helper.from_array(merged, conv.input[1]))
    name = own or f"{conv.output[0]}::bias"
    fresh = numpy_helper.from_array(shifted, name)
    if own:
        weights[name].CopyFrom(fresh)
    else:
        graph.initializer.append(fresh)
        weights[name] = graph.initializer[-1]
        conv.input[:] = [*conv.input[:2], name]
    output = norm.output[0]
    surgery.drop_nodes(graph, [norm])
    conv.output[0] = output
