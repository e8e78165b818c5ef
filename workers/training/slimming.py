"""Heads and neurons taken out of a network, with everything that counts them.

A head or neuron that was taken out must be worth exactly one whose way out was set to zero: that is tried on every
organ before it is touched, and organs that fail keep their units.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, fx, nn

from workers.graph.fx.operators.constants import constant
from workers.graph.fx.operators.shape import concat, slice_axes
from workers.numerics import ranking
from workers.training import anatomy
from workers.training.anatomy import Kind, Organ

Criterion = Literal["l1", "l2", "taylor", "geometric-median"]
COUNTING = frozenset({"Reshape", "Expand"})
END = 2**31 - 1  # of any shape
FOUND_OUT = -1  # how a target shape says that an entry follows from the others
TOLERANCE = 1e-3  # of the largest output


@dataclass(frozen=True)
class Loss:
    """An organ and the units it loses."""

    organ: Organ
    gone: Tensor


def expendable(
    found: list[Organ], marks: list[Tensor], *, shares: Mapping[Kind, float], across: bool, multiple: int
) -> list[Loss]:
    """The least important heads and neurons.

    Args:
        marks: what each unit is worth, one (units,) for each organ.
        shares: part of the heads and of the neurons that goes, in [0, 1).
        across: compare the units of all organs of a kind, relative to their organ's mean, rather than within each.
        multiple: of neurons that stay; at least one unit of each organ does.
    """
    losses: list[Loss] = []
    for kind, share in ((kind, share) for kind, share in shares.items() if share):
        pairs = [pair for pair in zip(found, marks, strict=True) if pair[0].kind == kind]
        wanted = ranking.removals([mark for _, mark in pairs], share=share, across=across)
        unit = multiple if kind == "neurons" else 1
        for (organ, mark), count in zip(pairs, wanted, strict=True):
            left = max(round((organ.units - count) / unit) * unit, min(unit, organ.units))
            if left < organ.units:
                losses.append(Loss(organ, ranking.expendable(mark, count=organ.units - left)))
    return losses


def scores(module: fx.GraphModule, organ: Organ, criterion: Criterion) -> Tensor:
    """How much each unit matters, by its weights or by the influences found by :func:`influences`; (units,)."""
    reads = _linear(module, organ.reader).weight.detach()
    columns = reads.T.reshape(organ.units, -1)  # (in, out) -> (units, width · out)
    if criterion == "geometric-median":
        return ranking.distances_to_others(columns)
    power = 1 if criterion == "l1" else 2
    total = ranking.magnitudes(columns, power=power)
    for maker in organ.makers:
        weight = _linear(module, maker.path).weight.detach()
        rows = weight.reshape(maker.parts, organ.units, -1).transpose(0, 1)
        total = total + ranking.magnitudes(rows.reshape(organ.units, -1), power=power)
    return total


def influences(module: fx.GraphModule, found: Iterable[Organ], losses: Iterable[Tensor]) -> list[Tensor]:
    """How much the loss feels a mask on each unit, summed over batches; one (units,) for each organ.

    The mask multiplies what the reader takes from a unit, so its gradient is the sum over the reader's columns of
    weight times gradient.

    Source: Michel et al. 2019, arXiv:1905.10650, equation 2; Molchanov et al. 2019, arXiv:1906.10771.
    """
    organs = list(found)
    total = [torch.zeros(organ.units) for organ in organs]
    for loss in losses:
        module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for place, organ in enumerate(organs):
            weight = _linear(module, organ.reader).weight
            if weight.grad is not None:
                felt = (weight.detach() * weight.grad).T.reshape(organ.units, -1).sum(1)
                total[place] += felt.abs()
    module.zero_grad(set_to_none=True)
    return total


def removable(
    module: fx.GraphModule, found: list[Organ], example: tuple[Tensor, ...], check: Callable[[], None]
) -> list[Organ]:
    """The organs that can lose units: half of them gone must answer as half of them silenced."""
    fine = []
    for organ in found:
        check()
        gone = torch.arange(0, organ.units, 2)
        slim, silent = copy.deepcopy(module), copy.deepcopy(module)
        with torch.no_grad():
            _linear(silent, organ.reader).weight[:, organ.columns(gone)] = 0
        try:
            take_out(slim, [Loss(_in_copy(organ, module, slim), gone)], example)
            same = _answers_alike(slim, silent, example)
        except Exception:  # a network that no longer fits together raises whatever its layers raise
            same = False
        if same:
            fine.append(organ)
    return fine


def take_out(module: fx.GraphModule, losses: Iterable[Loss], example: tuple[Tensor, ...]) -> None:
    """Remove units for good, in place."""
    shapes = anatomy.Shapes.of(module, example)
    for loss in losses:
        organ = loss.organ
        kept = torch.tensor(sorted(set(range(organ.units)) - set(loss.gone.tolist())))
        for maker in organ.makers:
            _keep(_linear(module, maker.path), maker.rows(kept, organ.units), axis=0)
        _recount(module, organ, len(kept), shapes, len(example[0]))
        _keep(_linear(module, organ.reader), organ.columns(kept), axis=1)
    module.graph.lint()
    module.recompile()


@torch.no_grad()
def _keep(layer: nn.Linear, wanted: Tensor, *, axis: int) -> None:
    """Keep some rows or columns of a layer; the smaller weights are objects of their own."""
    layer.weight = nn.Parameter(layer.weight.index_select(axis, wanted).contiguous())
    if axis == 0:
        layer.out_features = len(wanted)
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.index_select(0, wanted).contiguous())
    else:
        layer.in_features = len(wanted)


def _recount(module: fx.GraphModule, organ: Organ, kept: int, shapes: anatomy.Shapes, rows: int) -> None:
    """Let shapes between the layers count the units that are left.

    Args:
        rows: in the example the shapes are of; some networks put the heads of all rows on one axis.
    """
    sizes = _counted(organ, kept, rows)
    for node in organ.between:
        kind = anatomy.op_type(node)
        if kind in COUNTING:
            _retarget(module, node, sizes, shapes)
        elif kind == "Split" and len(node.args) > 1 and isinstance(node.args[1], tuple):
            parts: tuple[Any, ...] = node.args[1]
            node.update_arg(1, tuple(sizes.get(size, size) for size in parts))
        elif kind == "Attention":
            counts: dict[str, Any] = {name: node.kwargs.get(name) for name in ("q_num_heads", "kv_num_heads")}
            node.kwargs = node.kwargs | {name: sizes[old] for name, old in counts.items() if old}


def _counted(organ: Organ, kept: int, rows: int) -> dict[int, int]:
    """Numbers that count units, or heads, or rows of all of them, and what they become.

    The heads of all rows together are left for the shape to find out.

    Called while the makers are already smaller and the reader is not.
    """
    per_head = min(maker.width for maker in organ.makers)
    numbers = {organ.units * each for maker in organ.makers for each in (maker.width, maker.width * maker.parts)}
    heads = organ.units * (organ.reads // per_head)
    counted = {number: number // organ.units * kept for number in (*numbers, heads, organ.units)}
    return {rows * heads: FOUND_OUT, rows * organ.units: FOUND_OUT} | counted


def _retarget(module: fx.GraphModule, node: fx.Node, sizes: dict[int, int], shapes: anatomy.Shapes) -> None:
    """Write a new number where a target shape counts units with a fixed one."""
    target, source = node.args[1], node.args[0]
    made = shapes.sizes.get(node, ())
    before = shapes.sizes.get(source, ()) if isinstance(source, fx.Node) else ()
    may_find_out = anatomy.op_type(node) == "Reshape"  # Expand has no such entry
    shared = _common(before, made) if may_find_out else 0
    if isinstance(target, tuple):
        place = _counting(target, made, sizes, shared)
        if place is not None:
            node.update_arg(1, (*target[:place], sizes[made[place]], *target[place + 1 :]))
    elif isinstance(target, fx.Node):
        is_listed = anatomy.op_type(target) == "Concat" and len(target.args) == len(made)  # entry by entry
        known = tuple(map(_number, target.args)) if is_listed else made  # else any may be a fixed one
        place = _counting(known, made, sizes, shared)
        if place is not None and (may_find_out or known[place] is not None):
            number = sizes[made[place]] if known[place] is not None else FOUND_OUT
            node.update_arg(1, _with_entry(module, node, place, number, is_listed=is_listed))


def _counting(target: tuple[Any, ...], made: tuple[int, ...], sizes: dict[int, int], shared: int) -> int | None:
    """Where a target shape counts units with a fixed number, or else computes one; None where it finds out by itself.

    Args:
        target: -1 and 0 where a number is found out, None where it is computed.
        made: the shape that came out.
        shared: leading axes that are those of the input, which come last.
    """
    places: tuple[int, ...] = (*range(max(shared, 1), len(made)), *range(1, shared))
    for place in places:
        if made[place] in sizes and target[place] == made[place]:
            return place
        if place >= shared and target[place] == FOUND_OUT:
            return None
    computed = (place for place in places if made[place] in sizes and target[place] is None)
    return None if FOUND_OUT in target else next(computed, None)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many leading axes two shapes share."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)


def _with_entry(module: fx.GraphModule, node: fx.Node, place: int, number: int, *, is_listed: bool) -> fx.Node:
    """The computed target shape of a node with one of its entries fixed.

    Args:
        is_listed: the shape is a Concat of one part for each entry.
    """
    graph, target = module.graph, node.args[1]
    assert isinstance(target, fx.Node)  # the caller saw to it

    def call(function: Any, *args: Any, **settings: Any) -> fx.Node:
        return graph.create_node("call_function", function, args, settings)

    with graph.inserting_before(node):
        fixed = call(constant, (number,), "int64", (1,))
        if is_listed:
            return call(concat, *target.args[:place], fixed, *target.args[place + 1 :], axis=0)
        before = call(slice_axes, target, (0,), (place,), (0,))
        behind = call(slice_axes, target, (place + 1,), (END,), (0,))
        return call(concat, before, fixed, behind, axis=0)


def _number(entry: Any) -> Any:
    """The one number of a constant part of a shape; None for a part that is computed."""
    if isinstance(entry, fx.Node) and entry.target is constant:
        values = np.array(entry.args[0]).ravel()
        return int(values[0]) if len(values) == 1 else None
    return None


def _linear(module: fx.GraphModule, path: str) -> Any:
    return module.get_submodule(path)


def _in_copy(organ: Organ, module: fx.GraphModule, other: fx.GraphModule) -> Organ:
    """The same organ in a copy of its network."""
    twins = dict(zip(module.graph.nodes, other.graph.nodes, strict=True))
    return Organ(
        organ.kind,
        organ.units,
        organ.makers,
        organ.reader,
        organ.reads,
        tuple(twins[node] for node in organ.between),
        twins[organ.call],
    )


@torch.no_grad()
def _answers_alike(one: fx.GraphModule, other: fx.GraphModule, example: tuple[Tensor, ...]) -> bool:
    pairs = zip(*(_tuple(module.eval()(*example)) for module in (one, other)), strict=True)
    return all(
        was.shape == now.shape
        and bool((was.double() - now.double()).abs().max() <= TOLERANCE * was.double().abs().max())
        for was, now in pairs
    )


def _tuple(made: Any) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)
