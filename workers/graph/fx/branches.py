"""If whose condition is computed from the input: both branches become networks, one of them runs.

Source: https://onnx.ai/onnx/operators/onnx__If.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from torch import Tensor, fx, nn

from workers.graph import surgery
from workers.graph.fx import control_flow, naming
from workers.graph.fx.builder import Builder
from workers.graph.fx.source import Source, attributes_of


class Choice(nn.Module):
    """Runs one of two networks on the same values.

    Args:
        types: ONNX element type of each result, 0 where it is not known.
    """

    def __init__(self, then_branch: fx.GraphModule, else_branch: fx.GraphModule, types: tuple[int, ...]) -> None:
        super().__init__()
        self.then_branch = then_branch
        self.else_branch = else_branch
        self.types = types

    def forward(self, condition: Tensor, *captured: Any) -> Any:
        return (self.then_branch if bool(condition) else self.else_branch)(*captured)


def read(builder: Builder, node: NodeProto, build: Callable[[Builder], fx.GraphModule]) -> fx.Node:
    """Place an If as a :class:`Choice`.

    Args:
        build: makes the network of a branch.
    """
    bodies = attributes_of(node)
    taken = sorted(surgery.reads(node) - {node.input[0]} | _condition_inside(node))
    captured = [name for name in taken if name not in builder.source.weights]
    parts: dict[str, tuple[Builder, Source]] = {}
    for name in ("then_branch", "else_branch"):
        source = _source_of(builder.source, bodies[name], taken, scope=f"{node.output[0]}/{name}/")
        parts[name] = Builder(source, builder), source
    networks = {name: build(inner) for name, (inner, _) in parts.items()}
    types = tuple(item.type.tensor_type.elem_type for item in bodies["then_branch"].output)
    path = naming.module_path(surgery.layer_name(node), "If", "")
    path = builder.add_module(path, Choice(networks["then_branch"], networks["else_branch"], types), {})
    for name, (inner, _) in parts.items():
        builder.initializers.update({f"{path}.{name}.{key}": value for key, value in inner.initializers.items()})
    args = tuple(builder.value(name) for name in (node.input[0], *captured))
    call = builder.graph.create_node("call_module", path, args)
    return builder.remember(node, call, list(node.output), None)


def _condition_inside(node: NodeProto) -> set[str]:
    """The condition, where a branch reads it as well."""
    inside = {name for body in surgery.subgraphs(node) for inner in body.node for name in surgery.reads(inner)}
    return inside & {node.input[0]}


def _source_of(around: Source, body: GraphProto, taken: list[str], scope: str) -> Source:
    """A branch as a graph of its own: computed values it takes become inputs, constants its weights."""
    graph = GraphProto(name=body.name or "branch", node=body.node, initializer=body.initializer, output=body.output)
    weights = [name for name in taken if name in around.weights]
    for name in taken:
        if name in around.weights:
            tensor = TensorProto()
            tensor.CopyFrom(around.weights[name])
            tensor.name = name
            graph.initializer.append(tensor)
        else:
            graph.input.append(around.types.get(name, ValueInfoProto(name=name)))
    proto = ModelProto(ir_version=around.proto.ir_version, graph=graph, opset_import=around.proto.opset_import)
    real = {name: around.real(name) for name in weights}
    source = Source(control_flow.folded(proto), scope=scope, outer=around.outer | frozenset((*real, *real.values())))
    for name, stored in real.items():
        if name != stored:
            source.alias[name] = stored
            source.weights[stored] = around.weights[stored]
    return source


def typed(name: str, elem_type: int) -> ValueInfoProto:
    """A result of a branch; its shape may differ from that of the other branch, so none is said."""
    return helper.make_tensor_value_info(name, elem_type, None) if elem_type else ValueInfoProto(name=name)
