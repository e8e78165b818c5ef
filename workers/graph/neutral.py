"""Arithmetic that changes nothing: plus nought, times one, and whole numbers times nought."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from workers.graph import folding, surgery
from workers.graph.shapes import Dims, known_dims

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}
MOST_NOUGHTS = 64
EITHER_SIDE = frozenset({"Add", "Mul"})
Numbers = dict[str, NDArray[np.generic]]


def drop_neutral(proto: ModelProto) -> int:
    """Remove arithmetic with a single number that changes nothing; says how many nodes went.

    Nought times a float stays: infinite values and values that are no numbers would become noughts.
    """
    graph, dims = proto.graph, known_dims(proto)
    singles = {t.name: numpy_helper.to_array(t) for t in graph.initializer if int(np.prod(t.dims)) == 1}
    removed = 0
    for node in [node for node in graph.node if node.op_type in NEUTRAL and node.domain in surgery.STANDARD]:
        source = _left_alone(node, singles, dims)
        noughts = _noughts(node, singles, dims)
        if source is not None and folding.bypass(graph, node, source):
            surgery.drop_nodes(graph, [node])
        elif noughts is not None and node.output[0] not in {item.name for item in graph.output}:
            graph.initializer.append(numpy_helper.from_array(noughts, node.output[0]))
            surgery.drop_nodes(graph, [node])
        else:
            continue
        removed += 1
    return removed


def _left_alone(node: NodeProto, singles: Numbers, dims: dict[str, Dims]) -> str | None:
    """The input that a node hands on as it is, if it does."""
    for source, number in _sides(node):
        single = singles.get(number)
        if single is None or single.item() != NEUTRAL[node.op_type]:
            continue
        if single.ndim == 0 or single.ndim <= len(dims.get(source) or ()):  # else the result has more axes
            return source
    return None


def _noughts(node: NodeProto, singles: Numbers, dims: dict[str, Dims]) -> NDArray[np.generic] | None:
    """The noughts that a product of whole numbers consists of, where its shape is known."""
    dims_of_result = dims.get(node.output[0])
    shape = [side for side in dims_of_result or [] if side is not None]
    if node.op_type != "Mul" or shape != dims_of_result or math.prod(shape) > MOST_NOUGHTS:
        return None
    found = (singles[number] for _, number in _sides(node) if number in singles)
    return next((np.zeros(shape, one.dtype) for one in found if one.dtype.kind in "iu" and one.item() == 0), None)


def _sides(node: NodeProto) -> tuple[tuple[str, str], ...]:
    first, second = node.input
    return ((first, second), (second, first)) if node.op_type in EITHER_SIDE else ((first, second),)
