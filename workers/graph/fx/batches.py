"""Batch sizes that an exporter wrote into Reshape where rows share an axis with heads or tokens.

``nn.MultiheadAttention`` traced with two rows reshapes to (tokens, 2 · heads, width). Which of these numbers grows
with the rows is not in the file; it is found by running twice the rows and asking what came out of either half.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from onnx import ValueInfoProto, helper
from torch import Tensor, fx

from workers.graph.fx.operators.shape import reshape

FOUND_OUT = -1
TOLERANCE = 1e-4  # of the largest value: more rows at once sum in another order
STEPS_PER_NODE = 20
FREE_AXIS = 6
MOST_ROWS = 64

Target = tuple[int, ...]
Option = tuple[Any, Target | None]


def free_shared_axes(module: fx.GraphModule, inputs: Iterable[ValueInfoProto]) -> bool:
    """Let each Reshape find out the axis on which the rows lie, where the whole network then takes any number of them.

    Args:
        inputs: of the file.

    Returns:
        Whether the network takes three times the rows and answers each third as before; else it is left as it was.
    """
    described = list(inputs)
    both, three = _samples(described, 2), _samples(described, 3)
    before = {node: node.args[1] for node in module.graph.nodes if _is_fixed(node)}
    if not both or not before:
        return False
    try:
        expected = [_answer(module, part) for part in _parts(three, 3)]
        if _gives(module, three, expected):
            return True
        made = [_Recorder(module).of(part) for part in _parts(both, 2)]
    except Exception:  # a network that does not take random numbers raises whatever its layers raise
        return False
    repeated = _shrink_repeated(module, rows=len(both[0]) // 2)
    targets = _Search(module, both, made, rows=len(both[0]) // 2).run()
    for node, target in (targets or {}).items():
        node.update_arg(1, target)
    module.recompile()
    if targets is not None and _gives(module, three, expected):
        return True
    for node, target in before.items():
        node.update_arg(1, target)
    for name, values in repeated.items():
        _put(module, name, values)
    module.recompile()
    return False


def _parts(inputs: list[Tensor], count: int) -> list[list[Tensor]]:
    return [list(part) for part in zip(*(tensor.chunk(count) for tensor in inputs), strict=True)]


def _shrink_repeated(module: fx.GraphModule, *, rows: int) -> dict[str, Tensor]:
    """Keep one row of constants that hold the same row for each sample; it stands for all of them.

    Returns:
        The constants as they were.
    """
    found = {}
    for node in module.graph.nodes:
        name = str(node.target)
        values = dict(module.named_buffers()).get(name) if node.op == "get_attr" and rows > 1 else None
        if values is not None and values.ndim > 1 and len(values) == rows and bool((values == values[:1]).all()):
            found[name] = values
            _put(module, name, values[:1].clone())
    return found


def _put(module: fx.GraphModule, name: str, values: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    module.get_submodule(owner)._buffers[leaf] = values


@torch.no_grad()
def _answer(module: fx.GraphModule, inputs: list[Tensor]) -> Any:
    return module(*inputs)


def _gives(module: fx.GraphModule, inputs: list[Tensor], expected: list[Any]) -> bool:
    """Whether the network answers all rows at once as it answered them part by part."""
    try:
        return _are_both(_answer(module, inputs), expected)
    except Exception:  # as above
        return False


def _are_both(value: Any, parts: list[Any]) -> bool:
    outputs = [made if isinstance(made, tuple) else (made,) for made in (value, *parts)]
    return all(_alike(found, torch.cat(pieces)) for found, *pieces in zip(*outputs, strict=True))


def _is_fixed(node: fx.Node) -> bool:
    """Whether it is a Reshape whose target does not follow from the input."""
    return node.target is reshape and isinstance(node.args[1], tuple)


class _Recorder(fx.Interpreter):
    """What the fixed reshapes and the output make in one run, and the shapes of everything else."""

    @torch.no_grad()
    def of(self, inputs: list[Tensor]) -> dict[fx.Node, Any]:
        self.seen: dict[fx.Node, Any] = {}
        self.run(*inputs)
        return self.seen

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.seen[n] = value if n.op == "output" or _is_fixed(n) or not isinstance(value, Tensor) else value.shape
        return value


class _Search:
    """Runs the network node by node on twice the rows; where several axes would do, the last choice is undone first."""

    def __init__(
        self, module: fx.GraphModule, inputs: list[Tensor], halves: list[dict[fx.Node, Any]], *, rows: int
    ) -> None:
        self.nodes = list(module.graph.nodes)
        self.runner = fx.Interpreter(module)
        self.inputs, self.halves, self.rows = iter(inputs), halves, rows

    @torch.no_grad()
    def run(self) -> dict[fx.Node, Target] | None:
        """The new target of each reshape that needs one; None where no choice fits."""
        values: dict[fx.Node, Any] = {}
        chosen: dict[fx.Node, Target] = {}
        open_choices: list[tuple[int, dict[fx.Node, Any], dict[fx.Node, Target], list[Option]]] = []
        place, steps = 0, STEPS_PER_NODE * len(self.nodes)
        while place < len(self.nodes) and steps:
            options = self._options(self.nodes[place], values)
            while not options:
                if not open_choices:
                    return None
                place, values, chosen, options = open_choices.pop()
            if len(options) > 1:
                open_choices.append((place, dict(values), dict(chosen), options[1:]))
            value, target = options[0]
            values[self.nodes[place]] = value
            if target is not None:
                chosen[self.nodes[place]] = target
            place, steps = place + 1, steps - 1
        return chosen if place == len(self.nodes) else None

    def _options(self, node: fx.Node, values: dict[fx.Node, Any]) -> list[Option]:
        """What a node may make of twice the rows, with the target shape that it takes."""
        if node.op == "placeholder":
            return [(next(self.inputs), None)]
        self.runner.env = values
        try:
            if _is_fixed(node):
                return list(self._reshaped(node, values[node.all_input_nodes[0]]))
            value = self.runner.run_node(node)
        except Exception:  # an earlier choice that does not fit raises whatever the layer raises
            return []
        if node.op == "output":
            fits = _are_both(value, [half[node] for half in self.halves])
        else:
            fits = self._has_more_rows(node, value)
        return [(value, None)] if fits else []

    def _places(self, node: fx.Node, made: torch.Size, source: torch.Size) -> list[int]:
        """The axes on which the rows may lie, the likeliest first: the one that holds nothing else, else the last."""
        before = self.halves[0].get(node.all_input_nodes[0])
        shape = before.shape if isinstance(before, Tensor) else before
        if not isinstance(shape, torch.Size) or len(shape) != len(source):
            return []
        longer = next((axis for axis in range(len(shape)) if shape[axis] != source[axis]), 0)
        places = [axis for axis in range(len(made)) if _reaches(shape, longer, made, axis)]
        return sorted(places, key=lambda axis: (0, axis) if made[axis] == self.rows else (1, -axis))

    def _has_more_rows(self, node: fx.Node, value: Any) -> bool:
        """Whether no more than one axis is longer than before; two are where rows meet each other."""
        before = self.halves[0][node]
        return not isinstance(before, torch.Size) or sum(map(int.__ne__, value.shape, before)) <= 1

    def _reshaped(self, node: fx.Node, x: Tensor) -> Iterator[Option]:
        one, two = (half[node] for half in self.halves)
        if x.numel() == one.numel():
            yield one, None  # does not depend on the rows
            return
        for axis in self._places(node, one.shape, x.shape):
            found = x.reshape(*one.shape[:axis], FOUND_OUT, *one.shape[axis + 1 :])
            if _is_mixed(found, one, two, axis, self.rows):
                yield found, _freed(node.args[1], axis, found.shape, x.shape)  # type: ignore[arg-type]


def _reaches(source: torch.Size, longer: int, made: torch.Size, axis: int) -> bool:
    """Whether an axis of a reshaped tensor holds some of what lies on an axis of its source, or touches it."""
    inner, own = math.prod(source[longer + 1 :]), math.prod(made[axis + 1 :])
    return own <= inner * source[longer] and inner <= own * made[axis]


def _freed(target: Target, axis: int, made: torch.Size, source: torch.Size) -> Target | None:
    """The target with one axis found out; None where it already makes that shape, so that no number is fixed anew."""
    kept = [source[place] if size == 0 else size for place, size in enumerate(target)]
    if all(size in (FOUND_OUT, side) for size, side in zip(kept, made, strict=True)):
        return None
    copied = [size == 0 and was == side for size, was, side in zip(target, kept, made, strict=True)]
    fixed = [0 if same else side for same, side in zip(copied, made, strict=True)]
    return (*fixed[:axis], FOUND_OUT, *fixed[axis + 1 :])


def _is_mixed(found: Tensor, one: Tensor, two: Tensor, axis: int, rows: int) -> bool:
    """Whether the rows of two results lie on one axis of a third, perhaps inside something else that lies there."""
    size = one.shape[axis]
    for outer in (number for number in range(1, size // rows + 1) if size % (rows * number) == 0):
        apart = (*one.shape[:axis], outer, rows, size // rows // outer, *one.shape[axis + 1 :])
        mixed = torch.cat([one.reshape(apart), two.reshape(apart)], dim=axis + 1)
        if _alike(found, mixed.reshape(found.shape)):
            return True
    return False


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    known = other[torch.isfinite(other)]
    largest = float(known.abs().max()) if known.numel() and other.is_floating_point() else 0.0
    return torch.allclose(one.double(), other.double(), rtol=0, atol=TOLERANCE * largest, equal_nan=True)


def _samples(inputs: Iterable[ValueInfoProto], times: int) -> list[Tensor]:
    """Several times the rows that a file insists on, random; none where rows are free, unlike, or very many.

    Whole numbers are zeros and ones, each row beginning with a one.
    """
    types = [item.type.tensor_type for item in inputs]
    shapes = [[side.dim_value for side in one.shape.dim] for one in types]  # 0 where an axis is free
    if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
        return []
    if not 0 < shapes[0][0] <= MOST_ROWS:
        return []
    random, made = np.random.default_rng(times), []
    for kind, shape in zip(types, shapes, strict=True):
        sides = (times * shape[0], *(side or FREE_AXIS for side in shape[1:]))
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        drawn = random.normal(size=sides) if dtype.kind == "f" else random.integers(0, 2, sides)
        if dtype.kind != "f" and len(sides) > 1:
            drawn[:, 0] = 1  # a mask that hides everything makes no sense
        made.append(torch.from_numpy(drawn.astype(dtype)))
    return made
