"""Structured pruning: whole channels leave a network, together with everything that depends on them.

Which layers must lose the same channels (shortcuts, depthwise convolutions, norms, the layers that read them)
is found in ``workers.training.dependencies``, how channels are ranked in ``workers.numerics.ranking``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from workers.errors import YoursToFix
from workers.numerics import ranking
from workers.numerics.search import first_passing
from workers.training import silence
from workers.training.dependencies import MAKES_CHANNELS, PRUNABLE, READS_CHANNELS, Dependencies, width
from workers.training.network import layer_name
from workers.workbench import Workbench

Criterion = Literal["l1", "l2", "taylor", "geometric-median", "batch-norm"]
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

    Each candidate is halved in a copy, which then must run and answer as the network does while nobody reads what went.
    """
    module = silence.strengthened(module)
    if _is_sound(module, lambda: _cut(module, example, replace(cut, across=False), 0.5), example):
        return frozenset()
    found = set()
    for name in _candidates(module, cut.kept):
        check()
        if not _is_sound(module, lambda name=name: _halved(module, example, name), example):  # type: ignore[misc]
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
    fixed = unsafe(module, example, probe, bench.check)
    if keep_first and not can_lose(module, example, replace(probe, kept=kept | fixed)):
        bench.log("Nothing but the first layer, and what keeps in step with it, can lose channels: it does.")
        probe = replace(probe, kept=kept - (first - last - named))
        fixed = unsafe(module, example, probe, bench.check)
    if fixed:
        bench.log(f"{len(fixed)} layers keep their width, because something fixed further on counts on it.")
    return replace(wish, kept=probe.kept | fixed)


def can_lose(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut) -> bool:
    """Whether any layer may lose channels at all."""
    copied = _copied(module)
    kept = [copied.get_submodule(name) for name in sorted(cut.kept)]
    return any(True for _ in Dependencies(copied, example).groups(kept))


def narrowed(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut, share: float) -> fx.GraphModule:
    """A copy that lost a share of the channels of each layer that may lose any.

    Args:
        module: holds gradients where the criterion needs them.
        example: inputs for one run, two rows.
        share: in (0, 1).
    """
    return _cut(module, example, cut, share).module


def _cut(module: fx.GraphModule, example: tuple[Tensor, ...], cut: Cut, share: float) -> _Narrower:
    made = _Narrower(module, example)
    kept = [made.module.get_submodule(name) for name in sorted(cut.kept)]
    found = (_bundle(group, cut.criterion) for group in made.dependencies.groups(kept))
    bundles = [bundle for bundle in found if bundle is not None]
    for bundle, count in zip(bundles, _counts(bundles, cut, share), strict=True):
        if count:
            made.lose(bundle, count)
    made.module.zero_grad(set_to_none=True)
    return made


class _Narrower:
    """A copy of a network on its way to fewer channels, with the channels that its layers still read."""

    def __init__(self, module: fx.GraphModule, example: tuple[Tensor, ...]) -> None:
        self.module = _copied(module)
        self.read: dict[str, Tensor] = {}
        self._paths = {part: path for path, part in self.module.named_modules()}
        self.dependencies = Dependencies(self.module, example)

    def lose(self, bundle: _Bundle, count: int) -> None:
        """Take out the channels of a layer with the lowest scores, and what depends on them."""
        gone = ranking.expendable(bundle.scores, count=count, groups=bundle.groups)
        group = self.dependencies.of(bundle.layer, gone.tolist())
        for item in group:
            if item.dep.handler in READS_CHANNELS:
                self._forget(item.dep.target.module, item.idxs)
        group.prune()

    def _forget(self, layer: Any, places: list[int]) -> None:
        whole = layer.in_channels if hasattr(layer, "in_channels") else layer.in_features
        read = self.read.setdefault(self._paths[layer], torch.arange(whole))
        stays = torch.ones(len(read), dtype=torch.bool)
        stays[places] = False
        self.read[self._paths[layer]] = read[stays]


@dataclass(frozen=True)
class _Bundle:
    """Channels of one layer, with the scores of all that depends on each of them; ``groups`` must stay equally wide."""

    layer: nn.Module
    scores: Tensor
    groups: int


def _bundle(group: Any, criterion: Criterion) -> _Bundle | None:
    """Score the channels of a dependency group; None where the criterion has nothing to say about it."""
    channels = len(group[0].idxs)
    scores, told, groups = torch.zeros(channels), False, _groups(group)
    for item in group:
        layer, prune = item.dep.target.module, item.dep.handler
        part = _score(layer, prune, criterion)
        if part is not None:
            scores.index_add_(0, torch.tensor(item.root_idxs), part[torch.tensor(item.idxs)])
            told = True
    return _Bundle(group[0].dep.target.module, scores, groups) if told and channels % groups == 0 else None


def _groups(group: Any) -> int:
    """How many groups of channels must stay equally wide."""
    layers = [item.dep.target.module for item in group]
    return max(
        (
            layer.groups
            for layer in layers
            if isinstance(layer, nn.modules.conv._ConvNd) and 1 < layer.groups < layer.in_channels
        ),
        default=1,
    )


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
    return {name: width(part) for name, part in module.named_modules() if isinstance(part, PRUNABLE)}


def has_batch_norm(module: nn.Module) -> bool:
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


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


def _halved(module: fx.GraphModule, example: tuple[Tensor, ...], name: str) -> _Narrower:
    """A copy in which one layer, and what depends on it, lost half of its channels, drawn at random."""
    made = _Narrower(module, example)
    layer = made.module.get_submodule(name)
    groups = _groups(made.dependencies.of(layer))
    scores = torch.rand(width(layer), generator=torch.Generator().manual_seed(0))
    made.lose(_Bundle(layer, scores, groups), width(layer) // 2 // groups * groups)
    return made


def _is_sound(module: fx.GraphModule, make: Callable[[], _Narrower], example: tuple[Tensor, ...]) -> bool:
    try:
        made = make()
        return silence.answers_as_silenced(module, made.module, made.read, example)
    except Exception:  # the layers of a network that no longer fits together raise whatever they raise
        return False


def _copied(module: fx.GraphModule) -> fx.GraphModule:
    """A deep copy with the gradients, which torch leaves out."""
    made = copy.deepcopy(module).eval()
    for (_, old), (_, new) in zip(module.named_parameters(), made.named_parameters(), strict=True):
        new.requires_grad_(True)
        new.grad = None if old.grad is None else old.grad.clone()
    return made


def gradients(parts: Iterator[Tensor], module: fx.GraphModule) -> None:
    """Add up the gradients of some losses in the network, for the Taylor criterion."""
    module.zero_grad(set_to_none=True)
    for loss in parts:
        loss.backward()  # type: ignore[no-untyped-call]
