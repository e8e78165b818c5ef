"""Keeping one of each: equal weights, equal nodes, nothing unused, and short names.

Every pass changes the graph in place and says how much it removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import count

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from workers.graph import surgery
from workers.graph.folding import RANDOM

DIGITS = "abcdefghijklmnopqrstuvwxyz"


def share_weights(graph: GraphProto) -> int:
    """Keep one of several initializers with the same type, shape and bytes."""
    borders = {item.name for item in (*graph.input, *graph.output)}
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in borders:
            continue
        kept = first.setdefault(_digest(tensor), tensor.name)
        if kept != tensor.name:
            same[tensor.name] = kept
    surgery.rename(graph, same)
    return surgery.drop_weights(graph, same)


def _digest(tensor: TensorProto) -> bytes:
    content = tensor.raw_data or numpy_helper.to_array(tensor).tobytes()
    return sha256(f"{tensor.data_type}{list(tensor.dims)}".encode() + content).digest()


def share_nodes(graph: GraphProto) -> int:
    """Keep one of several nodes that do the same with the same inputs."""
    borders = {item.name for item in graph.output}
    first: dict[tuple[object, ...], NodeProto] = {}
    removed = []
    for node in graph.node:
        if (
            node.op_type in RANDOM
            or any(surgery.subgraphs(node))
            or borders.intersection(node.output)
            or node.op_type == "Constant"
        ):
            continue
        attributes = tuple(sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute))
        kept = first.setdefault((node.domain, node.op_type, tuple(node.input), attributes, len(node.output)), node)
        if kept is node or [bool(name) for name in kept.output] != [bool(name) for name in node.output]:
            continue
        removed.append(node)
        surgery.rename(graph, {old: new for old, new in zip(node.output, kept.output, strict=True) if old}, but=node)
    surgery.drop_nodes(graph, removed)
    return len(removed)


def drop_unused(graph: GraphProto) -> int:
    """Remove nodes and initializers nothing needs."""
    removed = 0
    wanted = {item.name for item in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted |= surgery.reads(node)
            kept.append(node)
        else:
            removed += 1
    surgery.refill(graph.node, reversed(kept))
    return removed + surgery.drop_weights(graph, {tensor.name for tensor in graph.initializer} - wanted)


def drop_remarks(proto: ModelProto) -> None:
    """Forget inferred shapes, documentation and what exporters noted on each node; the runtime infers shapes itself."""
    proto.ClearField("doc_string")
    proto.graph.ClearField("doc_string")
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    for node in surgery.all_nodes(proto.graph):
        node.ClearField("doc_string")
        del node.metadata_props[:]
        for body in surgery.subgraphs(node):
            body.ClearField("doc_string")
            del body.value_info[:]
    for tensor in proto.graph.initializer:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    for item in (*proto.graph.input, *proto.graph.output):
        item.ClearField("doc_string")


def compact_weights(graph: GraphProto) -> None:
    """Store every initializer as raw bytes; typed fields may take several bytes an element."""
    for tensor in graph.initializer:
        if not tensor.raw_data and tensor.data_type != TensorProto.STRING:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))


def shorten_names(graph: GraphProto) -> None:
    """Give values the shortest free names, most used first, and nodes their operator and a number.

    Inputs and outputs of the network keep theirs, and so do values inside the bodies of If, Loop and Scan.
    """
    borders = {item.name for item in (*graph.input, *graph.output)}
    inner = {name for node in graph.node for body in surgery.subgraphs(node) for name in _made_inside(body)}
    fresh = (name for name in _short() if name not in borders | inner)
    made = [*(name for node in graph.node for name in node.output), *(tensor.name for tensor in graph.initializer)]
    uses = dict.fromkeys((name for name in made if name and name not in borders), 0)
    for node in graph.node:
        for name in surgery.reads(node) & uses.keys():
            uses[name] += 1
    names = {name: next(fresh) for name in sorted(uses, key=lambda name: -uses[name])}
    surgery.rename(graph, names, definitions=True)
    numbers: dict[str, count[int]] = {}
    for node in graph.node:
        node.name = f"{node.op_type}{next(numbers.setdefault(node.op_type, count(1)))}"
    graph.name = "g"


def _made_inside(body: GraphProto) -> Iterator[str]:
    yield from (item.name for item in body.input)
    yield from (tensor.name for tensor in body.initializer)
    for node in body.node:
        yield from node.output
        for inner in surgery.subgraphs(node):
            yield from _made_inside(inner)


def _short() -> Iterator[str]:
    """a, b … z, aa, ab …"""
    for number in count():
        name = ""
        rest = number + 1
        while rest:
            rest, digit = divmod(rest - 1, len(DIGITS))
            name = DIGITS[digit] + name
        yield name
