"""From a trained network back to ONNX, node by node."""

from __future__ import annotations

import operator as python
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper
from torch import Tensor, fx, nn

from workers.graph import surgery
from workers.graph.fx import borders
from workers.graph.fx.branches import Choice, typed
from workers.graph.fx.errors import CannotExport
from workers.graph.fx.operators import load
from workers.graph.fx.operators.constants import constant
from workers.graph.fx.table import FUNCTION_WRITERS, MODULE_WRITERS, Operator
from workers.graph.fx.writer import Call, Writer, origin_of

load()


def to_onnx(module: fx.GraphModule, *, like: ModelProto) -> ModelProto:
    """Write a network that came from :func:`to_torch`, also after a step changed it, as ONNX.

    Inputs, outputs, free axes, opset and metadata are those of ``like``; nodes and weights keep their
    names where they still exist, and a parameter used twice is stored once.

    Args:
        module: the network; modules and functions a step added are written too where ONNX has them.
        like: the model it came from.

    Raises:
        CannotExport: for a part that has no ONNX form here.
    """
    writer = Writer(module, like)
    weights = {tensor.name for tensor in like.graph.initializer}
    inputs = [item for item in like.graph.input if item.name not in weights]
    writer.reserve(item.name for item in (*inputs, *like.graph.output))
    fed = [item.name for item in inputs]
    made = [item.name for item in like.graph.output]
    _Walk(writer, module, module.graph).run(fed, made)
    return _assembled(writer, like, inputs)


def _assembled(writer: Writer, like: ModelProto, inputs: list[onnx.ValueInfoProto]) -> ModelProto:
    """The model around the written nodes."""
    graph = helper.make_graph(writer.nodes, like.graph.name, inputs, list(like.graph.output), writer.initializers)
    graph.doc_string = like.graph.doc_string
    proto = _shell(like)
    proto.graph.CopyFrom(graph)
    proto.ir_version = max(proto.ir_version, 4)  # before version 4, weights had to be inputs as well
    known = {entry.domain for entry in proto.opset_import}
    proto.opset_import.extend(helper.make_opsetid(domain, 1) for domain in sorted(writer.domains - known))
    surgery.drop_unused_domains(proto)
    borders.corrected(proto)
    return proto


def _shell(like: ModelProto) -> ModelProto:
    """Everything of a model but its graph and functions."""
    shell = ModelProto(
        ir_version=like.ir_version,
        producer_name=like.producer_name,
        producer_version=like.producer_version,
        domain=like.domain,
        model_version=like.model_version,
        doc_string=like.doc_string,
    )
    shell.opset_import.extend(like.opset_import)
    shell.metadata_props.extend(like.metadata_props)
    return shell


