"""Keys and values of earlier tokens as inputs: from a language model over whole windows, one that decodes.

Models are stored, trained and compressed as graphs over whole windows. What decodes is derived from such a graph,
whatever was done to it: attention is found by what it computes (a Softmax over the product of two values, multiplied
with a third), and what it reads as keys and values is joined with what earlier runs read there. That is right only for
graphs that count their places from the end of the mask, as those made here do (``workers.intake.networks.NextToken``);
whoever uses the result compares it with the window first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, ValueInfoProto, helper

from workers.graph import surgery

SCORES_PASS = frozenset({"Add", "Mul", "Div", "Sub", "Where", "Cast", "Identity", "Max", "Min", "Tanh", "IsNaN"})
SHARES_PASS = frozenset({"Where", "Cast", "Identity", "QuantizeLinear", "DequantizeLinear"})
REPEATS = ("Reshape", "Expand", "Unsqueeze")  # backwards: few heads of keys serve many of queries
MOST_HOPS = 12
SWAPPED = [0, 1, 3, 2]


@dataclass(frozen=True)
class Kept:
    """A value to be kept from run to run, and its axis along which tokens follow each other. All have four axes."""

    value: str
    axis: int
    name: str  # 0.key, 0.value, 1.key, …

    @property
    def past(self) -> str:
        return f"past_key_values.{self.name}"

    @property
    def present(self) -> str:
        return f"present.{self.name}"


def kept_values(graph: GraphProto) -> tuple[Kept, ...]:
    """Keys and values of every attention, in graph order; none where there is no attention of two plain products."""
    makers = {name: node for node in graph.node for name in node.output}
    readers = surgery.consumers(graph)
    found: list[Kept] = []
    for node in graph.node:
        if node.op_type != "Softmax":
            continue
        scores, mixed = _scores(node, makers), _mixed(node, readers)
        if scores is None or mixed is None:
            continue
        number = len(found) // 2
        found.append(Kept(*_keys(scores.input[1], makers), f"{number}.key"))
        found.append(Kept(_before_repeats(mixed.input[1], makers), 2, f"{number}.value"))
    return tuple(found)


def _scores(softmax: NodeProto, makers: dict[str, NodeProto]) -> NodeProto | None:
    """The product of queries and keys behind a Softmax; masks, which are added on the way, hold none."""
    front = [softmax.input[0]]
    for _ in range(MOST_HOPS):
        nodes = [makers[name] for name in front if name in makers]
        product = next((node for node in nodes if node.op_type == "MatMul" and node.input[1] in makers), None)
        if product is not None:
            return product
        front = [name for node in nodes if node.op_type in SCORES_PASS for name in node.input]
    return None


def _mixed(softmax: NodeProto, readers: dict[str, list[NodeProto]]) -> NodeProto | None:
    """The product of a Softmax's shares and the values."""
    front = [softmax.output[0]]
    for _ in range(MOST_HOPS):
        nodes = [node for name in front for node in readers.get(name, ())]
        product = next((node for node in nodes if node.op_type == "MatMul" and node.input[0] in front), None)
        if product is not None:
            return product
        front = [node.output[0] for node in nodes if node.op_type in SHARES_PASS]
    return None


def _keys(name: str, makers: dict[str, NodeProto]) -> tuple[str, int]:
    """Keys before they were turned, (batch, heads, tokens, width), where they were; else as they are multiplied."""
    node = makers.get(name)
    if node is not None and node.op_type == "Transpose" and list(_attribute(node, "perm") or ()) == SWAPPED:
        return _before_repeats(node.input[0], makers), 2
    return name, 3


def _before_repeats(name: str, makers: dict[str, NodeProto]) -> str:
    """The value that was repeated for several heads of queries, or the value itself."""
    behind = name
    for op_type in REPEATS:
        node = makers.get(behind)
        if node is None or node.op_type != op_type:
            return name
        behind = node.input[0]
    return behind


def _attribute(node: NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)


def show(graph: GraphProto, kept: Sequence[Kept]) -> int:
    """Let the graph also answer what would be kept, after its own outputs.

    Returns:
        How many outputs it had.
    """
    known = [item.name for item in graph.output]
    new = dict.fromkeys(one.value for one in kept if one.value not in known)
    graph.output.extend(ValueInfoProto(name=name) for name in new)  # the runtime knows their type
    return len(known)


def keep(graph: GraphProto, kept: Sequence[Kept], seen: Sequence[NDArray[np.generic]]) -> None:
    """Give the graph inputs ``past_key_values.…`` and outputs ``present.…``; the past may be empty.

    Args:
        seen: the kept values as a run showed them, for their types and shapes; batch and tokens are left free.
    """
    for one, value in zip(kept, seen, strict=True):
        _join(graph, one, value)


def _join(graph: GraphProto, kept: Kept, seen: NDArray[np.generic]) -> None:
    """Let everything that reads a value read the past before it as well."""
    joined = helper.make_node("Concat", [kept.past, kept.value], [kept.present], name=kept.present, axis=kept.axis)
    surgery.rename(graph, {kept.value: kept.present})
    at = next(index for index, node in enumerate(graph.node) if kept.value in node.output)
    graph.node.insert(at + 1, joined)
    for items, name, length in ((graph.input, kept.past, "past"), (graph.output, kept.present, "total")):
        sides: list[int | str] = list(seen.shape)
        sides[0], sides[kept.axis] = "batch", length
        items.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(seen.dtype), sides))
