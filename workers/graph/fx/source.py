"""An ONNX graph, indexed for reading: constants by name, consumers, shapes."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor

from workers.graph import folding, surgery
from workers.graph.shapes import TRAINED, inferred

Shape = tuple[int | None, ...]
CELLS = ("LSTM", "GRU", "RNN")


class Source:
    """A model made ready for import: no local functions, weights in one place.

    ``proto`` is a copy; Constant nodes that hold tensors and Identity nodes over weights are resolved,
    and weights of recurrent layers that are put together by nodes are worked out.

    Args:
        scope: set for the branch of an If, whose own names may occur again in the other branch.
        outer: names a branch takes from outside.
    """

    def __init__(self, proto: ModelProto, *, scope: str = "", outer: frozenset[str] = frozenset()) -> None:
        self.scope, self.outer = scope, outer
        self.proto = surgery.inlined(proto)
        folding.weights_are_constants(self.proto)
        folding.constants_to_weights(self.proto.graph)
        self.computed = self._work_out_cells()
        self.graph = self.proto.graph
        self.opset = surgery.opset(self.proto)
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.alias: dict[str, str] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._resolve_identities()

    def _work_out_cells(self) -> frozenset[str]:
        """Compute the weights of recurrent layers whose gates an exporter reorders by Slice and Concat."""
        graph = self.proto.graph
        stored = {tensor.name for tensor in graph.initializer}
        read = [name for node in graph.node if node.op_type in CELLS for name in node.input[1:4]]
        wanted = [name for name in dict.fromkeys(read) if name and name not in stored]
        makers = {name: node for node in graph.node for name in node.output}
        wanted = [name for name in wanted if _is_constant(name, makers, stored)]
        graph.initializer.extend(_evaluated(self.proto, wanted, makers))
        surgery.drop_nodes(graph, [makers[name] for name in wanted])
        return frozenset(wanted)

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

    def identity(self, name: str) -> str:
        """What tells a constant apart in the whole model: its name, or for one worked out here what it holds."""
        name = self.real(name)
        if name in self.computed:
            return sha256(self.array(name).tobytes()).hexdigest()
        return name if name in self.outer else f"{self.scope}{name}"

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
        known: dict[str, Shape] = {}
        for name, item in self.types.items():
            if item.type.tensor_type.HasField("shape"):
                dims = item.type.tensor_type.shape.dim
                known[name] = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
        return known

    @cached_property
    def types(self) -> dict[str, ValueInfoProto]:
        """Type and shape of every value, as far as they can be inferred."""
        graph = inferred(self.proto)
        return {item.name: item for item in (*graph.value_info, *graph.input, *graph.output)}

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


def _is_constant(name: str, makers: dict[str, NodeProto], stored: set[str]) -> bool:
    """Whether a value follows from constants alone."""
    if name in stored or not name:
        return True
    maker = makers.get(name)
    if maker is None or maker.op_type in folding.RANDOM or len(maker.output) > 1 or any(surgery.subgraphs(maker)):
        return False
    return all(_is_constant(read, makers, stored) for read in maker.input)


def _evaluated(proto: ModelProto, names: list[str], makers: dict[str, NodeProto]) -> list[TensorProto]:
    """What onnxruntime computes for values that follow from constants alone."""
    if not names:
        return []
    needed, waiting = set(names), list(names)
    while waiting:
        maker = makers.get(waiting.pop())
        fresh = [name for name in maker.input if name not in needed] if maker is not None else []
        needed.update(fresh)
        waiting.extend(fresh)
    graph = GraphProto(name="constants")
    graph.node.extend(node for node in proto.graph.node if needed.intersection(node.output))
    graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in needed)
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    alone = ModelProto(ir_version=proto.ir_version, graph=graph, opset_import=proto.opset_import)
    session = ort.InferenceSession(
        alone.SerializeToString(), surgery.session_options(1), providers=["CPUExecutionProvider"]
    )
    values = session.run(names, {})
    return [numpy_helper.from_array(value, name) for name, value in zip(names, values, strict=True)]


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
