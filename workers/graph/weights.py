"""Which tensors are the weights of which layers, and whether they are numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from workers.errors import YoursToFix
from workers.graph import folding, surgery


def of_layers(proto: ModelProto, ops: Collection[str], *, excluded: Collection[str] = ()) -> frozenset[str]:
    """Names of the float initializers of two or more axes that layers of these types read.

    A weight that an excluded layer also reads stays out.
    """
    matrices = {
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_type in surgery.FLOATS and len(tensor.dims) >= 2
    }
    taken: set[str] = set()
    spared: set[str] = set()
    for node in proto.graph.node:
        if surgery.layer_name(node) in excluded:
            spared.update(node.input)
        elif node.op_type in ops:
            taken.update(matrices.intersection(node.input))
    return frozenset(taken - spared)


def laid_bare(proto: ModelProto) -> ModelProto:
    """A copy whose layers read their weights themselves, not through Constant and Identity nodes."""
    fresh = surgery.inlined(proto)
    folding.weights_are_constants(fresh)
    folding.constants_to_weights(fresh.graph)
    folding.drop_passing_nodes(fresh.graph)
    return fresh


def values(proto: ModelProto, names: Collection[str]) -> Iterator[NDArray[np.floating]]:
    """The arrays of these initializers, in graph order."""
    return (numpy_helper.to_array(tensor) for tensor in proto.graph.initializer if tensor.name in names)


def input_axes(proto: ModelProto, ops: Collection[str], *, excluded: Collection[str] = ()) -> dict[str, int]:
    """For each float weight that layers of these types read, the axis a product sums over.

    A weight that an excluded layer also reads stays out, and so does one whose readers disagree.
    """
    taken = of_layers(proto, ops, excluded=excluded)
    found: dict[str, set[int]] = {}
    for node in proto.graph.node:
        for slot, name in enumerate(node.input):
            if name in taken and node.op_type in ops:
                found.setdefault(name, set()).add(summed_axis(node, slot))
    return {name: axes.pop() for name, axes in found.items() if len(axes) == 1}


def summed_axis(node: NodeProto, slot: int) -> int:
    """The axis of a node's weight that a product sums over; ``slot`` is the weight's place among its inputs."""
    if node.op_type == "ConvTranspose":
        return 0
    if node.op_type == "Conv":
        return 1
    if node.op_type == "MatMul":
        return -2 if slot == 1 else -1
    if node.op_type == "Gemm":
        turned = any(item.name == ("transA", "transB")[min(slot, 1)] and item.i for item in node.attribute)
        return int(turned) if slot == 1 else int(not turned)
    return -1  # recurrent layers hold (directions, gates, inputs)


def unchanged(before: GraphProto, after: GraphProto) -> set[str]:
    """Names of the nodes with weights of their own that are the same, with the same weights, in both graphs.

    A node whose weights are computed from constants first is not among them, whatever became of it.
    """
    was, now = ({tensor.name: tensor for tensor in graph.initializer} for graph in (before, after))
    made: set[str] = set()  # of constants alone
    for node in before.node:
        if all(name in was or name in made or not name for name in node.input):
            made.update(node.output)
    twins = {node.name: node for node in after.node if node.name}
    return {
        node.name
        for node in before.node
        if node.name in twins
        and not made.intersection(node.input)
        and any(name in was for name in node.input)
        and _is_same(node, twins[node.name], was, now)
    }


def _is_same(one: NodeProto, other: NodeProto, was: dict[str, TensorProto], now: dict[str, TensorProto]) -> bool:
    if one.op_type != other.op_type or len(one.input) != len(other.input):
        return False
    for mine, its in zip(one.input, other.input, strict=True):
        if (mine in was) != (its in now):
            return False
        if mine in was and not np.array_equal(numpy_helper.to_array(was[mine]), numpy_helper.to_array(now[its])):
            return False
    return True


def require_numbers(proto: ModelProto) -> None:
    """See that a network can answer at all.

    Raises:
        YoursToFix: if a weight holds not-a-number. Infinite constants are left: masks are made of them.
    """
    for tensor in proto.graph.initializer:
        if tensor.data_type in surgery.FLOATS and np.isnan(numpy_helper.to_array(tensor)).any():
            raise YoursToFix(
                f"Expected weights that are numbers, found not-a-number in {tensor.name!r}.",
                hint="The training of this network has diverged: upload an earlier state of it.",
                code="model.not-a-number",
            )
