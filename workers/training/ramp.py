"""Zeros that become more while a network trains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx, nn

from workers.numerics import masks, schedules
from workers.training import narrowing

LOOKS = 50  # how often, over the whole ramp, the weights to be zero are chosen anew
PRUNED = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase)


def prunable(module: fx.GraphModule, left: frozenset[str]) -> list[nn.Parameter]:
    """The weights of layers that multiply, each once, but for layers with these names."""
    names = narrowing.layer_names(module)
    found = {
        id(parameter): parameter
        for path, part in module.named_modules()
        if isinstance(part, PRUNED) and names.get(path, path) not in left
        for parameter in part.parameters(recurse=False)
        if parameter.ndim >= 2
    }
    return list(found.values())


class Ramp:
    """Sets the smallest weights to zero after every step of a training, more of them each time it looks.

    Args:
        steps: training steps until the share of zeros is ``sparsity``.
        together: the smallest of the whole network become zero, instead of the same share of each layer.
        tell: called with the step and the share of zeros at every look.
    """

    def __init__(
        self,
        weights: list[nn.Parameter],
        *,
        sparsity: float,
        steps: int,
        together: bool,
        tell: Callable[[int, float], None],
    ) -> None:
        self.weights, self.sparsity, self.steps, self.together, self.tell = weights, sparsity, steps, together, tell
        self.kept: list[Tensor] = [torch.ones_like(weight) for weight in weights]
        self.done = 0

    @property
    def is_over(self) -> bool:
        """Whether as many weights are zero as shall be."""
        return self.done >= self.steps

    @torch.no_grad()
    def step(self) -> None:
        """To be called after every change of the weights."""
        self.done += 1
        if self.done <= self.steps and (self.done % max(1, self.steps // LOOKS) == 0 or self.done == self.steps):
            share = schedules.cubic_sparsity(self.sparsity, self.done / self.steps)
            self._choose(share)
            self.tell(self.done, share)
        for weight, kept in zip(self.weights, self.kept, strict=True):
            weight.mul_(kept)

    def _choose(self, share: float) -> None:
        values = [weight.detach().numpy() for weight in self.weights]
        if self.together:
            least = masks.threshold(values, share=1 - share)
            chosen = [masks.keep_from(value, least) for value in values]
        else:
            chosen = [masks.keep_largest(value, share=1 - share) for value in values]
        self.kept = [torch.from_numpy(mask.astype(np.float32)) for mask in chosen]
