"""A network's way from its ONNX form to one that trains, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers.errors import YoursToFix
from workers.facts import ModelFacts
from workers.graph import surgery
from workers.graph.fx import Origin, to_onnx, to_torch
from workers.model import LoadedModel
from workers.workbench import Workbench

WIDE = 128  # below, turning numbers into another form takes as long as it spares


def trainable(model: LoadedModel, title: str, bench: Workbench) -> fx.GraphModule:
    """The network as torch modules, with torch on as many threads as the bench grants and seeded.

    Args:
        title: of the step, for messages.

    Raises:
        YoursToFix: if the network is quantized, in half precision, or holds an operator that cannot be trained.
    """
    surgery.require_float32(model.proto, title)
    torch.set_num_threads(bench.threads)
    torch.manual_seed(bench.seed)
    module = to_torch(model.proto)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise YoursToFix(
            f"{title}: expected a network with weights to train, found none.",
            hint="Leave out this step.",
            code="training.no-weights",
        )
    return module


def written(module: fx.GraphModule, model: LoadedModel, *notes: str) -> LoadedModel:
    """The trained network in the ONNX form of the model it came from."""
    return model.with_proto(to_onnx(module.eval(), like=model.proto), *notes)


def first_output(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    """What tasks are judged by: the first of the network's outputs."""
    return result if isinstance(result, Tensor) else result[0]


def layer_name(node: fx.Node) -> str:
    """The name of the ONNX node that holds the weights of a call: of a product with its bias, the product."""
    origin = node.meta.get("onnx")
    if not isinstance(origin, Origin):
        return ""
    notes = origin.notes
    return str(notes.get("matmul") or notes.get("product") or origin.name or next(iter(origin.outputs), ""))


@torch.no_grad()
def watched(
    module: fx.GraphModule, inputs: Iterable[Tensor], wanted: Callable[[fx.Node, Any], bool]
) -> dict[fx.Node, Any]:
    """What some nodes make in one run.

    Args:
        wanted: asked for each node and what it made.
    """
    watcher = _Watcher(module.eval(), wanted)
    watcher.run(*inputs)
    return watcher.seen


class _Watcher(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, wanted: Callable[[fx.Node, Any], bool]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        if self.wanted(n, made):
            self.seen[n] = made
        return made


def savings(before: ModelFacts, after: ModelFacts) -> str:
    """How much less a network computes and holds; MACs are left out where they could not be counted."""
    macs = f"MACs ÷ {before.macs / after.macs:.2f}, " if before.macs and after.macs else ""
    return f"{macs}parameters ÷ {before.params / max(after.params, 1):.2f}"


def is_pictorial(module: nn.Module) -> bool:
    """Whether it convolves over two axes; such networks train about a sixth faster with channels last."""
    return any(isinstance(part, nn.Conv2d) for part in module.modules())


def gains_from_bfloat16(module: nn.Module) -> bool:
    """Whether its work is wide linear layers and this processor multiplies in bfloat16, which is over twice as fast.

    Layers that round as they train are of another type, and need all their digits.
    """
    parts = list(module.modules())
    wide = sum(part.weight.numel() for part in parts if type(part) is nn.Linear and min(part.weight.shape) >= WIDE)
    looked_up = sum(part.weight.numel() for part in parts if isinstance(part, nn.Embedding))
    everything = sum(parameter.numel() for parameter in module.parameters()) - looked_up
    return 2 * wide > everything and not is_pictorial(module) and torch.cpu._is_avx512_bf16_supported()


def copied(module: fx.GraphModule) -> fx.GraphModule:
    """A copy that can be trained apart; weights that are shared stay shared."""
    return copy.deepcopy(module)


def forget(module: nn.Module, seed: int) -> None:
    """Give every layer the random weights that torch starts a new one with."""
    torch.manual_seed(seed)
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
