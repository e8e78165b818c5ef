"""Which tensors are the weights of which layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from workers.graph import surgery


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


def values(proto: ModelProto, names: Collection[str]) -> Iterator[NDArray[np.floating]]:
    """The arrays of these initializers, in graph order."""
    return (numpy_helper.to_array(tensor) for tensor in proto.graph.initializer if tensor.name in names)
