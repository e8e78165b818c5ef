"""A network without its heavy weights: light to copy, check and infer shapes on."""

import onnx

HEAVY_BYTES = 4096


def is_heavy(tensor: onnx.TensorProto) -> bool:
    """Whether a weight is left out; small ones stay, since shapes are computed from them."""
    return int(tensor.ByteSize()) > HEAVY_BYTES


def shell(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of everything but the main graph's initializers."""
    light = onnx.ModelProto()
    for field, value in proto.ListFields():
        if field.name == "graph":
            continue
        if hasattr(value, "extend"):
            getattr(light, field.name).extend(value)
        elif hasattr(value, "CopyFrom"):
            getattr(light, field.name).CopyFrom(value)
        else:
            setattr(light, field.name, value)
    light.graph.name = proto.graph.name
    for part in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(light.graph, part).extend(getattr(proto.graph, part))
    return light


def skeleton(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every heavy initializer is an input of the same type and shape instead."""
    light = shell(proto)
    known = {item.name for item in light.graph.input}
    for tensor in proto.graph.initializer:
        if not is_heavy(tensor):
            light.graph.initializer.append(tensor)
        elif tensor.name not in known:
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    light.ir_version = max(light.ir_version, 4)  # before version 4 every initializer had to be an input as well
    return light
