"""Several ONNX nodes that are one torch module: MatMul with Add, and layer normalisation spelt out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from torch import fx, nn

from workers.graph.fx.builder import Builder
from workers.graph.fx.operators.linear import is_row, keeps_layout, place_linear
from workers.graph.fx.operators.normalisation import layer_norm_module
from workers.graph.fx.source import Source, attributes_of


@dataclass(frozen=True)
class Group:
    """Nodes that become one module, and how; the last one stands where the module is called."""

    nodes: tuple[NodeProto, ...]
    build: Callable[[Builder], fx.Node]


def found(builder: Builder) -> dict[int, Group | None]:
    """Groups by the id of their last node; None for their other nodes. A node belongs to one group at most."""
    groups: dict[int, Group | None] = {}
    for node in builder.source.graph.node:
        for match in MATCHERS.get(node.op_type, ()):
            group = match(builder, node)
            if group is not None and not any(id(member) in groups for member in group.nodes):
                groups.update({id(member): None for member in group.nodes})
                groups[id(group.nodes[-1])] = group
                break
    return groups


def linear(builder: Builder, node: NodeProto) -> Group | None:
    """MatMul by a trained matrix, stored (in, out) or turned by a Transpose; with an Add of one bias per column."""
    source = builder.source
    name, turned = _matrix(builder, node.input[1])
    if not name or (not turned and not keeps_layout(builder, name)):
        return None
    columns = source.weights[name].dims[0 if turned else 1]
    after = source.only_consumer(node.output[0])
    bias = _row_beside(builder, after, node.output[0], columns)
    last = after if after is not None and bias else node
    notes: dict[str, Any] = {"form": "MatMul", "turned": turned}
    if bias and after is not None:
        first = after.input[0] == bias
        notes |= {"product": node.output[0], "matmul": node.name, "bias_first": first}

    def build(builder: Builder) -> fx.Node:
        return place_linear(
            builder, last, node.input[0], name, bias, stored_as_linear=turned, notes=notes, outputs=list(last.output)
        )

    return Group((node, last) if bias else (node,), build)


def _matrix(builder: Builder, name: str) -> tuple[str, bool]:
    """The trained matrix behind a value and whether a Transpose turns it; an empty name where there is none."""
    if builder.is_weight(name, 2):
        return name, False
    maker = builder.source.makers.get(name)
    if maker is None or maker.op_type != "Transpose" or attributes_of(maker).get("perm", (1, 0)) != (1, 0):
        return "", False
    return (maker.input[0], True) if builder.is_weight(maker.input[0], 2) else ("", False)


def _row_beside(builder: Builder, node: NodeProto | None, value: str, columns: int) -> str:
    """The trained row an Add combines with a product; empty where it is something else."""
    if node is None or node.op_type != "Add" or list(node.input).count(value) != 1:
        return ""
    other = str(node.input[1] if node.input[0] == value else node.input[0])
    return other if is_row(builder, other, columns) else ""


def _vector_beside(builder: Builder, node: NodeProto | None, value: str, op_type: str, length: int | None) -> str:
    """The trained vector a node of this type combines with a value; empty where it is something else."""
    if node is None or node.op_type != op_type or list(node.input).count(value) != 1:
        return ""
    other = str(node.input[1] if node.input[0] == value else node.input[0])
    if not builder.is_weight(other, 1) or length not in (None, builder.source.weights[other].dims[0]):
        return ""
    return other


def layer_norm(builder: Builder, node: NodeProto) -> Group | None:
    """(x − mean) / sqrt(mean((x − mean)²) + ε) · scale + bias over the last axis, found from its division."""
    source = builder.source
    centre, root = source.makers.get(node.input[0]), source.makers.get(node.input[1])
    if centre is None or root is None or centre.op_type != "Sub" or root.op_type != "Sqrt":
        return None
    shifted = source.makers.get(root.input[0])
    epsilon, variance = _number_and_value(source, shifted, "Add")
    average, mean = source.makers.get(variance), source.makers.get(centre.input[1])
    if epsilon is None or shifted is None or average is None or mean is None:
        return None
    square = source.makers.get(average.input[0])
    means_fit = all(_is_mean_of_last(source, m) for m in (average, mean)) and mean.input[0] == centre.input[0]
    if square is None or not means_fit or not _is_square(source, square, centre.output[0]):
        return None
    scaling = source.only_consumer(node.output[0])
    scale = _vector_beside(builder, scaling, node.output[0], "Mul", None)
    if scaling is None or not scale:
        return None
    length = source.weights[scale].dims[0]
    adding = source.only_consumer(scaling.output[0])
    bias = _vector_beside(builder, adding, scaling.output[0], "Add", length)
    members = [mean, centre, square, average, shifted, root, node, scaling]
    if adding is not None and bias:
        members.append(adding)
    if not _is_closed(source, members):
        return None
    names = {"weight": scale} | ({"bias": bias} if bias else {})
    last = members[-1]

    def build(builder: Builder) -> fx.Node:
        return builder.place(
            last,
            lambda: layer_norm_module(builder, (length,), epsilon, names),
            weights=names,
            args=[builder.value(centre.input[0])],
        )

    return Group(tuple(members), build)


def group_norm(builder: Builder, node: NodeProto) -> Group | None:
    """Groups folded into channels, instance normalisation without scale, unfolded, scale and bias per channel."""
    source = builder.source
    fold, unfold = source.makers.get(node.input[0]), source.only_consumer(node.output[0])
    if fold is None or unfold is None or fold.op_type != "Reshape" or unfold.op_type != "Reshape":
        return None
    shape, rank = source.shape(fold.input[0]), source.rank(fold.input[0])
    scaling = source.only_consumer(unfold.output[0])
    adding = source.only_consumer(scaling.output[0]) if scaling is not None else None
    if scaling is None or adding is None or shape is None or rank is None or not _is_plain(source, node):
        return None
    groups, channels = source.array(node.input[1]).size, shape[1]
    scale = _per_channel_beside(builder, scaling, unfold.output[0], "Mul", channels, rank)
    bias = _per_channel_beside(builder, adding, scaling.output[0], "Add", channels, rank)
    members = (fold, node, unfold, scaling, adding)
    returns = source.shape(unfold.output[0]) in (None, shape) or unfold.input[1] in source.makers
    if not scale or not bias or channels is None or not returns or not _is_closed(source, list(members)):
        return None

    def make() -> nn.Module:
        module = nn.GroupNorm(groups, channels, attributes_of(node).get("epsilon", 1e-5), device="meta")
        module.weight = builder.parameter(scale, "flat", lambda tensor: tensor.reshape(-1))
        module.bias = builder.parameter(bias, "flat", lambda tensor: tensor.reshape(-1))
        return module

    def build(builder: Builder) -> fx.Node:
        weights, args = {"weight": scale, "bias": bias}, [builder.value(fold.input[0])]
        return builder.place(adding, make, weights=weights, args=args, notes={"rank": rank})

    return Group(members, build)


def _is_plain(source: Source, node: NodeProto) -> bool:
    """Whether a normalisation has scale one and bias zero."""
    if any(name not in source.weights for name in node.input[1:3]):
        return False
    return bool((source.array(node.input[1]) == 1).all() and (source.array(node.input[2]) == 0).all())


def _per_channel_beside(
    builder: Builder, node: NodeProto, value: str, op_type: str, channels: int | None, rank: int
) -> str:
    """The trained (C, 1, …) a node of this type combines with a value; empty where it is something else."""
    if node.op_type != op_type or list(node.input).count(value) != 1:
        return ""
    other = str(node.input[1] if node.input[0] == value else node.input[0])
    wanted = [channels, *[1] * (rank - 2)]
    if not builder.is_weight(other) or list(builder.source.weights[other].dims)[-len(wanted) :] != wanted:
        return ""
    return other if builder.source.array(other).size == channels else ""


def _number_and_value(source: Source, node: NodeProto | None, op_type: str) -> tuple[float | None, str]:
    """The constant number and the computed value a node combines."""
    if node is None or node.op_type != op_type:
        return None, ""
    for number, value in (node.input, reversed(node.input)):
        if number in source.weights and source.array(number).size == 1 and value not in source.weights:
            return float(source.array(number).reshape(-1)[0]), value
    return None, ""


def _is_mean_of_last(source: Source, node: NodeProto) -> bool:
    """Whether a node is the mean over the last axis alone, kept as an axis."""
    if node.op_type != "ReduceMean" or not attributes_of(node).get("keepdims", 1):
        return False
    axes = attributes_of(node).get("axes", ())
    if len(node.input) > 1 and node.input[1] in source.weights:
        axes = tuple(source.array(node.input[1]).reshape(-1).tolist())
    rank = source.rank(node.input[0])
    return axes == (-1,) or (rank is not None and axes == (rank - 1,))


def _is_square(source: Source, node: NodeProto, value: str) -> bool:
    if node.op_type == "Mul":
        return list(node.input) == [value, value]
    exponent = node.input[1] if node.op_type == "Pow" else ""
    return node.input[0] == value and exponent in source.weights and float(source.array(exponent)) == 2.0


def _is_closed(source: Source, members: list[NodeProto]) -> bool:
    """Whether nothing outside reads what the members make, but for the last one's result."""
    inside = {id(member) for member in members}
    made = [name for member in members[:-1] for name in member.output]
    readers = [reading for name in made for reading in source.consumers.get(name, ())]
    return not source.outputs.intersection(made) and all(id(reading) in inside for reading in readers)