class _Walk:
    """Writes one fx graph: the network itself, or that of a module a step put in, traced."""

    def __init__(self, writer: Writer, root: nn.Module, graph: fx.Graph) -> None:
        self.writer = writer
        self.root = root
        self.graph = graph
        self.names: dict[fx.Node, str] = {}
        self.several: dict[fx.Node, tuple[str, ...]] = {}
        self.wanted: dict[fx.Node, str] = {}

    def run(self, fed: Sequence[str], made: Sequence[str]) -> None:
        """Write all nodes.

        Args:
            fed: names of the values the placeholders stand for.
            made: names the results must have.
        """
        results = self._results()
        if len(results) != len(made):
            raise CannotExport("a network", "output", f"it has {len(results)} outputs, expected {len(made)}")
        for result, name in zip(results, made, strict=True):
            if isinstance(result, fx.Node) and _is_computed(result):
                self.wanted.setdefault(result, name)
        placeholders = iter(fed)
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.names[node] = next(placeholders)
            elif node.op == "get_attr":
                self.names[node] = self.writer.tensor(self._attribute(str(node.target)), str(node.target))
            elif node.op != "output" and (node.users or node in self.wanted):
                self._write(node)
        for result, name in zip(results, made, strict=True):
            if self.wanted.get(result) != name:
                self.writer.emit("Identity", [self.names[result]], [name])

    def _results(self) -> list[Any]:
        returned = next(node for node in reversed(self.graph.nodes) if node.op == "output").args[0]
        return list(returned) if isinstance(returned, tuple | list) else [returned]

    def _attribute(self, path: str) -> Tensor:
        found: Any = self.root
        for piece in path.split("."):
            found = getattr(found, piece)
        return found  # type: ignore[no-any-return]

    def _write(self, node: fx.Node) -> None:
        if node.target is python.getitem and node.args[0] in self.several:
            self.names[node] = self.several[node.args[0]][node.args[1]]  # type: ignore[index]
            return
        if node.target is constant:
            self.names[node] = self._constant(node)
            return
        call = self._call(node)
        if node.op == "call_module":
            self._write_module(call, self.root.get_submodule(str(node.target)))
        elif isinstance(entry := getattr(node.target, "operator", None), Operator):
            write_operator(self.writer, call, entry)
        elif node.target in FUNCTION_WRITERS:
            FUNCTION_WRITERS[node.target](self.writer, call)
        else:
            raise CannotExport(str(node.target), node.name)
        self.names[node] = call.outputs[0]
        if len(call.outputs) > 1:
            self.several[node] = call.outputs

    def _constant(self, node: fx.Node) -> str:
        values, dtype, shape = node.args
        array = np.array(values, dtype=str(dtype)).reshape(shape)  # type: ignore[arg-type]
        return self.writer.array(array, origin_of(node).name or node.name)

    def _call(self, node: fx.Node) -> Call:
        """What a node reads, by name, and the names its results get."""
        origin = origin_of(node)
        picked = [(user.args[1], user) for user in node.users if user.target is python.getitem]
        picks = {index: user for index, user in picked if isinstance(index, int)}
        count = max([1, len(origin.outputs), *(index + 1 for index in picks)])
        known = [*origin.outputs, *[f"{node.name}_{index}" for index in range(len(origin.outputs), count)]]
        takers = [node] if count == 1 else [picks.get(index) for index in range(count)]
        outputs = tuple(
            self.wanted.get(taker, "") or (name and self.writer.fresh(name))  # type: ignore[arg-type]
            for taker, name in zip(takers, known if count > 1 or origin.outputs else [node.name], strict=True)
        )
        args, kwargs = fx.node.map_arg((tuple(node.args), dict(node.kwargs)), self.names.__getitem__)
        return Call(node, tuple(args), kwargs, outputs)

    def _write_choice(self, call: Call, module: Choice) -> None:
        """An If with its two bodies; they read weights and values of the graph around them."""
        bodies = {}
        for name, branch in (("then_branch", module.then_branch), ("else_branch", module.else_branch)):
            around, self.writer.nodes = self.writer.nodes, []
            made = [self.writer.fresh(f"{output}/{name}") for output in call.outputs]
            _Walk(self.writer, branch, branch.graph).run(call.args[1:], made)
            results = [typed(output, kind) for output, kind in zip(made, module.types, strict=True)]
            bodies[name] = helper.make_graph(self.writer.nodes, name, [], results)
            self.writer.nodes = around
        self.writer.emit("If", call.args[:1], call.outputs, name=call.origin.name, **bodies)

    def _write_module(self, call: Call, module: nn.Module) -> None:
        """Write a module by its writer, or, where a step made it, by what it consists of."""
        if isinstance(module, Choice):
            self._write_choice(call, module)
            return
        for kind in type(module).__mro__:
            if kind in MODULE_WRITERS:
                MODULE_WRITERS[kind](self.writer, call, module)
                return
        inner = module if isinstance(module, fx.GraphModule) else self._traced(call, module)
        fed = [arg for arg in (*call.args, *call.kwargs.values()) if arg is not None]
        _Walk(self.writer, inner, inner.graph).run(fed, call.outputs)

    def _traced(self, call: Call, module: nn.Module) -> fx.GraphModule:
        try:
            return fx.GraphModule(module, _Tracer().trace(module))
        except Exception as error:  # tracing runs the module's own code, which may raise anything
            raise CannotExport(type(module).__name__, call.node.name, f"it could not be traced, {error}") from error


class _Tracer(fx.Tracer):
    """Looks into the modules a step made, not into layers that have a writer."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, Choice) or any(kind in MODULE_WRITERS for kind in type(m).__mro__)
        return known or super().is_leaf_module(m, module_qualified_name)


def _is_computed(node: fx.Node) -> bool:
    """Whether a node of the file makes this value, so that it may be named like an output of the network."""
    return node.op not in ("placeholder", "get_attr") and node.target is not constant


def write_operator(writer: Writer, call: Call, entry: Operator) -> None:
    """Write a call of a function of the table as its node."""
    origin = call.origin
    inputs: list[str] = []
    attributes = {key: value for key, value in call.kwargs.items() if key in entry.attributes}
    for index, arg in enumerate(call.args):
        name = entry.input_name(index)
        if writer.opset < entry.since.get(name, 0):
            attributes[name] = arg
        elif arg is None or isinstance(arg, str):
            inputs.append(arg or "")
        else:
            known = origin.inputs[index] if index < len(origin.inputs) else ""
            wanted = known or f"{call.outputs[0]}_{name}"
            inputs.append(writer.numbers(arg, wanted, floats=name in entry.floats))
    writer.emit(entry.op_type, inputs, call.outputs, name=origin.name, domain=entry.domain, **attributes)
