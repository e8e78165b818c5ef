"""Whole blocks of a transformer: where each begins and ends, how much it changes, and the network without it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, fx, nn
from torch.nn import functional

from workers.training import anatomy
from workers.training.anatomy import Organ, Shapes
from workers.training.network import watched

ADDS = frozenset({"Add"})


@dataclass(frozen=True)
class Block:
    """Attention and the feed-forward part behind it, between two points of the stream that passes them by.

    Attributes:
        name: of the layer that attention ends in.
        start, end: the value that enters and the value that leaves, by node name; they have one shape.
    """

    name: str
    start: str
    end: str


def blocks(module: fx.GraphModule, example: tuple[Tensor, ...]) -> list[Block]:
    """Every block, in the order they run; none where the network is no stack of like blocks."""
    shapes = Shapes.of(module, example)
    pairs = _pairs(anatomy.organs(module, example))
    joined = [(_joined(heads.call, shapes), _joined(neurons.call, shapes)) for heads, neurons in pairs]
    starts = [attention[1] for attention, _ in joined if attention is not None]
    sums = [forward[0] for _, forward in joined if forward is not None]
    if len(starts) != len(pairs) or len(sums) != len(pairs) or len(pairs) < 2:
        return []
    ends = [*starts[1:], _last_end(module, starts[1], sums)]
    whole = zip(pairs, starts, ends, sums, strict=True)
    return [
        Block(heads.reader, start.name, end.name)
        for (heads, _), start, end, total in whole
        if end is total or _is_norm_of(module, end, total)
    ]


def branches(module: fx.GraphModule, example: tuple[Tensor, ...]) -> list[Block]:
    """Every branch that is added to what it came from, as in residual networks; the stream could pass it by."""
    shapes = Shapes.of(module, example)
    found = []
    for node in module.graph.nodes:
        if anatomy.op_type(node) not in ADDS or len(node.all_input_nodes) != 2:
            continue
        one, two = node.all_input_nodes
        if shapes.sizes.get(one) != shapes.sizes.get(two) or node not in shapes.floats:
            continue
        stream = two if two in _above(one) else one if one in _above(two) else None
        if stream is not None:
            found.append(Block(node.name, stream.name, node.name))
    return found


def _above(node: fx.Node) -> set[fx.Node]:
    """Everything a value is made from."""
    seen: set[fx.Node] = set()
    waiting = list(node.all_input_nodes)
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(one.all_input_nodes)
    return seen


def without(module: fx.GraphModule, gone: Iterable[Block]) -> None:
    """Let the stream pass some blocks by, in place."""
    nodes = {node.name: node for node in module.graph.nodes}
    place = {name: index for index, name in enumerate(nodes)}
    for block in sorted(gone, key=lambda one: -place[one.end]):
        nodes[block.end].replace_all_uses_with(nodes[block.start])
    module.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()


def changes(module: fx.GraphModule, found: list[Block], batches: Iterable[list[Tensor]]) -> list[float]:
    """How much each block turns what enters it: one minus the mean cosine over all positions.

    Source: Men et al. 2024, ShortGPT, arXiv:2403.03853, equation 1 (Block Influence).
    """
    totals, rows = [0.0] * len(found), 0
    wanted = {name for block in found for name in (block.start, block.end)}
    for inputs in batches:
        made = watched(module, inputs, lambda node, value: node.name in wanted)
        values = {node.name: value for node, value in made.items()}
        rows += len(inputs[0])
        for place, block in enumerate(found):
            cosine = functional.cosine_similarity(values[block.start], values[block.end], dim=-1)
            totals[place] += float((1 - cosine).mean()) * len(inputs[0])
    return [total / max(rows, 1) for total in totals]


def _pairs(found: list[Organ]) -> list[tuple[Organ, Organ]]:
    """Each attention with the feed-forward part that follows it."""
    return [(one, two) for one, two in pairwise(found) if (one.kind, two.kind) == ("heads", "neurons")]


def _joined(call: fx.Node, shapes: Shapes) -> tuple[fx.Node, fx.Node] | None:
    """The sum in which a layer's output joins the stream, and what it is added to."""
    node = call
    while True:
        users = [user for user in node.users if user in shapes.floats]
        if len(users) != 1 or users[0].op != "call_function":
            return None
        after = users[0]
        if anatomy.op_type(after) in ADDS:
            others = [arg for arg in after.all_input_nodes if arg is not node]
            if len(others) == 1 and shapes.sizes.get(others[0]) == shapes.sizes[after]:
                return after, others[0]
        node = after


def _last_end(module: fx.GraphModule, second: fx.Node, sums: list[fx.Node]) -> fx.Node:
    """Where the last block ends: behind its norm where other blocks end behind theirs."""
    if second is sums[0]:
        return sums[-1]
    norms = [user for user in sums[-1].users if _is_norm_of(module, user, sums[-1])]
    return norms[0] if len(norms) == 1 else sums[-1]


def _is_norm_of(module: fx.GraphModule, node: fx.Node, source: fx.Node) -> bool:
    return (
        node.op == "call_module"
        and node.args[0] is source
        and isinstance(module.get_submodule(str(node.target)), nn.LayerNorm | nn.RMSNorm)
    )
