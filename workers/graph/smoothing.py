"""Where a normalization feeds matrix products, and how to move scale from one into the others.

A normalization ends with a gain and, mostly, an offset for each channel. Dividing both by some numbers and multiplying
the weights behind by the same changes nothing in float. Where something else reads the normalized value as well, such
as a residual connection, that reader keeps the old one and the products get a twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from workers.graph import calibration, folding, sharing, surgery
from workers.graph.weights import summed_axis
from workers.workbench import Workbench

NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
PRODUCTS = frozenset({"MatMul", "Gemm"})
Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Spot:
    """A normalized value, the nodes that give it its gain and offset (last one first), and the products that read it.

    ``scaled`` names, for each of the nodes, the place of its gain or offset among its inputs.
    """

    value: str
    makers: tuple[NodeProto, ...]
    scaled: tuple[tuple[int, ...], ...]
    products: tuple[NodeProto, ...]
    shared: bool


def ready(proto: ModelProto) -> ModelProto:
    """A copy with named nodes, weights as initializers also where they were transposed first, and inferred shapes."""
    fresh = surgery.inlined(proto)
    surgery.name_nodes(fresh)
    folding.weights_are_constants(fresh)
    folding.constants_to_weights(fresh.graph)
    folding.drop_passing_nodes(fresh.graph)
    folding.fold_constants(fresh)
    return onnx.shape_inference.infer_shapes(fresh)


def spots(proto: ModelProto, excluded: frozenset[str]) -> list[Spot]:
    """Every normalized value that products with fixed weights read, in graph order."""
    graph = proto.graph
    weights = float_weights(proto)
    makers = {name: node for node in graph.node for name in node.output}
    readers = surgery.consumers(graph)
    borders = {item.name for item in graph.output}
    found = []
    for node in graph.node:
        ends = _ends(node, makers, readers, weights)
        if not ends:
            continue
        value = node.output[0]
        reading = readers.get(value, [])
        products = tuple(one for one in reading if _is_product(one, value, weights) and one.name not in excluded)
        if products:
            shared = len(products) < len(reading) or value in borders
            found.append(
                Spot(value, tuple(end for end, _ in ends), tuple(slots for _, slots in ends), products, shared)
            )
    return found


def float_weights(proto: ModelProto) -> Weights:
    """Every float32 initializer."""
    stored = (tensor for tensor in proto.graph.initializer if tensor.data_type == TensorProto.FLOAT)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in stored}


def _ends(
    node: NodeProto, makers: dict[str, NodeProto], readers: dict[str, list[NodeProto]], weights: Weights
) -> list[tuple[NodeProto, tuple[int, ...]]]:
    """The nodes at the end of a normalization with their scaled inputs, if this node is the last of one.

    Either one operator, or a multiplication by a gain, with or without the addition of an offset behind it, as
    exporters write it.
    """
    if node.op_type in NORMS:
        slots = tuple(slot for slot in (1, 2) if slot < len(node.input) and node.input[slot])
        return [(node, slots)] if all(node.input[slot] in weights for slot in slots) else []
    place = _vector_at(node, weights)
    if node.op_type == "Mul" and place is not None and not _continues(node, readers, weights):
        return [(node, (place,))]
    if node.op_type == "Add" and place is not None:
        before = makers.get(node.input[1 - place])
        inner = _vector_at(before, weights) if before is not None and before.op_type == "Mul" else None
        if before is not None and inner is not None and len(readers[before.output[0]]) == 1:
            return [(node, (place,)), (before, (inner,))]
    return []


def _vector_at(node: NodeProto, weights: Weights) -> int | None:
    """The place of an input that holds one number for each channel."""
    if len(node.input) != 2:
        return None
    held = [slot for slot, name in enumerate(node.input) if name in weights and weights[name].ndim == 1]
    return held[0] if len(held) == 1 and weights[node.input[held[0]]].size > 1 else None


def _continues(node: NodeProto, readers: dict[str, list[NodeProto]], weights: Weights) -> bool:
    """Whether an offset is added next, so that the normalization ends there."""
    after = readers.get(node.output[0], [])
    return len(after) == 1 and after[0].op_type == "Add" and _vector_at(after[0], weights) is not None


def _is_product(node: NodeProto, value: str, weights: Weights) -> bool:
    return (
        node.op_type in PRODUCTS
        and node.input[0] == value
        and node.input[1] in weights
        and weights[node.input[1]].ndim == 2
        and not any(item.name == "transA" and item.i for item in node.attribute)
    )


def largest_activations(proto: ModelProto, found: list[Spot], bench: Workbench, samples: int) -> Weights:
    """For each normalized value the largest absolute number in each channel on calibration rows, (channels,)."""
    observer = calibration.Observer(proto, [spot.value for spot in found], bench, samples)
    observer.size_up()
    largest: Weights = {}
    done = 0
    for rows, values in observer.seen():
        for name, array in values.items():
            here = np.abs(array).reshape(-1, array.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest[name], here) if name in largest else here
        done += rows
        bench.progress(done, max(samples, done) + 1, "Looking at the calibration rows")
    return largest


def largest_weights(spot: Spot, weights: Weights) -> NDArray[np.float32]:
    """The largest absolute weight that reads each channel, over all products, (channels,)."""
    matrices = [(weights[node.input[1]], summed_axis(node, 1)) for node in spot.products]
    sizes = [np.abs(np.moveaxis(matrix, axis, 0)).max(axis=1) for matrix, axis in matrices]
    return np.asarray(np.max(sizes, axis=0), dtype=np.float32)


def move(proto: ModelProto, spot: Spot, divisors: NDArray[np.float64]) -> None:
    """Divide the gain and offset of a normalization, and multiply the weights behind it; the graph is changed."""
    graph, weights = proto.graph, float_weights(proto)
    makers = [graph_node(proto, node) for node in spot.makers]
    if spot.shared:
        makers = _twins(proto, makers)
    for node, slots in zip(makers, spot.scaled, strict=True):
        for slot in slots:
            node.input[slot] = _stored(proto, node, slot, weights[node.input[slot]] / divisors)
    for old in spot.products:
        node = graph_node(proto, old)
        matrix, axis = weights[node.input[1]], summed_axis(node, 1)
        shape = [-1 if place == axis % 2 else 1 for place in range(2)]
        node.input[1] = _stored(proto, node, 1, matrix * divisors.reshape(shape))
        node.input[0] = makers[0].output[0]
    sharing.drop_unused(graph)


def graph_node(proto: ModelProto, like: NodeProto) -> NodeProto:
    """The node of the graph as it is now that writes what another one wrote."""
    found: NodeProto = next(node for node in proto.graph.node if node.output[0] == like.output[0])
    return found


def _stored(proto: ModelProto, node: NodeProto, slot: int, values: NDArray[np.float64]) -> str:
    name = f"{node.name}::{slot}::smooth"
    proto.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    return name


def _twins(proto: ModelProto, makers: list[NodeProto]) -> list[NodeProto]:
    """Copies of the nodes that end a normalization, last one first, chained as the originals are."""
    names = {name: f"{name}::smooth" for node in makers for name in node.output if name}
    twins = []
    for node in makers:
        inputs = [names.get(name, name) for name in node.input]
        twins.append(surgery.relabelled(node, inputs, [names.get(name, "") for name in node.output]))
    index = next(index for index, node in enumerate(proto.graph.node) if node.output[0] == makers[0].output[0])
    everything = list(proto.graph.node)
    surgery.refill(proto.graph.node, [*everything[: index + 1], *reversed(twins), *everything[index + 1 :]])
    return [graph_node(proto, twin) for twin in twins]