MATCHERS: dict[str, tuple[Callable[[Builder, NodeProto], Group | None], ...]] = {
    "MatMul": (linear,),
    "Div": (layer_norm,),
    "InstanceNormalization": (group_norm,),
}


def tie(source: Source) -> None:
    """Share an embedding with a matrix that is equal to it, turned or not: exporters store tied weights twice."""
    tables = [name for node in source.graph.node if node.op_type == "Gather" for name in node.input[:1]]
    tables = [name for name in dict.fromkeys(tables) if _is_matrix(source, name)]
    if not tables:
        return
    for node in list(source.graph.node):
        for table in tables:
            if node.op_type in ("MatMul", "Gemm") and _is_matrix(source, node.input[1]):
                _tie_one(source, node, table)


def _is_matrix(source: Source, name: str) -> bool:
    return source.is_trained(name) and len(source.weights[name].dims) == 2


def _tie_one(source: Source, node: NodeProto, table: str) -> None:
    name = node.input[1]
    turned_by_gemm = node.op_type == "Gemm" and attributes_of(node).get("transB", 0)
    if source.real(name) == source.real(table):
        return
    if turned_by_gemm and _equal(source, name, table, turned=False):
        source.alias[name] = source.real(table)
    elif node.op_type == "MatMul" and _equal(source, name, table, turned=True):
        node.input[1] = f"{table}/turned"
        if not any(node.input[1] in other.output for other in source.graph.node):
            turn = helper.make_node("Transpose", [table], [node.input[1]], name=f"{table}/turned", perm=[1, 0])
            source.graph.node.insert(0, turn)


def _equal(source: Source, name: str, table: str, *, turned: bool) -> bool:
    dims = list(source.weights[table].dims)
    if list(source.weights[name].dims) != (dims[::-1] if turned else dims):
        return False
    values = source.array(table)
    return bool(np.array_equal(source.array(name), values.T if turned else values))
