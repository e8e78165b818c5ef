"""Which channels depend on which, as torch-pruning's dependency graph finds them, within bounds.

Source: Fang et al. 2023, arXiv:2301.12900.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch_pruning as tp
from torch import Tensor, fx, nn

PRUNABLE = (nn.modules.conv._ConvNd, nn.Linear)
MAKES_CHANNELS = (
    tp.prune_conv_out_channels,
    tp.prune_linear_out_channels,
    tp.prune_depthwise_conv_out_channels,
)
READS_CHANNELS = (tp.prune_conv_in_channels, tp.prune_linear_in_channels)
MOST_LOOKS = 64  # at one node in one search; two to four are usual


class EndlessSearch(Exception):
    """What depends on some channels is found again and again, shifted: rotary embeddings do that."""


class Dependencies:
    """The dependency graph of a network; pruning one of its groups changes the network."""

    def __init__(self, module: fx.GraphModule, example: tuple[Tensor, ...]) -> None:
        with _quiet():
            self._graph = tp.DependencyGraph().build_dependency(module, example, forward_fn=_run)
        for node in self._graph.module2node.values():
            node.dependencies = _Counted(node.dependencies)

    def of(self, layer: nn.Module, places: list[int] | None = None) -> Any:
        """The group of all that depends on some channels a layer puts out; on all of them without ``places``.

        Raises:
            EndlessSearch: if the library finds no end.
        """
        pruner = self._graph.get_pruner_of_module(layer)
        wanted = list(range(pruner.get_out_channels(layer))) if places is None else places
        for node in self._graph.module2node.values():
            node.dependencies.looks = 0
        with _quiet():
            return self._graph.get_pruning_group(layer, pruner.prune_out_channels, idxs=wanted)

    def groups(self, kept: list[nn.Module]) -> Iterator[Any]:
        """Every group of channels that may go, each once, without those that reach layers to be kept."""
        seen: set[nn.Module] = set()
        for layer in list(self._graph.module2node):
            if not isinstance(layer, PRUNABLE) or layer in seen or layer in kept:
                continue
            try:
                group = self.of(layer)
            except EndlessSearch:
                continue
            made = {item.dep.target.module for item in group if self._graph.is_out_channel_pruning_fn(item.dep.handler)}
            seen |= made
            if not made.intersection(kept):
                yield group


class _Counted(list[Any]):
    """The dependencies of a node, and how often they were looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.looks += 1
        if self.looks > MOST_LOOKS:
            raise EndlessSearch
        return super().__iter__()


def width(layer: Any) -> int:
    """How many channels a layer puts out."""
    return int(layer.out_channels if hasattr(layer, "out_channels") else layer.out_features)


def _run(module: fx.GraphModule, example: tuple[Tensor, ...]) -> Any:
    return module(*example)


class _quiet(warnings.catch_warnings):
    """Hides the library's remarks on parameters outside layers, which it leaves alone."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered
