"""If and Loop that always do the same: the branch taken, the rounds written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from workers.graph import folding, surgery
from workers.graph.fx.source import attributes_of

MOST_ROUNDS = 1024
MOST_NODES = 50_000


def folded(proto: ModelProto) -> ModelProto:
    """The model with each If and Loop replaced whose condition and count do not depend on the input.

    Returns:
        The model itself where it has none; else a copy, with what else is constant worked out too.
    """
    if not any(node.op_type in ("If", "Loop") for node in proto.graph.node):
        return proto
    proto = surgery.inlined(proto)
    folding.weights_are_constants(proto)
    while True:
        _work_out(proto)
        if not any(_replaced(proto, node) for node in list(proto.graph.node)):
            return proto


def _work_out(proto: ModelProto) -> None:
    """Fold constants, known shapes included."""
    folding.constants_to_weights(proto.graph)
    folding.fold_shapes(proto)
    folding.fold_constants(proto)


def _replaced(proto: ModelProto, node: NodeProto) -> bool:
    """Replace one If or Loop by its nodes, if it always does the same. Says whether it did."""
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    made: list[NodeProto] | None = None
    if node.op_type == "If" and node.input[0] in constants:
        taken = bool(numpy_helper.to_array(constants[node.input[0]]).reshape(-1)[0])
        body = attributes_of(node)["then_branch" if taken else "else_branch"]
        made = _branch(proto.graph, node, body)
    elif node.op_type == "Loop":
        made = _rounds(proto, node, {name: numpy_helper.to_array(t) for name, t in constants.items()})
    if made is None:
        return False
    position = next(index for index, other in enumerate(proto.graph.node) if other is node)
    nodes = [*proto.graph.node]
    surgery.refill(proto.graph.node, [*nodes[:position], *made, *nodes[position + 1 :]])
    return True


def _branch(graph: GraphProto, node: NodeProto, body: GraphProto) -> list[NodeProto]:
    nodes, results = _inlined(graph, body, {}, prefix="")
    return [*nodes, *_passed(results, node.output)]


def _passed(results: list[str], names: Any) -> Iterator[NodeProto]:
    """Identity nodes that give results the names the rest of the graph reads."""
    for result, name in zip(results, names, strict=True):
        if name:
            yield helper.make_node("Identity", [result], [name], name=f"{name}/Identity")


def _inlined(
    graph: GraphProto, body: GraphProto, given: dict[str, str], prefix: str
) -> tuple[list[NodeProto], list[str]]:
    """Copies of a body's nodes with its inputs replaced and its own values renamed; its weights go to the graph."""
    fresh = GraphProto()
    fresh.CopyFrom(body)
    own = [name for node in fresh.node for name in node.output if name]
    own += [tensor.name for tensor in fresh.initializer]
    names = {name: f"{prefix}{name}" for name in own} | given
    surgery.rename(fresh, names, definitions=True)
    for node in fresh.node:
        node.name = f"{prefix}{node.name}"
    graph.initializer.extend(fresh.initializer)
    return list(fresh.node), [names.get(item.name, item.name) for item in body.output]


def _rounds(proto: ModelProto, node: NodeProto, constants: dict[str, Any]) -> list[NodeProto] | None:
    """The rounds of a Loop one after the other; None where their number depends on the input."""
    graph, body = proto.graph, attributes_of(node)["body"]
    count = _count(node, body, constants)
    if count is None or count > MOST_ROUNDS or count * len(body.node) > MOST_NODES:
        return None
    carried = list(node.input[2:])
    scanned: list[list[str]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    condition = _constant(graph, f"{node.output[0]}/condition", np.array(True))
    made: list[NodeProto] = []
    for index in range(count):
        step = _constant(graph, f"{node.output[0]}/{index}", np.array(index, np.int64))
        names = dict(zip((item.name for item in body.input), [step, condition, *carried], strict=True))
        nodes, results = _inlined(graph, body, names, prefix=f"{node.output[0]}/{index}/")
        made.extend(nodes)
        carried = results[1 : 1 + len(carried)]
        for values, result in zip(scanned, results[1 + len(carried) :], strict=True):
            values.append(result)
    made.extend(_passed(carried, node.output[: len(carried)]))
    for values, name in zip(scanned, node.output[len(carried) :], strict=False):
        made.extend(_stacked(proto, values, name))
    return made


def _stacked(proto: ModelProto, values: list[str], name: str) -> Iterator[NodeProto]:
    """What the rounds gave, put behind each other on a new first axis."""
    attributes: dict[str, Any] = {} if surgery.opset(proto) >= 13 else {"axes": [0]}  # an input since opset 13
    axes = [] if attributes else [_constant(proto.graph, f"{name}/axes", np.array([0], np.int64))]
    for value in values:
        row = f"{value}/{name}"
        yield helper.make_node("Unsqueeze", [value, *axes], [row], name=f"{row}/Unsqueeze", **attributes)
    yield helper.make_node("Concat", [f"{value}/{name}" for value in values], [name], name=f"{name}/Concat", axis=0)


def _count(node: NodeProto, body: GraphProto, constants: dict[str, Any]) -> int | None:
    """How many rounds a Loop makes, if that is fixed: a constant count and a condition that stays true."""
    if not node.input[0] or node.input[0] not in constants:
        return None
    if len(node.input) > 1 and node.input[1]:
        start = constants.get(node.input[1])
        if start is None or not bool(np.ravel(start)[0]):
            return None
    return int(np.ravel(constants[node.input[0]])[0]) if _stays_true(body, constants) else None


def _stays_true(body: GraphProto, constants: dict[str, Any]) -> bool:
    """Whether a body hands its condition on, or answers a constant true."""
    name = body.output[0].name
    known = dict(constants) | {tensor.name: numpy_helper.to_array(tensor) for tensor in body.initializer}
    makers = {output: node for node in body.node for output in node.output}
    while name in makers and makers[name].op_type in ("Identity", "Cast"):
        name = makers[name].input[0]
    if name in makers and makers[name].op_type == "Constant":
        return bool(np.ravel(numpy_helper.to_array(attributes_of(makers[name])["value"]))[0])
    return name == body.input[1].name or (name in known and bool(np.ravel(known[name])[0]))


def _constant(graph: GraphProto, name: str, values: Any) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name
