"""Whether a network that lost channels answers as the whole one does while nobody reads these channels.

Layers that take channels away still fit together where a Reshape finds its numbers out by itself, and may then read one
position's numbers as another's: attention whose heads lie side by side goes wrong so. Shapes do not tell; answers do.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers.training import anatomy

TOLERANCE = 1e-3  # of the largest output
CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm)
ACROSS_CHANNELS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMin"})


@torch.no_grad()
def strengthened(module: fx.GraphModule) -> fx.GraphModule:
    """A copy whose linear layers neither raise nor lower what they read.

    Attention that looks everywhere alike, as it does before it is trained, hides that its heads are mixed up.
    """
    made = copy.deepcopy(module)
    layers = [part for part in made.modules() if isinstance(part, nn.Linear)]
    for weight in {id(layer.weight): layer.weight for layer in layers}.values():
        weight.mul_(1 / (weight.shape[1] ** 0.5 * weight.square().mean().sqrt().clamp_min(1e-12)))
    return made


@torch.no_grad()
def answers_as_silenced(
    module: fx.GraphModule, pruned: fx.GraphModule, read: Mapping[str, Tensor], example: tuple[Tensor, ...]
) -> bool:
    """Hold a network against a copy of it that lost channels.

    What works across channels, such as a layer normalization, rightly changes when some go: in both networks it has
    the statistics of the untouched one, and sums over channels are those of the untouched one.

    Args:
        module: :func:`strengthened`.
        read: the channels that layers still read, by the path of the layer that reads them.
        example: inputs for one run.
    """
    was = _Run(module, {})
    expected = was.run(*example)
    slim = _Run(pruned, {}, was)
    found = slim.run(*example)
    if [one.shape for one in _tuple(expected)] != [one.shape for one in _tuple(found)]:
        return False
    silenced = _Run(module, read, was, slim).run(*example)
    return all(_near(*pair) for pair in zip(_tuple(silenced), _tuple(found), strict=True))


class _Run(fx.Interpreter):
    """One run of a network.

    Args:
        read: the channels each layer may read, all where it is not named.
        was: a run of the untouched network, to tell what works across channels that went.
        slim: the run of the smaller network, where this one is of the whole.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        read: Mapping[str, Tensor],
        was: _Run | None = None,
        slim: _Run | None = None,
    ) -> None:
        super().__init__(module.eval())
        self.read, self.was, self.slim = read, was, slim
        self.made: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.made[n.name] = super().run_node(n)
        if self._lost_channels(n):
            self.made[n.name] = self._without_statistics(n)
        return self.made[n.name]

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        kept = self.read.get(str(target))
        if kept is None:
            return super().call_module(target, args, kwargs)
        x, axis = args[0], -1 if isinstance(self.fetch_attr(str(target)), CHANNELS_LAST) else 1
        mask = torch.zeros(x.shape[axis], dtype=x.dtype).index_fill_(0, kept, 1)
        masked = (x.movedim(axis, -1) * mask).movedim(-1, axis)
        return super().call_module(target, (masked, *args[1:]), kwargs)

    def _lost_channels(self, node: fx.Node) -> bool:
        """Whether what a node reads first is smaller in the pruned network."""
        source = node.args[0] if node.args else None
        if self.was is None or not isinstance(source, fx.Node):
            return False
        before, now = self.was.made[source.name], (self.slim or self).made[source.name]
        return isinstance(before, Tensor) and isinstance(now, Tensor) and before.shape != now.shape

    def _without_statistics(self, node: fx.Node) -> Any:
        """What stands for the result of a node that works across channels; of any other node the result itself."""
        assert self.was is not None and isinstance(node.args[0], fx.Node)  # the caller looked
        if node.op == "call_module" and isinstance(layer := self.fetch_attr(str(node.target)), ACROSS_CHANNELS):
            return _as_before(layer, self.made[node.args[0].name], self.was.made[node.args[0].name])
        before, now = self.was.made[node.name], (self.slim or self).made[node.name]
        sums = anatomy.op_type(node) in REDUCTIONS and before.shape == now.shape
        return before if sums else self.made[node.name]


def _as_before(layer: Any, x: Tensor, whole: Tensor) -> Tensor:
    """A normalisation with the statistics of other values, those of all channels together.

    Args:
        whole: what the layer read before any channel went.
    """
    last = isinstance(layer, CHANNELS_LAST)
    over = (-1,) if last else tuple(range(1, whole.ndim))
    mean = torch.zeros(()) if isinstance(layer, nn.RMSNorm) else whole.mean(over, keepdim=True)
    spread = (whole - mean).square().mean(over, keepdim=True).sqrt().clamp_min(1e-6)
    made, trailing = (x - mean) / spread, 0 if last else x.ndim - 2
    for values, combine in ((layer.weight, torch.mul), (getattr(layer, "bias", None), torch.add)):
        if values is not None:
            made = combine(made, values.reshape(*values.shape, *[1] * trailing))
    return made


def _near(expected: Tensor, found: Tensor) -> bool:
    one, other = expected.double(), found.double()
    largest = one[one.isfinite()].abs().max() if one.isfinite().any() else one.new_ones(())
    return torch.allclose(one, other, rtol=0, atol=TOLERANCE * max(float(largest), 1e-12), equal_nan=True)


def _tuple(made: Any) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)
