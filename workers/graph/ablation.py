"""How much each layer alone suffers from 8 bits.

The quantized network is given one switch per unit: a unit is a layer that multiplies and the lighter nodes behind it,
up to the next such layer. A switch decides whether the nodes of its unit read the rounded values or the float ones.
So one session answers for every layer, with the very scales of the finished file; quantizing anew for each
would take as many sessions as there are layers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from workers.facts import Role
from workers.graph import surgery
from workers.graph.calibration import fixed_rows
from workers.graph.operators import HEAVY
from workers.workbench import Workbench

ROWS = 64
BATCH = 16
Feed = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Unit:
    """A layer that multiplies, by its node's name, and every node to leave in float with it."""

    name: str
    nodes: tuple[str, ...]


def units(proto: ModelProto, op_types: Collection[str]) -> tuple[Unit, ...]:
    """Cut a network made ready by ``surgery.for_int8`` into units, in graph order.

    A lighter node belongs to the last unit among those its inputs come from; one before all of them to the first.

    Args:
        op_types: the operators that will be quantized.
    """
    names: list[str] = []
    members: dict[int, list[str]] = {}
    made_in: dict[str, int] = {}
    for node in proto.graph.node:
        place = max((made_in[name] for name in node.input if name in made_in), default=0)
        if node.op_type in HEAVY:
            place = len(names)
            names.append(node.name)
        if node.op_type in op_types:
            members.setdefault(place, []).append(node.name)
        made_in.update(dict.fromkeys(node.output, place))
    return tuple(Unit(name, tuple(members[place])) for place, name in enumerate(names))


def switched(quantized: ModelProto, ready: ModelProto, parts: Sequence[Unit]) -> ModelProto:
    """The float network with a boolean input for each unit: true rounds what it reads and writes.

    Args:
        quantized: what the quantizer made of ``ready``, written with QuantizeLinear and DequantizeLinear.
        ready: the float network with the same names of layers.
    """
    result = surgery.copy(ready)
    rounding = _Rounding(quantized.graph)
    place = {name: index for index, part in enumerate(parts) for name in part.nodes}
    makers = {name: place[node.name] for node in ready.graph.node if node.name in place for name in node.output}
    readers = surgery.consumers(ready.graph)
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        for slot, pair in rounding.inputs_of(node.name).items():
            exact, stem = node.input[slot], f"{node.name}::{slot}"
            touching = {index for index in (place.get(node.name), makers.get(exact)) if index is not None}
            touching = touching or {place[other.name] for other in readers[exact] if other.name in place}
            if not touching:
                continue
            nodes += [*rounding.rounded(exact, pair, f"{stem}::rounded"), *_either(sorted(touching), exact, stem)]
            node.input[slot] = stem
        nodes.append(node)
    surgery.refill(result.graph.node, nodes)
    result.graph.initializer.extend(rounding.needed())
    result.graph.input.extend(
        helper.make_tensor_value_info(_switch(index), TensorProto.BOOL, []) for index in range(len(parts))
    )
    return result


def _either(switches: Sequence[int], exact: str, stem: str) -> list[NodeProto]:
    """Choose the rounded value where one of the switches is on: that of the unit that reads it, or that makes it.

    A layer in 8 bits writes 8 bits, also for a reader in float. What belongs to no unit, read and made, is rounded
    with the units that read it as well.
    """
    condition, made = _switch(switches[0]), []
    for index in switches[1:]:
        made.append(helper.make_node("Or", [condition, _switch(index)], [f"{stem}::on::{index}"]))
        condition = made[-1].output[0]
    return [*made, helper.make_node("Where", [condition, f"{stem}::rounded", exact], [stem])]


def _switch(index: int) -> str:
    return f"switch::{index}"


class _Rounding:
    """The scales of a quantized network, and which input of which layer they round.

    Only scales are taken from it, not its edges: the quantizer removes a ReLU whose work the rounding does.
    """

    def __init__(self, graph: GraphProto) -> None:
        self.readers = {node.name: node for node in graph.node}
        self.back = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.used: dict[str, TensorProto] = {}

    def inputs_of(self, layer: str) -> dict[int, NodeProto]:
        """The DequantizeLinear before each rounded input of a layer, by the input's place."""
        node = self.readers.get(layer)
        found = {slot: self.back.get(name) for slot, name in enumerate(node.input)} if node is not None else {}
        return {slot: pair for slot, pair in found.items() if pair is not None}

    def rounded(self, exact: str, pair: NodeProto, name: str) -> list[NodeProto]:
        """The nodes that make the rounded form of a value; a weight is stored in 8 bits already."""
        integer = self._borrow(pair.input[0]) if pair.input[0] in self.weights else f"{name}::integer"
        numbers = [self._borrow(other) for other in pair.input[1:]]
        back = surgery.relabelled(pair, [integer, *numbers], [name])
        if pair.input[0] in self.weights:
            return [back]
        return [helper.make_node("QuantizeLinear", [exact, *numbers], [integer]), back]

    def needed(self) -> list[TensorProto]:
        return list(self.used.values())

    def _borrow(self, name: str) -> str:
        """Take an initializer over under a name that cannot be taken."""
        if name not in self.used:
            self.used[name] = TensorProto()
            self.used[name].CopyFrom(self.weights[name])
            self.used[name].name = f"{name}::borrowed"
        return self.used[name].name


def distances(quantized: ModelProto, ready: ModelProto, parts: Sequence[Unit], bench: Workbench) -> NDArray[np.float64]:
    """How far the network's answers move on calibration rows when one unit alone is quantized.

    Returns:
        (units,): squared distance of the first output over its squared length, both summed over the rows.
    """
    network = switched(quantized, ready, parts)
    options = surgery.session_options(bench.threads)
    # Fusing would turn the pairs into integer kernels, which cannot be switched.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    moved, length = np.zeros(len(parts)), 1e-30
    done = 0
    for feed in _feeds(ready, bench):
        exact = _answer(session, feed, len(parts), None)
        length += float(np.square(exact).sum())
        for index in range(len(parts)):
            moved[index] += float(np.square(_answer(session, feed, len(parts), index) - exact).sum())
            done += 1
            total = max(done + 1, -(-ROWS // BATCH) * len(parts))
            bench.progress(done, total, f"What 8 bits do to {parts[index].name}")
    return moved / length


def _feeds(ready: ModelProto, bench: Workbench) -> list[Feed]:
    fixed = fixed_rows(ready)
    batches = bench.batches(Role.CALIBRATION, size=fixed or BATCH, limit=max(ROWS, fixed or 0))
    inputs = {item.name for item in ready.graph.input}
    whole = [batch for batch in batches if not fixed or len(batch) == fixed]
    return [{name: array for name, array in batch.inputs.items() if name in inputs} for batch in whole]


def _answer(session: ort.InferenceSession, feed: Feed, count: int, on: int | None) -> NDArray[np.float64]:
    switches = {_switch(index): np.array(index == on) for index in range(count)}
    return np.asarray(session.run(None, {**feed, **switches})[0], np.float64)
