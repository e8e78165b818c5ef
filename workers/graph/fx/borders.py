"""Shapes at the border of a network whose insides were changed."""

from __future__ import annotations

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from workers.graph.fx.source import TRAINED

SMALL_ELEMENTS = 64  # constants up to this size may be shapes, which inference has to see


def corrected(proto: ModelProto) -> None:
    """Say the new size of each output axis that is fixed and no longer what it was; free axes and names stay.

    A step that narrows an embedding changes the width its model promises.
    """
    known = {item.name: item for item in _inferred(proto)}
    for item in proto.graph.output:
        now = known.get(item.name)
        dims = item.type.tensor_type.shape.dim
        found = now.type.tensor_type.shape.dim if now is not None else ()
        if len(dims) != len(found):
            continue
        for said, is_now in zip(dims, found, strict=True):
            if said.dim_value and is_now.dim_value and said.dim_value != is_now.dim_value:
                said.dim_value = is_now.dim_value


def _inferred(proto: ModelProto) -> list[ValueInfoProto]:
    """What follows for the outputs from the inputs alone. Weights go in by shape only: no bytes are copied."""
    graph = helper.make_graph(proto.graph.node, "shapes", list(proto.graph.input), [])
    for tensor in proto.graph.initializer:
        if tensor.data_type in TRAINED and _elements(tensor) > SMALL_ELEMENTS:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            graph.initializer.append(tensor)
    for item in proto.graph.output:
        graph.output.append(helper.make_tensor_value_info(item.name, item.type.tensor_type.elem_type, None))
    bare = ModelProto(ir_version=proto.ir_version, graph=graph, opset_import=proto.opset_import)
    try:
        return list(onnx.shape_inference.infer_shapes(bare, data_prop=True).graph.output)
    except Exception:  # shape inference raises bare errors; the shapes then stay as they were
        return []


def _elements(tensor: TensorProto) -> int:
    elements = 1
    for size in tensor.dims:
        elements *= size
    return elements
