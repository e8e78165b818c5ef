"""Transposes that move down a network until they meet their opposite.

Every pass changes the graph in place and says how many nodes it changed or removed.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import folding, sharing, surgery
from workers.graph.axes import ENTRYWISE, reshape, written
from workers.graph.shapes import known_dims

PAIRWISE = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Clip"})
Weights = dict[str, TensorProto]


def fewer_transposes(proto: ModelProto) -> None:
    """Move Transposes down and cancel them, as long as fewer are left in the end."""
    tried = surgery.copy(proto)
    while _moved_down(tried.graph) + _joined(tried.graph):
        sharing.share_nodes(tried.graph)
        sharing.drop_unused(tried.graph)
    _without_moves(tried)
    sharing.drop_unused(tried.graph)
    if _count(tried.graph) < _count(proto.graph):
        proto.CopyFrom(tried)


def _count(graph: GraphProto) -> int:
    return sum(node.op_type == "Transpose" for node in graph.node)


def _perm(node: NodeProto | None) -> list[int] | None:
    if node is None or node.op_type != "Transpose":
        return None
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), None)


def _joined(graph: GraphProto) -> int:
    """Two Transposes in a row are one, or none."""
    makers = {name: node for node in graph.node for name in node.output}
    joined = 0
    for node in [node for node in graph.node if node.op_type == "Transpose"]:
        before = makers.get(node.input[0])
        first, second = _perm(before), _perm(node)
        if before is None or first is None or second is None:
            continue
        both = [first[axis] for axis in second]
        if both == sorted(both) and folding.bypass(graph, node, before.input[0]):
            surgery.drop_nodes(graph, [node])
            return 1
        node.CopyFrom(helper.make_node("Transpose", before.input, node.output, name=node.name, perm=both))
        joined += 1
    return joined


def _moved_down(graph: GraphProto) -> int:
    """Let nodes that work on any order of axes read what lies before a Transpose, and transpose their results."""
    makers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    borders = {item.name for item in graph.output}
    for node in graph.node:
        perm = next((found for name in node.input if (found := _perm(makers.get(name))) is not None), None)
        if perm is None or borders.intersection(node.output) or any(surgery.subgraphs(node)):
            continue
        inner = _inner(graph, node, perm, makers, weights)
        if inner is None:
            continue
        results = [f"{name}::{''.join(map(str, perm))}" for name in node.output]
        surgery.refill(inner.output, results)
        back = [
            helper.make_node("Transpose", [result], [name], name=f"{name}/Transpose", perm=perm)
            for result, name in zip(results, node.output, strict=True)
        ]
        place = next(index for index, other in enumerate(graph.node) if other is node)
        nodes = [*graph.node]
        surgery.refill(graph.node, [*nodes[:place], inner, *back, *nodes[place + 1 :]])
        return 1
    return 0


def _inner(
    graph: GraphProto, node: NodeProto, perm: list[int], makers: dict[str, NodeProto], weights: Weights
) -> NodeProto | None:
    """The node on values that are not transposed, if it can work on them."""
    fresh = NodeProto()
    fresh.CopyFrom(node)
    if node.op_type in ENTRYWISE or node.op_type in PAIRWISE:
        for slot, name in enumerate(node.input):
            if _perm(makers.get(name)) == perm:
                fresh.input[slot] = makers[name].input[0]
            elif name and (name not in weights or int(np.prod(weights[name].dims)) != 1 or len(weights[name].dims)):
                return None
        return fresh
    if node.op_type in ("Split", "Concat"):
        axis = next((attribute for attribute in fresh.attribute if attribute.name == "axis"), None)
        moved = node.input[:1] if node.op_type == "Split" else node.input
        if axis is None or any(_perm(makers.get(name)) != perm for name in moved):
            return None
        axis.i = perm[axis.i]
        surgery.refill(fresh.input, [*(makers[name].input[0] for name in moved), *node.input[len(moved) :]])
        return fresh
    if node.op_type == "Slice" and len(node.input) > 3 and node.input[3] in weights:
        if _perm(makers.get(node.input[0])) != perm:
            return None
        axes = [perm[axis] for axis in numpy_helper.to_array(weights[node.input[3]]).tolist()]
        name = surgery.add_weight(graph, f"{node.output[0]}::axes", np.array(axes, np.int64))
        surgery.refill(fresh.input, [makers[node.input[0]].input[0], *node.input[1:3], name, *node.input[4:]])
        return fresh
    return None


def _without_moves(proto: ModelProto) -> None:
    """Write a Transpose that moves no two axes longer than one past each other as the Reshape that it is."""
    dims = known_dims(proto)
    for node in proto.graph.node:
        perm, before = _perm(node), dims.get(node.input[0]) if node.input else None
        shape = written(dims.get(node.output[0])) if node.output else None
        if perm is None or before is None or shape is None:
            continue
        moving = [axis for axis in perm if before[axis] != 1]
        if moving == sorted(moving):
            node.CopyFrom(reshape(proto.graph, node.input[0], node.output[0], shape))
