"""Nodes that only rename axes: several in a row become one, and those that end where they began go.

Every pass changes the graph in place and says how many nodes it removed or merged.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from workers.graph import folding, surgery
from workers.graph.shapes import Dims, known_dims

VIEWS = frozenset({"Squeeze", "Unsqueeze", "Reshape", "Flatten"})
ENTRYWISE = frozenset(
    {
        "Abs", "Cast", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
        "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign",
        "Sqrt", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"})


def fewer_views(proto: ModelProto) -> int:
    """Merge chains of Squeeze, Unsqueeze, Reshape and Flatten, also around operators that work entry by entry.

    A shape with one free side can be written down with -1 in its place; with two it cannot, and such a chain stays.
    """
    graph, dims = proto.graph, known_dims(proto)
    changed = _reductions_of_one(graph, dims) + _picked_and_put_back(graph) + _behind_entrywise(graph, dims)
    return changed + _merged(graph, dims)


def written(dims: Dims | None) -> list[int] | None:
    """A shape as Reshape takes it, with -1 for its one free side; nothing where it cannot be written."""
    if dims is None or 0 in dims or dims.count(None) > 1:
        return None
    return [-1 if side is None else side for side in dims]


def reshape(graph: GraphProto, source: str, target: str, shape: list[int]) -> NodeProto:
    """A Reshape to a constant shape, whose initializer is added."""
    name = surgery.add_weight(graph, f"{target}::shape", np.array(shape, np.int64))
    return helper.make_node("Reshape", [source, name], [target], name=f"{target}::reshape")


def _merged(graph: GraphProto, dims: dict[str, Dims]) -> int:
    merged = 0
    for node in [node for node in graph.node if _is_view(node)]:
        makers = {name: other for other in graph.node for name in other.output}
        source = node.input[0]
        while source in makers and _is_view(makers[source]):
            source = makers[source].input[0]
        shape = written(dims.get(node.output[0]))
        if shape is None:
            continue
        if shape == written(dims.get(source)) and folding.bypass(graph, node, source):
            surgery.drop_nodes(graph, [node])
            merged += 1
        elif source != node.input[0]:
            node.CopyFrom(reshape(graph, source, node.output[0], shape))
            merged += 1
    return merged


def _is_view(node: NodeProto) -> bool:
    return node.op_type in VIEWS and node.domain in surgery.STANDARD


def _behind_entrywise(graph: GraphProto, dims: dict[str, Dims]) -> int:
    """Move views behind operators that work entry by entry, where another view follows with which they can merge."""
    readers, borders = surgery.consumers(graph), {item.name for item in graph.output}
    makers = {name: node for node in graph.node for name in node.output}
    moved = 0
    for node in [node for node in graph.node if node.op_type in ENTRYWISE]:
        view, name = makers.get(node.input[0]), node.output[0]
        shape = written(dims.get(name))
        if view is None or not _is_view(view) or view.output[0] in borders or shape is None:
            continue
        if len(readers[view.output[0]]) != 1 or not _before_views(name, readers, borders):
            continue
        inner = f"{name}::entries"
        view.CopyFrom(surgery.relabelled(node, [view.input[0]], [inner]))
        node.CopyFrom(reshape(graph, inner, name, shape))
        makers |= {inner: view, name: node}
        moved += 1
    return moved


def _before_views(name: str, readers: dict[str, list[NodeProto]], borders: set[str]) -> bool:
    """Whether a value goes into views only, perhaps after more operators that work entry by entry."""
    after = readers.get(name, [])
    if name in borders or not after:
        return False
    if len(after) == 1 and after[0].op_type in ENTRYWISE:
        return _before_views(after[0].output[0], readers, borders)
    return all(map(_is_view, after))


def _reductions_of_one(graph: GraphProto, dims: dict[str, Dims]) -> int:
    """A mean, sum or extreme over axes of length one changes the shape alone."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    changed = 0
    for node in [node for node in graph.node if node.op_type in REDUCTIONS]:
        axes, before = folding.axes_of(node, weights), dims.get(node.input[0])
        shape = written(dims.get(node.output[0]))
        if axes and before and shape is not None and all(before[axis] == 1 for axis in axes):
            node.CopyFrom(reshape(graph, node.input[0], node.output[0], shape))
            changed += 1
    return changed


def _picked_and_put_back(graph: GraphProto) -> int:
    """Taking one entry of an axis and putting the axis back is taking a list of one entry."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    changed = 0
    for node in [node for node in graph.node if node.op_type == "Unsqueeze"]:
        pick = makers.get(node.input[0])
        if pick is None or pick.op_type != "Gather" or pick.input[1] not in weights:
            continue
        index = numpy_helper.to_array(weights[pick.input[1]])
        axis = next((attribute.i for attribute in pick.attribute if attribute.name == "axis"), 0)
        if index.ndim or axis < 0 or folding.axes_of(node, weights) != [axis]:
            continue
        name = surgery.add_weight(graph, f"{node.output[0]}::index", index.reshape(1))
        node.CopyFrom(surgery.relabelled(pick, [pick.input[0], name], node.output))
        changed += 1
    return changed
