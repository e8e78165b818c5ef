"""Shape inference that copies no weights."""

from __future__ import annotations

import math

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

TRAINED = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
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
