"""What happens inside a teacher as hints for its student: which layers match, and how far they are apart.

Source: Romero et al. 2015, FitNets, arXiv:1412.6550 (hints through adapters that are dropped at the end); layers are
matched by centred kernel alignment, Kornblith et al. 2019, arXiv:1905.00414.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from workers.numerics.similarity import linear_cka
from workers.training.network import watched
from workers.training.samples import Samples

MOST_HINTS = 4
ROWS = 128  # to match layers by
TELLING = 0.3  # the least alignment of a pair that is worth teaching


@dataclass(frozen=True)
class Hint:
    """A layer of the student and the layer of the teacher it shall come near to, by node name; alignment in [0, 1]."""

    student: str
    teacher: str
    alignment: float


def matched(teacher: fx.GraphModule, student: fx.GraphModule, samples: Samples, names: list[str]) -> list[Hint]:
    """Layers that see the same rows alike, in the order both run them, spread over the depth of the teacher.

    Layers match where their activations have as many positions, by how alike they are over the rows.

    Args:
        names: of the inputs, in order.
    """
    inputs = samples.pick(next(samples.in_order(ROWS)), names)
    theirs, ours = _layers(teacher, inputs), _layers(student, inputs)
    order = list(ours)
    found: list[Hint] = []
    begin = 0
    for name in _spread(list(theirs), MOST_HINTS):
        fitting = [
            Hint(mine, name, linear_cka(_per_row(ours[mine]), _per_row(theirs[name])))
            for mine in order[begin:]
            if _positions(ours[mine]) == _positions(theirs[name])
        ]
        best = max(fitting, key=lambda hint: hint.alignment, default=None)
        if best is not None and best.alignment >= TELLING:
            found.append(best)
            begin = order.index(best.student) + 1
    return found


class Hints:
    """A student to train that also shows its insides, and how far these are from its teacher's.

    ``student`` has the very layers of the network it was made of, and an adapter for each hint, which is trained with
    them and left behind.

    Args:
        weight: how much the distance counts.
        example: inputs for one run.
    """

    def __init__(
        self,
        teacher: fx.GraphModule,
        student: fx.GraphModule,
        found: list[Hint],
        *,
        weight: float,
        example: list[Tensor],
        seed: int,
    ) -> None:
        self.weight, self.count = weight, len(found)
        self.teacher = tapped(teacher, [hint.teacher for hint in found]).eval()
        self.student = tapped(student, [hint.student for hint in found]).eval()
        with torch.no_grad():
            ours, theirs = self._inside(self.student(*example)), self._inside(self.teacher(*example))
        torch.manual_seed(seed)
        self.adapters = nn.ModuleList([_Adapter(mine, wanted) for mine, wanted in zip(ours, theirs, strict=True)])
        self.student.add_module("adapters", self.adapters)

    def distance(self, result: Any, inputs: list[Tensor]) -> Tensor:
        """The weighted mean squared distance of all pairs, each in units of the teacher's variance; scalar.

        Args:
            result: what ``student`` returned for the inputs.
        """
        with torch.no_grad():
            wanted = self._inside(self.teacher(*inputs))
        apart = [
            functional.mse_loss(adapter(mine), other) / other.var().clamp_min(1e-6)
            for adapter, mine, other in zip(self.adapters, self._inside(result), wanted, strict=True)
        ]
        return self.weight * torch.stack(apart).mean()

    def _inside(self, result: Any) -> tuple[Tensor, ...]:
        return tuple(result[-self.count :])


class _Adapter(nn.Module):
    """One linear map of a student's channels to a teacher's, the same at every position."""

    def __init__(self, mine: Tensor, wanted: Tensor) -> None:
        super().__init__()
        self.axis = _channel_axis(mine)
        self.map = nn.Linear(mine.shape[self.axis], wanted.shape[self.axis])

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.map(x.movedim(self.axis, -1)).movedim(-1, self.axis)
        return made


def tapped(module: fx.GraphModule, names: list[str]) -> fx.GraphModule:
    """The same layers, not copies, in a network that returns its outputs and then what some of its nodes make."""
    graph = fx.Graph()
    twins: dict[fx.Node, fx.Node] = {}
    result: Any = graph.graph_copy(module.graph, twins)
    by_name = {old.name: new for old, new in twins.items()}
    outputs = result if isinstance(result, tuple) else (result,)
    graph.output((*outputs, *(by_name[name] for name in names)))
    return fx.GraphModule(module, graph)


def _layers(module: fx.GraphModule, inputs: list[Tensor]) -> dict[str, Tensor]:
    """What each layer makes of some rows, by node name, where it has the rows first."""
    rows = len(inputs[0])

    def is_layer(node: fx.Node, value: Any) -> bool:
        floats = isinstance(value, Tensor) and value.is_floating_point() and value.ndim in (2, 3, 4)
        return node.op == "call_module" and floats and len(value) == rows

    return {node.name: value for node, value in watched(module, inputs, is_layer).items()}


def _spread(names: list[str], most: int) -> list[str]:
    """Some names, evenly spaced, the last among them."""
    count = min(most, len(names))
    return [names[(index + 1) * len(names) // count - 1] for index in range(count)]


def _channel_axis(value: Tensor) -> int:
    return 1 if value.ndim == 4 else value.ndim - 1


def _positions(value: Tensor) -> tuple[int, ...]:
    """The shape without rows and channels."""
    return tuple(size for axis, size in enumerate(value.shape) if axis not in (0, _channel_axis(value)))


def _per_row(value: Tensor) -> Tensor:
    """The mean over all positions; (rows, channels)."""
    return value.movedim(_channel_axis(value), 1).reshape(len(value), value.shape[_channel_axis(value)], -1).mean(2)
