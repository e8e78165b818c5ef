"""A network that rounds its weights and activations while it trains, as its 8-bit form will."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from workers.graph.fx import Origin
from workers.numerics import fake_quantization as fake
from workers.training.network import layer_name

Range = tuple[float, float]
PREFIX = "rounding_"
# What is only moved about or picked out keeps the levels of what it came from.
MOVED = frozenset({"MaxPool", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Split", "Gather"})
CUTTING = frozenset({"Relu", "Clip"})  # merged into the layer before them, whose own result is not rounded


class RoundedWeight(nn.Module):
    """Rounds a weight per output channel; goes into a layer as a parametrization."""

    def __init__(self, axis: int, most: int) -> None:
        super().__init__()
        self.axis, self.most = axis, most

    def forward(self, weight: Tensor) -> Tensor:
        return fake.weight(weight, axis=self.axis, most=self.most)


class RoundedActivation(nn.Module):
    """Rounds an activation within a range that is trained."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = nn.Parameter(torch.tensor(low))
        self.high = nn.Parameter(torch.tensor(high))

    def forward(self, values: Tensor) -> Tensor:
        return fake.activation(values, self.low, self.high)


def put_in(module: fx.GraphModule, ranges: dict[str, Range], *, most: int, left: frozenset[str]) -> None:
    """Let the network round, in place.

    Args:
        ranges: of the activations that will be quantized, by their names in the ONNX form.
        most: the largest integer of a weight.
        left: names of layers that stay in float.
    """
    for node in list(module.graph.nodes):
        if node.op == "call_module" and layer_name(node) not in left:
            _round_weight(module.get_submodule(str(node.target)), most)
    for node in list(module.graph.nodes):
        name = _value(node)
        if name in ranges and _is_rounded(node):
            _round_result(module, node, ranges[name])
    module.recompile()


def take_out(module: fx.GraphModule) -> dict[str, Range]:
    """Undo :func:`put_in`, keeping the trained weights.

    Returns:
        The trained ranges of the activations, by their names in the ONNX form.
    """
    learnt = {}
    for node in list(module.graph.nodes):
        if node.op == "call_module" and str(node.target).startswith(PREFIX):
            held: Any = module.get_submodule(str(node.target))
            source = node.all_input_nodes[0]
            learnt[_value(source)] = (float(held.low.detach().clamp(max=0)), float(held.high.detach().clamp(min=1e-6)))
            node.replace_all_uses_with(source)
            module.graph.erase_node(node)
            module.delete_submodule(str(node.target))
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=False)
    module.recompile()
    return learnt


def _round_weight(layer: nn.Module, most: int) -> None:
    if not isinstance(layer, nn.Linear | nn.modules.conv._ConvNd) or parametrize.is_parametrized(layer, "weight"):
        return
    axis = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
    parametrize.register_parametrization(layer, "weight", RoundedWeight(axis, most))


def _round_result(module: fx.GraphModule, node: fx.Node, ends: Range) -> None:
    path = f"{PREFIX}{node.name}"
    module.add_submodule(path, RoundedActivation(min(ends[0], 0.0), max(ends[1], 1e-6)))
    with module.graph.inserting_after(node):
        rounded = module.graph.call_module(path, (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)


def _is_rounded(node: fx.Node) -> bool:
    """Whether the integer form rounds a result: not the network's output, not what a Relu follows, nothing moved."""
    users = list(node.users)
    if not users or any(user.op == "output" for user in users) or _origin(node).op_type in MOVED:
        return False
    return not (len(users) == 1 and _origin(users[0]).op_type in CUTTING)


def _origin(node: fx.Node) -> Origin:
    found = node.meta.get("onnx")
    return found if isinstance(found, Origin) else Origin("", "", (), ())


def _value(node: fx.Node) -> str:
    """The name of what a node makes in the ONNX form; empty for none or several."""
    outputs = _origin(node).outputs
    return outputs[0] if len(outputs) == 1 else ""
