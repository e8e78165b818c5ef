"""Shape inference that copies no weights."""

from __future__ import annotations

import math

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

TRAINED = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
Dims = list[int | None]
SMALL_ELEMENTS = 64  # constants up to this size may be shapes, whose values inference has to see


def inferred(proto: ModelProto) -> GraphProto:
    """The graph with types and shapes of all values, as they follow from its inputs.

    Trained weights go in as inputs, by shape only, so a large model costs no more than a small one;
    what the model says of its outputs' shapes is not believed.

    Returns:
        The graph as it is where inference fails.
    """
    graph = helper.make_graph(proto.graph.node, "shapes", list(proto.graph.input), [])
    for tensor in proto.graph.initializer:
        if tensor.data_type in TRAINED and math.prod(tensor.dims) > SMALL_ELEMENTS:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            graph.initializer.append(tensor)
    for item in proto.graph.output:
        graph.output.append(helper.make_tensor_value_info(item.name, item.type.tensor_type.elem_type, None))
    bare = ModelProto(ir_version=proto.ir_version, graph=graph, opset_import=proto.opset_import)
    try:
        return onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except Exception:  # shape inference raises bare errors; the shapes are only a help
        return proto.graph


def known_dims(proto: ModelProto) -> dict[str, Dims]:
    """The shape of each value whose number of axes is known, with None for a free side; weights are not among them."""
    graph = inferred(proto)
    found: dict[str, Dims] = {}
    for item in (*graph.value_info, *graph.output, *graph.input):
        if item.type.tensor_type.HasField("shape"):
            dims = item.type.tensor_type.shape.dim
            found[item.name] = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    return found
