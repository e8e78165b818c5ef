"""Writing ONNX nodes: what writers of operators use to name values, store weights and place nodes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from workers.graph import surgery
from workers.graph.fx.errors import CannotExport
from workers.graph.fx.source import array_of
from workers.graph.fx.table import Origin

_NONE = Origin("", "", (), ())


def origin_of(node: fx.Node) -> Origin:
    """The ONNX node an fx node came from; an empty one for calls a step added."""
    found = node.meta.get("onnx", _NONE)
    return found if isinstance(found, Origin) else _NONE


@dataclass(frozen=True)
class Call:
    """One call to write: its fx node, and the values it reads, as fx nodes, literals or names."""

    node: fx.Node
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[str, ...]  # names for its results

    @property
    def origin(self) -> Origin:
        return origin_of(self.node)

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)


class Writer:
    """The ONNX graph being written, in the opset of ``like``."""

    def __init__(self, root: fx.GraphModule, like: ModelProto) -> None:
        self.root = root
        self.opset = surgery.opset(like)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.domains: set[str] = set()
        self._used: set[str] = set()
        self._node_names: set[str] = set()
        self._stored: dict[Hashable, str] = {}
        self._alive: list[Any] = []  # keeps ids in _stored from being given to new tensors
        self._names = _initializer_names(root)
        self._owners = {id(tensor): path for path, tensor in _all_tensors(root)}

    # -- names ------------------------------------------------------------------------------------------

    def reserve(self, names: Iterable[str]) -> None:
        """Keep the names of the network's inputs and outputs from being used for anything else."""
        self._used.update(names)

    def fresh(self, wanted: str) -> str:
        """A value name of its own, ``wanted`` itself if it is free."""
        name, number = wanted, 1
        while name in self._used:
            number += 1
            name = f"{wanted}_{number}"
        self._used.add(name)
        return name

    # -- nodes ------------------------------------------------------------------------------------------

    def emit(
        self,
        op_type: str,
        inputs: Iterable[str],
        outputs: Iterable[str],
        *,
        name: str = "",
        domain: str = "",
        **attributes: Any,
    ) -> None:
        """Place a node; attributes that are None are left out."""
        read, made = list(inputs), list(outputs)
        for names in (read, made):
            while names and not names[-1]:
                names.pop()
        node = helper.make_node(op_type, read, made, name=self._node_name(name or f"{made[0]}/{op_type}"))
        if domain:
            node.domain = domain
            self.domains.add(domain)
        for key, value in attributes.items():
            if value is not None:
                node.attribute.append(self._attribute(op_type, domain, key, value))
        self.nodes.append(node)

    def then(self, op_type: str, inputs: Iterable[str], hint: str, **attributes: Any) -> str:
        """Place a node with one result and name the result after ``hint``."""
        made = self.fresh(hint)
        self.emit(op_type, inputs, [made], **attributes)
        return made

    def _node_name(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._node_names:
            number += 1
            name = f"{wanted}_{number}"
        self._node_names.add(name)
        return name

    def _attribute(self, op_type: str, domain: str, key: str, value: Any) -> AttributeProto:
        """An attribute with the type of the operator's schema: 1 is a float where the schema says so."""
        kind = None
        if onnx.defs.has(op_type, domain=domain):
            found = onnx.defs.get_schema(op_type, self.opset if not domain else 1, domain).attributes.get(key)
            kind = None if found is None else int(found.type.value)  # type: ignore[attr-defined]
        if kind == AttributeProto.FLOAT:
            value = float(value)
        elif kind == AttributeProto.TENSOR and isinstance(value, tuple):
            value = numpy_helper.from_array(np.array(value[1], value[0]))
        return helper.make_attribute(key, list(value) if isinstance(value, tuple) else value, attr_type=kind)

    # -- constants --------------------------------------------------------------------------------------

    def tensor(
        self,
        tensor: Tensor,
        hint: str = "",
        *,
        layout: Hashable = None,
        change: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> str:
        """The initializer of a parameter or buffer; the same object in the same layout is stored once."""
        key = (id(tensor), layout)
        if key not in self._stored:
            wanted = self._names.get(self._owners.get(id(tensor), ""), "") or self._owners.get(id(tensor), "") or hint
            self._stored[key] = self._store(array_of(change(tensor.detach())), wanted)
            self._alive.append(tensor)
        return self._stored[key]

    def is_stored(self, tensor: Tensor, layout: Hashable = None) -> bool:
        """Whether this parameter already stands in the file in this layout."""
        return (id(tensor), layout) in self._stored

    def array(self, values: NDArray[Any], hint: str) -> str:
        """The initializer of literal values; equal values with the same hint are stored once."""
        key = (hint, values.dtype.str, values.shape, values.tobytes())
        if key not in self._stored:
            self._stored[key] = self._store(values, hint)
        return self._stored[key]

    def numbers(self, values: Any, hint: str, *, floats: bool = False) -> str:
        """The initializer of a number or a tuple of numbers: int64, or float32 if asked or one of them is a float."""
        floats = floats or any(
            isinstance(item, float) for item in (values if isinstance(values, tuple | list) else (values,))
        )
        return self.array(np.array(values, np.float32 if floats else np.int64), hint)

    def _store(self, values: NDArray[Any], wanted: str) -> str:
        name = self.fresh(wanted)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name))
        return name

    def fail(self, call: Call, reason: str) -> CannotExport:
        return CannotExport(str(call.node.target), call.node.name, reason)


def _initializer_names(root: fx.GraphModule) -> dict[str, str]:
    return dict(root.meta.get("initializers", {}))


def _all_tensors(root: nn.Module) -> list[tuple[str, Tensor]]:
    """Every parameter and buffer; one that is shared comes under the first of its paths."""
    found = [*root.named_parameters(remove_duplicate=False), *root.named_buffers(remove_duplicate=False)]
    return list(reversed(found))
