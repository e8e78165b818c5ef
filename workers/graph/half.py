"""Writing a float32 network in float16, with float32 inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper
from onnxruntime.transformers import float16

from workers.errors import YoursToFix
from workers.graph import surgery

LARGEST = float(np.finfo(np.float16).max)


def convert(
    proto: ModelProto, *, keep_ops: Sequence[str], keep_layers: Sequence[str]
) -> tuple[ModelProto, tuple[str, ...]]:
    """Store weights in float16 and compute in it wherever an operator can.

    Args:
        keep_ops: operator types to leave in float32, besides those that have no float16 form.
        keep_layers: names of nodes to leave in float32.

    Returns:
        The network, and what its user must know about it.

    Raises:
        YoursToFix: if there is no float32 weight to convert.
    """
    ready = surgery.copy(proto)
    surgery.name_nodes(ready)
    if not any(tensor.data_type == TensorProto.FLOAT for tensor in ready.graph.initializer):
        raise YoursToFix(
            "Expected float32 weights, found none.",
            hint="This network has nothing to halve.",
            code="technique.nothing-to-do",
        )
    notes = tuple(_overflow_notes(ready))
    converted = float16.convert_float_to_float16(
        ready,
        keep_io_types=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *keep_ops],
        node_block_list=list(keep_layers),
    )
    surgery.sort_topologically(converted.graph)  # the converter puts its casts at the end
    del converted.graph.value_info[:]
    return converted, notes


def _overflow_notes(proto: ModelProto) -> list[str]:
    notes = []
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            if values.size and np.abs(values[np.isfinite(values)]).max(initial=0) > LARGEST:
                notes.append(f"Weights of {tensor.name} beyond {LARGEST:.0f} were cut to float16's largest number.")
    return notes
