"""Shapes at the border of a network whose insides were changed."""

from __future__ import annotations

from onnx import ModelProto

from workers.graph.shapes import inferred


def corrected(proto: ModelProto) -> None:
    """Say the new size of each output axis that is fixed and no longer what it was; free axes and names stay.

    A step that narrows an embedding changes the width its model promises.
    """
    known = {item.name: item for item in inferred(proto).output}
    for item in proto.graph.output:
        now = known.get(item.name)
        dims = item.type.tensor_type.shape.dim
        found = now.type.tensor_type.shape.dim if now is not None else ()
        if len(dims) != len(found):
            continue
        for said, is_now in zip(dims, found, strict=True):
            if said.dim_value and is_now.dim_value and said.dim_value != is_now.dim_value:
                said.dim_value = is_now.dim_value
