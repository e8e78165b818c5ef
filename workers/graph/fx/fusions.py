"""Nodes that onnxruntime's optimizer merged, taken apart again: FusedConv, FusedGemm, SkipLayerNormalization.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import ModelProto, NodeProto, helper

from workers.graph import surgery
from workers.graph.fx.source import attributes_of

MICROSOFT = "com.microsoft"
PARAMETERS: dict[str, tuple[str, ...]] = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}


def taken_apart(proto: ModelProto) -> ModelProto:
    """The model with merged nodes in their standard parts; the model itself where it has none."""
    graph = proto.graph
    if not any(node.domain == MICROSOFT and node.op_type in PARTS for node in graph.node):
        return proto
    proto = surgery.copy(proto)
    nodes: list[NodeProto] = []
    for node in proto.graph.node:
        parts = PARTS[node.op_type](node) if node.domain == MICROSOFT and node.op_type in PARTS else None
        nodes.extend([node] if parts is None else parts)
    surgery.refill(proto.graph.node, nodes)
    return proto


def _with_activation(op_type: str) -> Callable[[NodeProto], list[NodeProto] | None]:
    def parts(node: NodeProto) -> list[NodeProto] | None:
        """The node and its activation; None where it also adds another tensor or the activation is not known."""
        attributes = attributes_of(node)
        activation = attributes.pop("activation", "")
        given = attributes.pop("activation_params", ())
        scales = {name: attributes.pop(name) for name in list(attributes) if name.startswith("activation_")}
        if len(node.input) > 3 or activation == "Clip":
            return None
        names = PARAMETERS.get(activation, ())
        found: dict[str, Any] = dict(zip(names, given, strict=False))
        found |= {name.removeprefix("activation_"): value for name, value in scales.items()}
        before = f"{node.output[0]}/before"
        return [
            helper.make_node(op_type, node.input, [before], name=node.name, **attributes),
            helper.make_node(activation, [before], node.output, name=f"{node.name}/{activation}", **found),
        ]

    return parts


def _skip_layer_norm(node: NodeProto) -> list[NodeProto] | None:
    """Add (and Add a bias), then LayerNormalization. Its fourth output is the sum."""
    x, skip, gamma, beta, bias = (list(node.input) + [""] * 5)[:5]
    if any(node.output[1:3]):
        return None
    summed = node.output[3] if len(node.output) > 3 and node.output[3] else f"{node.output[0]}/sum"
    first = f"{summed}/plain" if bias else summed
    made = [helper.make_node("Add", [x, skip], [first], name=f"{node.name}/Add")]
    if bias:
        made.append(helper.make_node("Add", [first, bias], [summed], name=f"{node.name}/bias"))
    inputs = [summed, gamma, beta] if beta else [summed, gamma]
    epsilon = attributes_of(node).get("epsilon", 1e-12)
    norm = helper.make_node("LayerNormalization", inputs, node.output[:1], name=node.name, epsilon=epsilon)
    return [*made, norm]


PARTS: dict[str, Callable[[NodeProto], list[NodeProto] | None]] = {
    "FusedConv": _with_activation("Conv"),
    "FusedGemm": _with_activation("Gemm"),
    "SkipLayerNormalization": _skip_layer_norm,
}
