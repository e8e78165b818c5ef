"""Ways to take a little more out of a network, round after round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, fx

from workers.model import LoadedModel
from workers.numerics import masks
from workers.training import anatomy, evidence, narrowing, network, ramp, slimming
from workers.workbench import Workbench

What = Literal["channels", "transformer", "weights"]
Criterion = Literal["l1", "l2", "taylor", "geometric-median"]
MOST_AT_ONCE = 0.9


@dataclass(frozen=True)
class Knife:
    """What a round takes out of a network, and how it is chosen.

    Attributes:
        share: of what is left that goes in one round, in (0, 1).
        multiple: of channels and neurons that stay.
        left: names of layers that are not touched.
    """

    what: What
    criterion: Criterion
    share: float
    multiple: int
    left: frozenset[str]


class Cutter:
    """Cuts networks that came from one another; what cannot be cut is found out once.

    Args:
        example: inputs for one run, two rows.
    """

    def __init__(
        self, module: fx.GraphModule, model: LoadedModel, example: tuple[Tensor, ...], knife: Knife, bench: Workbench
    ) -> None:
        self.model, self.example, self.knife, self.bench = model, example, knife, bench
        if knife.what == "channels":
            wish = narrowing.Cut(knife.criterion, across=False, multiple=knife.multiple, kept=frozenset())
            self.cut = narrowing.safe_cut(module, example, wish, bench, keep_first=True, left=knife.left)
        elif knife.what == "transformer":
            names = narrowing.layer_names(module)
            found = [
                organ
                for organ in anatomy.organs(module, example)
                if not knife.left & {names[path] for path in organ.paths}
            ]
            self.readers = {organ.reader for organ in slimming.removable(module, found, example, bench.check)}

    def narrower(self, module: fx.GraphModule) -> fx.GraphModule | None:
        """A copy with less in it; None where nothing more can go.

        Multiples may keep a small share from taking anything: then twice as much goes, and so on.
        """
        make: Callable[[fx.GraphModule, float], fx.GraphModule] = {
            "channels": self._channels,
            "transformer": self._units,
            "weights": self._weights,
        }[self.knife.what]
        share = self.knife.share
        while share <= MOST_AT_ONCE:
            self.bench.check()
            made = make(module, share)
            if _numbers(made) < _numbers(module):
                return made
            share *= 2
        return None

    def _channels(self, module: fx.GraphModule, share: float) -> fx.GraphModule:
        if self.knife.criterion == "taylor":
            narrowing.gradients(evidence.losses(module, self.model, self.bench), module)
        return narrowing.narrowed(module, self.example, self.cut, share)

    def _units(self, module: fx.GraphModule, share: float) -> fx.GraphModule:
        made = network.copied(module)
        found = [organ for organ in anatomy.organs(made, self.example) if organ.reader in self.readers]
        if self.knife.criterion == "taylor":
            marks = slimming.influences(made, found, evidence.losses(made, self.model, self.bench))
        else:
            marks = [slimming.scores(made, organ, self.knife.criterion) for organ in found]
        shares: dict[anatomy.Kind, float] = {"heads": share, "neurons": share}
        losses = slimming.expendable(found, marks, shares=shares, across=False, multiple=self.knife.multiple)
        slimming.take_out(made, losses, self.example)
        return made

    @torch.no_grad()
    def _weights(self, module: fx.GraphModule, share: float) -> fx.GraphModule:
        """The smallest of the weights that are not zero become zero, wherever they are."""
        made = network.copied(module)
        weights = ramp.prunable(made, self.knife.left)
        alive = sum(int((weight != 0).sum()) for weight in weights)
        kept = max(1, round(alive * (1 - share))) / max(sum(weight.numel() for weight in weights), 1)
        least = masks.threshold([weight.detach().numpy() for weight in weights], share=kept)
        for weight in weights:
            weight.mul_((weight.abs() >= least).to(weight.dtype))
        return made


def _numbers(module: fx.GraphModule) -> int:
    """How many weights are there that are not zero."""
    return sum(int((parameter != 0).sum()) for parameter in module.parameters())
