"""An ONNX graph, indexed for reading: constants by name, consumers, shapes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from workers.graph import folding, surgery

Shape = tuple[int | None, ...]
LARGEST_INFERRED_BYTES = 1 << 30  # shape inference copies the model; protobuf ends at 2 GiB
TRAINED = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


class Source:
    """A model made ready for import: no local functions, weights in one place.

    ``proto`` is a copy; Constant nodes that hold tensors and Identity nodes over weights are resolved.
    """

    def __init__(self, proto: ModelProto) -> None:
        self.proto = surgery.inlined(proto)
        folding.weights_are_constants(self.proto)
        folding.constants_to_weights(self.proto.graph)
        self.graph = self.proto.graph
        self.opset = surgery.opset(self.proto)
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.alias: dict[str, str] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._resolve_identities()

    def _resolve_identities(self) -> None:
        """Exporters write a shared weight as Identity nodes over it."""
        outputs = {item.name for item in self.graph.output}
        for node in self.graph.node:
            if node.op_type == "Identity" and node.input[0] in self.weights and node.output[0] not in outputs:
                self.alias[node.output[0]] = self.real(node.input[0])
                self.weights[node.output[0]] = self.weights[node.input[0]]

    def real(self, name: str) -> str:
        """The name under which a constant is stored."""
        return self.alias.get(name, name)

    def array(self, name: str) -> NDArray[Any]:
        """The values of a constant."""
        name = self.real(name)
        if name not in self._arrays:
            self._arrays[name] = numpy_helper.to_array(self.weights[name])
        return self._arrays[name]

    def is_trained(self, name: str) -> bool:
        """Whether a constant has a float type."""
        return name in self.weights and self.weights[name].data_type in TRAINED

    def rank(self, name: str) -> int | None:
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def shape(self, name: str) -> Shape | None:
        """The shape of a value, free axes as None; None where it is not known at all."""
        if name in self.weights:
            return tuple(self.weights[name].dims)
        return self._shapes.get(name)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        graph = self.proto.graph
        if self.proto.ByteSize() < LARGEST_INFERRED_BYTES:
            try:
                graph = onnx.shape_inference.infer_shapes(self.proto, data_prop=True).graph
            except Exception:  # shape inference raises bare errors; the shapes are only a help
                graph = self.proto.graph
        known: dict[str, Shape] = {}
        for item in (*graph.value_info, *graph.input, *graph.output):
            if item.type.tensor_type.HasField("shape"):
                dims = item.type.tensor_type.shape.dim
                known[item.name] = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
        return known

    @cached_property
    def consumers(self) -> dict[str, list[NodeProto]]:
        return surgery.consumers(self.graph)

    @cached_property
    def makers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.graph.node for name in node.output if name}

    @cached_property
    def outputs(self) -> frozenset[str]:
        return frozenset(item.name for item in self.graph.output)

    def only_consumer(self, name: str) -> NodeProto | None:
        """The node that alone reads this value, if it is that and no output of the network."""
        readers = self.consumers.get(name, [])
        if name in self.outputs or len(readers) != 1 or list(readers[0].input).count(name) != 1:
            return None
        return readers[0]


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values: text as str, lists as tuples."""
    return {attribute.name: _plain(helper.get_attribute_value(attribute)) for attribute in node.attribute}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple) or hasattr(value, "extend"):
        return tuple(_plain(item) for item in value)
    return value


def tensor_of(array: NDArray[Any]) -> Tensor:
    """A tensor of its own with the values of an array, bfloat16 included."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array, order="C"))


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The values of a tensor as an array, bfloat16 included."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
