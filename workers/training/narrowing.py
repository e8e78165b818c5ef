"""Structured pruning: whole channels leave a network, together with everything that depends on them.

Which layers must lose the same channels (shortcuts, depthwise convolutions, norms, the layers that read them)
is found by torch-pruning's dependency graph: Fang et al. 2023, arXiv:2301.12900. How channels are ranked
is in ``workers.numerics.ranking``.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch_pruning as tp
from torch import Tensor, fx, nn

from workers.errors import YoursToFix
from workers.numerics import ranking
from workers.numerics.search import first_passing
from workers.training.network import layer_name
from workers.workbench import Workbench

Criterion = Literal["l1", "l2", "taylor", "geometric-median", "batch-norm"]
PRUNABLE = (nn.modules.conv._ConvNd, nn.Linear)
MAKES_CHANNELS = (
    tp.prune_conv_out_channels,
    tp.prune_linear_out_channels,
    tp.prune_depthwise_conv_out_channels,
)
MOST_REMOVED = 0.95  # of the channels of one layer


@dataclass(frozen=True)
class Cut:
    """How to prune: by which criterion, within each layer or across the network, in which multiples of channels.

    ``multiple`` may be 1. ``kept`` names layers whose own channels all stay.
    """

    criterion: Criterion
    across: bool
    multiple: int
    kept: frozenset[str]


def borders(module: fx.GraphModule) -> tuple[frozenset[str], frozenset[str]]:
    """The layers with channels that read the network's inputs first, and those that make its outputs."""
    nodes = list(module.graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"]
    return _reached(module, inputs, lambda node: node.users), _reached(
        module, [node for node in nodes if node.op == "output"], lambda node: node.all_input_nodes
    )


def unsafe(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut, check: Callable[[], None]) -> frozenset[str]:
    """Layers that cannot lose channels, because something fixed further on counts on them.

    Each candidate is halved in a copy, which then must run and answer in the same shape.
    """
    if _runs(lambda: narrowed(module, example, cut, 0.5), example, _shapes(module, example)):
        return frozenset()
    found = set()
    wanted = _shapes(module, example)
    for name in _candidates(module, cut.kept):
        check()
        if not _runs(lambda name=name: _halved(module, example, name), example, wanted):  # type: ignore[misc]
            found.add(name)
    return frozenset(found)


def safe_cut(
    module: fx.GraphModule,
    example: tuple[Tensor, ...],
    wish: Cut,
    bench: Workbench,
    *,
    keep_first: bool,
    left: frozenset[str] = frozenset(),
) -> Cut:
    """A cut that leaves the outputs' layers, the first, those named, and those something counts on.

    Args:
        left: names of layers as pages call them.

    Raises:
        YoursToFix: if it shall rank by batch-norm scales and there are none.
    """
    if wish.criterion == "batch-norm" and not has_batch_norm(module):
        raise YoursToFix(
            "Expected batch normalisation to rank channels by, found none: exporters fold it into the layers.",
            hint="Choose another criterion, such as L2.",
            code="pruning.no-batch-norm",
        )
    first, last = borders(module)
    named = {path for path, name in layer_names(module).items() if name in left}
    kept = last | named | (first if keep_first else frozenset()) | wish.kept
    probe = replace(
        wish, kept=kept, criterion="l2" if wish.criterion == "taylor" else wish.criterion
    )  # no gradients yet
    if keep_first and not can_lose(module, example, probe):
        bench.log("Nothing but the first layer, and what keeps in step with it, can lose channels: it does.")
        probe = replace(probe, kept=kept - (first - last - named))
    fixed = unsafe(module, example, probe, bench.check)
    if fixed:
        bench.log(f"{len(fixed)} layers keep their width, because something fixed further on counts on it.")
    return replace(wish, kept=probe.kept | fixed)


def can_lose(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut) -> bool:
    """Whether any layer may lose channels at all."""
    with _quiet():
        copied = _copied(module)
        graph = tp.DependencyGraph().build_dependency(copied, example, forward_fn=_run)
        kept = [copied.get_submodule(name) for name in sorted(cut.kept)]
        return any(graph.get_all_groups(ignored_layers=kept, root_module_types=PRUNABLE))


def narrowed(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut, share: float) -> fx.GraphModule:
    """A copy that lost a share of the channels of each layer that may lose any.

    Args:
        module: holds gradients where the criterion needs them.
        example: inputs for one run, two rows.
        share: in (0, 1).
    """
    made = _copied(module)
    with _quiet():
        graph = tp.DependencyGraph().build_dependency(made, example, forward_fn=_run)
        kept = [made.get_submodule(name) for name in sorted(cut.kept)]
        found = list(graph.get_all_groups(ignored_layers=kept, root_module_types=PRUNABLE))
        bundles = [bundle for bundle in (_bundle(group, cut.criterion) for group in found) if bundle is not None]
        for bundle, count in zip(bundles, _counts(bundles, cut, share), strict=True):
            if count:
                gone = ranking.expendable(bundle.scores, count=count, groups=bundle.groups)
                graph.get_pruning_group(bundle.layer, bundle.prune, idxs=gone.tolist()).prune()
    made.zero_grad(set_to_none=True)
    return made


@dataclass(frozen=True)
class _Bundle:
    """Channels of one layer, with the scores of all that depends on each of them; ``groups`` must stay equally wide."""

    layer: nn.Module
    prune: Any
    scores: Tensor
    groups: int


def _bundle(group: Any, criterion: Criterion) -> _Bundle | None:
    """Score the channels of a dependency group; None where the criterion has nothing to say about it."""
    channels = len(group[0].idxs)
    scores, told, groups = torch.zeros(channels), False, 1
    for item in group:
        layer, prune = item.dep.target.module, item.dep.handler
        if isinstance(layer, nn.modules.conv._ConvNd) and 1 < layer.groups < layer.in_channels:
            groups = max(groups, layer.groups)
        part = _score(layer, prune, criterion)
        if part is not None:
            scores.index_add_(0, torch.tensor(item.root_idxs), part[torch.tensor(item.idxs)])
            told = True
    first = group[0].dep
    return _Bundle(first.target.module, first.handler, scores, groups) if told and channels % groups == 0 else None


@torch.no_grad()
def _score(layer: Any, prune: Any, criterion: Criterion) -> Tensor | None:
    """The criterion for each channel a layer puts out; None for what has no say."""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return layer.weight.abs() if criterion == "batch-norm" and layer.weight is not None else None
    if not isinstance(layer, PRUNABLE) or criterion == "batch-norm" or prune not in MAKES_CHANNELS:
        return None
    turned = isinstance(layer, nn.modules.conv._ConvTransposeNd) and layer.groups == 1
    weight, gradient = (one if one is None or not turned else one.transpose(0, 1) for one in _pair(layer.weight))
    if criterion == "taylor":
        return None if gradient is None else ranking.influence(weight, gradient)
    if criterion == "geometric-median":
        return ranking.distances_to_others(weight)
    return ranking.magnitudes(weight, power=1 if criterion == "l1" else 2)


def _pair(weight: Tensor) -> tuple[Any, Any]:
    return weight.detach(), weight.grad


def _counts(bundles: list[_Bundle], cut: Cut, share: float) -> list[int]:
    """How many channels each bundle loses."""
    wanted = ranking.removals([bundle.scores for bundle in bundles], share=share, across=cut.across)
    return [_rounded(bundle, count, cut.multiple) for bundle, count in zip(bundles, wanted, strict=True)]


def _rounded(bundle: _Bundle, count: float, multiple: int) -> int:
    """The count that leaves a multiple of channels, at least one multiple and a twentieth of the layer."""
    channels = len(bundle.scores)
    unit = math.lcm(multiple, bundle.groups)
    least = math.ceil(max((1 - MOST_REMOVED) * channels, 1) / unit) * unit
    left = max(round((channels - count) / unit) * unit, least)
    return max(channels - left, 0) // bundle.groups * bundle.groups


def narrowed_to(
    module: fx.GraphModule,
    example: tuple[Tensor, ...],
    cut: Cut,
    cost: Callable[[fx.GraphModule], float],
    most: float,
) -> tuple[fx.GraphModule, float]:
    """The widest copy whose cost is at most ``most``, and its cost.

    Raises:
        YoursToFix: if even the narrowest costs more.
    """
    shares = [share / 100 for share in range(1, round(100 * MOST_REMOVED) + 1)]
    found = first_passing(len(shares), lambda index: cost(narrowed(module, example, cut, shares[index])) <= most)
    made = narrowed(module, example, cut, MOST_REMOVED if found is None else shares[found])
    if found is None:
        raise YoursToFix(
            f"Expected to get down to {most:,.0f} MACs, found {cost(made):,.0f} at the narrowest.",
            hint="Remove less, or let the first layer lose channels too.",
            code="pruning.target-out-of-reach",
        )
    return made, cost(made)


def layer_names(module: fx.GraphModule) -> dict[str, str]:
    """Path of each called module → name of its layer in the ONNX file."""
    calls = [node for node in module.graph.nodes if node.op == "call_module"]
    return {str(node.target): layer_name(node) or str(node.target) for node in calls}


def widths(module: nn.Module) -> dict[str, int]:
    """Output channels of each layer that has any."""
    return {name: _width(part) for name, part in module.named_modules() if isinstance(part, PRUNABLE)}


def has_batch_norm(module: nn.Module) -> bool:
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def _width(layer: nn.Module) -> int:
    return int(layer.out_channels if hasattr(layer, "out_channels") else layer.out_features)  # type: ignore[arg-type]


def _reached(module: fx.GraphModule, start: list[fx.Node], following: Callable[[fx.Node], Any]) -> frozenset[str]:
    """Names of the layers with channels met first on every way from some nodes."""
    found, seen, waiting = set(), set(start), list(start)
    while waiting:
        for node in following(waiting.pop()):
            if node in seen:
                continue
            seen.add(node)
            if node.op == "call_module" and isinstance(module.get_submodule(str(node.target)), PRUNABLE):
                found.add(str(node.target))
            else:
                waiting.append(node)
    return frozenset(found)


def _candidates(module: fx.GraphModule, kept: frozenset[str]) -> list[str]:
    return [name for name in widths(module) if name not in kept]


def _halved(module: fx.GraphModule, example: tuple[Tensor, ...], name: str) -> fx.GraphModule:
    """A copy in which one layer, and what depends on it, lost every second channel."""
    made = _copied(module)
    layer = made.get_submodule(name)
    with _quiet():
        graph = tp.DependencyGraph().build_dependency(made, example, forward_fn=_run)
        prune = graph.get_pruner_of_module(layer).prune_out_channels
        graph.get_pruning_group(layer, prune, idxs=list(range(0, _width(layer), 2))).prune()
    return made


def _runs(make: Callable[[], fx.GraphModule], example: tuple[Tensor, ...], wanted: list[torch.Size]) -> bool:
    try:
        return _shapes(make(), example) == wanted
    except Exception:  # the layers of a network that no longer fits together raise whatever they raise
        return False


def _shapes(module: fx.GraphModule, example: tuple[Tensor, ...]) -> list[torch.Size]:
    with torch.no_grad():
        result = module.eval()(*example)
    return [part.shape for part in (result if isinstance(result, tuple) else (result,))]


def _copied(module: fx.GraphModule) -> fx.GraphModule:
    """A deep copy with the gradients, which torch leaves out."""
    made = copy.deepcopy(module).eval()
    for (_, old), (_, new) in zip(module.named_parameters(), made.named_parameters(), strict=True):
        new.requires_grad_(True)
        new.grad = None if old.grad is None else old.grad.clone()
    return made


def _run(module: fx.GraphModule, example: tuple[Tensor, ...]) -> Any:
    return module(*example)


class _quiet(warnings.catch_warnings):
    """Hides the library's remarks on parameters outside layers, which it leaves alone."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered


def gradients(parts: Iterator[Tensor], module: fx.GraphModule) -> None:
    """Add up the gradients of some losses in the network, for the Taylor criterion."""
    module.zero_grad(set_to_none=True)
    for loss in parts:
        loss.backward()  # type: ignore[no-untyped-call]
