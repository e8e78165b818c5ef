"""Tables that are looked up, such as embeddings, in 8-bit integers with a scale for each row, or in 4 bits.

In 8 bits they are written in standard operators: the rows and their scales are looked up alike, and multiplied. In 4
bits they are written for onnxruntime's own operator. Only the rows that are read become floats, so that a look-up takes
about as long as before.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import nbits, sharing, surgery
from workers.numerics import blockwise, quantization

BLOCK = 64
LEAST_NUMBERS = 16_384  # below, three more nodes cost what the table saves


def quantize(proto: ModelProto, excluded: frozenset[str]) -> int:
    """Store tables in 8 bits that are looked up and nothing else; the graph is changed.

    Args:
        excluded: names of look-ups whose table stays in float.

    Returns:
        How many tables were stored so.
    """
    readers = surgery.consumers(proto.graph)
    tables = _large_tables(proto, readers, excluded)
    for tensor in tables:
        levels, scales = quantization.rows_in_int8(numpy_helper.to_array(tensor))
        names = (f"{tensor.name}::rows", f"{tensor.name}::scales")
        proto.graph.initializer.append(numpy_helper.from_array(levels, names[0]))
        proto.graph.initializer.append(numpy_helper.from_array(scales, names[1]))
        for node in readers[tensor.name]:
            _write(proto, node, names)
    if tables:
        surgery.sort_topologically(proto.graph)
        sharing.drop_unused(proto.graph)
    return len(tables)


def quantize_in_4_bits(proto: ModelProto, excluded: frozenset[str]) -> int:
    """Store the same tables in 4 bits with a scale and a zero for every 64 neighbours; the graph is changed.

    Returns:
        How many tables were stored so.
    """
    names = {tensor.name for tensor in _large_tables(proto, surgery.consumers(proto.graph), excluded)}
    found = [
        matrix
        for matrix in nbits.matrices(proto, excluded=excluded, tables=True)
        if not matrix.products and any(node.input[0] in names for node in matrix.tables)
    ]
    if found:
        nbits.write(proto, found, lambda matrix: blockwise.nearest(matrix.values, bits=4, size=BLOCK, symmetric=False))
        surgery.sort_topologically(proto.graph)
    return len(found)


def _large_tables(
    proto: ModelProto, readers: dict[str, list[NodeProto]], excluded: frozenset[str]
) -> list[TensorProto]:
    """The large tables that are looked up and nothing else."""
    outputs = {item.name for item in proto.graph.output}
    return [
        tensor
        for tensor in proto.graph.initializer
        if _is_large(tensor)
        and tensor.name not in outputs
        and all(_looks_up(node, tensor.name) and node.name not in excluded for node in readers.get(tensor.name, ()))
        and tensor.name in readers
    ]


def _write(proto: ModelProto, node: NodeProto, names: tuple[str, str]) -> None:
    """Look rows and scales up, and multiply them."""
    made = node.output[0]
    rows, scales, floats = (f"{made}::{word}" for word in ("rows", "scale", "floats"))
    proto.graph.node.extend(
        [
            helper.make_node("Gather", [names[0], node.input[1]], [rows], name=node.name, axis=0),
            helper.make_node("Gather", [names[1], node.input[1]], [scales], name=scales, axis=0),
            helper.make_node("Cast", [rows], [floats], name=floats, to=TensorProto.FLOAT),
            helper.make_node("Mul", [floats, scales], [made], name=f"{made}::scaled"),
        ]
    )
    surgery.drop_nodes(proto.graph, [node])


def _is_large(tensor: TensorProto) -> bool:
    return (
        tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2 and int(np.prod(tensor.dims)) >= LEAST_NUMBERS
    )


def _looks_up(node: NodeProto, table: str) -> bool:
    """Whether a node does nothing with a table but read rows of it."""
    axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
    return node.op_type == "Gather" and node.input[0] == table and node.input[1] != table and axis == 0
