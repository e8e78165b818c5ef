"""Building the fx graph: what readers of operators use to place modules, parameters and calls."""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper
from torch import Tensor, fx, nn

from workers.graph import surgery
from workers.graph.fx import naming
from workers.graph.fx.errors import UnsupportedOperator
from workers.graph.fx.operators.constants import LITERAL_ELEMENTS, constant
from workers.graph.fx.source import Source, attributes_of, tensor_of
from workers.graph.fx.table import Operator, Origin

HUGE = 9e3  # beyond any trained value: masks are filled with it


class Builder:
    """The network being built: a root module, an fx graph, and the fx node that makes each ONNX value.

    Args:
        outer: for the branch of an If, the builder around it, whose parameters and modules it shares.
    """

    def __init__(self, source: Source, outer: Builder | None = None) -> None:
        self.source = source
        self.opset = source.opset
        self.root = nn.Module()
        self.graph = fx.Graph()
        self.values: dict[str, fx.Node] = {}
        self.initializers: dict[str, str] = {}  # path of a parameter or buffer → its initializer
        self._modules: dict[Hashable, str] = {}
        self._shared: dict[tuple[str, Hashable], nn.Parameter] = outer._shared if outer else {}
        self._made: dict[Hashable, nn.Module] = outer._made if outer else {}

    # -- what readers ask -------------------------------------------------------------------------------

    def value(self, name: str) -> fx.Node:
        """The fx node of a value; constants get theirs when first read."""
        if name not in self.values:
            self.values[name] = self._constant(self.source.real(name))
        return self.values[name]

    def optional(self, node: NodeProto, index: int) -> str:
        """The name of an input, empty where it is left out."""
        return node.input[index] if index < len(node.input) else ""

    def has(self, node: NodeProto, index: int) -> bool:
        return bool(self.optional(node, index))

    def is_weight(self, name: str, *ranks: int) -> bool:
        """Whether a value is a float constant, of one of these ranks if any are given."""
        return self.source.is_trained(name) and (not ranks or len(self.source.weights[name].dims) in ranks)

    def are_weights(self, node: NodeProto, *indices: int) -> bool:
        """Whether these inputs are float constants, or left out."""
        return all(not self.has(node, index) or self.is_weight(node.input[index]) for index in indices)

    def parameter(
        self, name: str, layout: Hashable = None, change: Callable[[Tensor], Tensor] = lambda tensor: tensor
    ) -> nn.Parameter:
        """The parameter of an initializer; asked twice in the same layout, the same object.

        Args:
            layout: says what ``change`` does to the stored values, None where it leaves them alone.
        """
        key = (self.source.identity(name), layout)
        if key not in self._shared:
            self._shared[key] = nn.Parameter(change(tensor_of(self.source.array(name))).contiguous())
        return self._shared[key]

    def unsupported(self, node: NodeProto, reason: str = "") -> UnsupportedOperator:
        return UnsupportedOperator(node.op_type, surgery.layer_name(node), reason)

    # -- what readers place -----------------------------------------------------------------------------

    def place(
        self,
        node: NodeProto,
        make: Callable[[], nn.Module],
        *,
        weights: Mapping[str, str],
        args: Sequence[Any],
        notes: Mapping[str, Any] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> fx.Node:
        """Call the module of a node; nodes that share weights and attributes share the module.

        Args:
            make: builds the module, parameters already in it.
            weights: name of the parameter in the module → initializer.
            args: inputs of the call.
            notes: what the writer of this module needs to write the same node again.
            outputs: the values made, where they are not those of ``node``.
        """
        attributes = tuple(sorted(a.SerializeToString(deterministic=True) for a in node.attribute))
        key = (node.op_type, tuple(sorted((k, self.source.identity(v)) for k, v in weights.items())), attributes)
        if key not in self._modules or not weights:
            first = self.source.real(next(iter(weights.values()), ""))
            path = naming.module_path(surgery.layer_name(node), node.op_type, first)
            if key not in self._made or not weights:
                self._made[key] = make()
            self._modules[key] = self.add_module(path, self._made[key], weights)
        made = list(node.output) if outputs is None else list(outputs)
        call = self.graph.create_node("call_module", self._modules[key], tuple(args), name=_fx_name(made[0]))
        return self.remember(node, call, made, notes)

    def call(self, node: NodeProto, entry: Operator) -> fx.Node:
        """Call a function of the table with the inputs and attributes of a node."""
        attributes = self._known_attributes(node, entry)
        args = self._arguments(node, entry, attributes)
        facts = {"opset": self.opset, "outputs": len(node.output)}
        attributes.update({name: facts[name] for name in entry.reserved})
        call = self.graph.create_node("call_function", entry.run, args, attributes, name=_fx_name(node.output[0]))
        return self.remember(node, call, list(node.output), None)

    def _known_attributes(self, node: NodeProto, entry: Operator) -> dict[str, Any]:
        attributes = attributes_of(node)
        allowed = entry.attributes | {name for name, since in entry.since.items() if self.opset < since}
        for name, value in attributes.items():
            if name not in allowed:
                raise self.unsupported(node, f"its attribute {name!r} is not known here")
            if isinstance(value, TensorProto):
                array = numpy_helper.to_array(value)
                attributes[name] = (array.dtype.name, _tuples(array.tolist()))
        return attributes

    def _arguments(self, node: NodeProto, entry: Operator, attributes: dict[str, Any]) -> tuple[Any, ...]:
        names = list(node.input)
        if names and not entry.takes(len(names) - 1):
            raise self.unsupported(node, f"it has {len(names)} inputs, {len(entry.inputs)} are known here")
        args = [self._argument(name, entry.input_name(index) in entry.host) for index, name in enumerate(names)]
        for name in entry.since:
            if name in attributes:
                position = entry.inputs.index(name)
                args += [None] * (position + 1 - len(args))
                args[position] = attributes.pop(name)
        return tuple(args)

    def _argument(self, name: str, host: bool) -> Any:
        if not name:
            return None
        if host and name in self.source.weights:
            listed = self.source.array(name).tolist()
            return tuple(listed) if isinstance(listed, list) else listed
        return self.value(name)

    def remember(self, node: NodeProto, call: fx.Node, outputs: list[str], notes: Mapping[str, Any] | None) -> fx.Node:
        call.meta["onnx"] = Origin(node.name, node.op_type, tuple(node.input), tuple(outputs), dict(notes or {}))
        if len(outputs) == 1:
            self.values[outputs[0]] = call
            return call
        for index, name in enumerate(outputs):
            if name:
                self.values[name] = self.graph.create_node(
                    "call_function", python.getitem, (call, index), name=_fx_name(name)
                )
        return call

    def add_module(self, path: str, module: nn.Module, weights: Mapping[str, str]) -> str:
        path = naming.free_path(self.root, path)
        owner, leaf = naming.owner_of(self.root, path)
        owner.add_module(leaf, module)
        self.initializers.update({f"{path}.{field}": self.source.real(name) for field, name in weights.items()})
        return path

    # -- constants --------------------------------------------------------------------------------------

    def _constant(self, name: str) -> fx.Node:
        """A small integer or scalar as a literal, a trained tensor as parameter, anything else as buffer."""
        array = self.source.array(name)
        if array.dtype.kind in "OSU":
            raise UnsupportedOperator("Constant", name, "it holds text")
        if self._is_literal(name):
            listed = array.tolist() if array.ndim else array.item()
            call = self.graph.create_node(
                "call_function",
                constant,
                (_tuples(listed), array.dtype.name, tuple(array.shape)),
                name=_fx_name(name),
            )
            call.meta["onnx"] = Origin(name, "Constant", (), (name,))
            return call
        path = naming.free_path(self.root, naming.identifier_path(name))
        owner, leaf = naming.owner_of(self.root, path)
        if self._is_trainable(name):
            owner.register_parameter(leaf, self.parameter(name))
        else:
            owner.register_buffer(leaf, tensor_of(array))
        self.initializers[path] = name
        return self.graph.create_node("get_attr", path, name=_fx_name(name))

    def _is_literal(self, name: str) -> bool:
        array = self.source.array(name)
        known = array.dtype.kind in "iufb" and array.dtype.name != "bfloat16"
        return known and (array.ndim == 0 or (array.dtype.kind in "iub" and array.size <= LITERAL_ELEMENTS))

    def _is_trainable(self, name: str) -> bool:
        """Floats are trained, but for masks, single numbers and what only steers an operator."""
        if not self.source.is_trained(name):
            return False
        array = self.source.array(name)
        if array.size <= 1 or not np.isfinite(array).all() or np.abs(array).max() > HUGE:
            return False
        return any(node.op_type not in STEERED for node in self.source.consumers.get(name, ()))


STEERED = frozenset({"Where", "Equal", "Greater", "Less", "Clip", "Range", "OneHot", "Resize", "Shape", "Cast", "STFT"})


def _tuples(listed: Any) -> Any:
    return tuple(_tuples(item) for item in listed) if isinstance(listed, list) else listed


def _fx_name(name: str) -> str:
    return naming.identifier_path(name.strip("/")).replace(".", "_")
