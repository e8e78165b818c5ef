"""Numbers an exporter wrote into Reshape although they follow from the input."""

from __future__ import annotations

import math

from workers.graph.fx.builder import Builder
from workers.graph.fx.operators.shape import reshape
from workers.graph.fx.source import Shape
from workers.graph.fx.writer import origin_of


def free_the_batch(builder: Builder) -> None:
    """Let each Reshape that leaves the first axis alone say so, and let Flatten find its width.

    ``(-1, 400)`` behind a (batch, 16, 5, 5) becomes ``(0, -1)``: the same numbers, but any batch size
    fits, and so does any number of channels that pruning leaves.
    """
    for node in builder.graph.nodes:
        if node.target is not reshape or not isinstance(node.args[1], tuple) or node.kwargs.get("allowzero", 0):
            continue
        before = builder.source.shape(origin_of(node).inputs[0])
        after = _freed(before, node.args[1])
        if after is not None:
            node.update_arg(1, after)


def _freed(before: Shape | None, wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The same target in a freer form; None where it cannot be said with certainty."""
    if not before or len(before) < 2 or len(wanted) < 2 or 0 in wanted:
        return None
    if wanted[0] == before[0] or (wanted[0] == -1 and _row(before) == math.prod(wanted[1:])):
        return (0, -1) if len(wanted) == 2 else (0, *wanted[1:])
    return None


def _row(shape: Shape) -> int | None:
    """How many elements stand behind one entry of the first axis, if that is known."""
    sizes = [size for size in shape[1:] if size is not None]
    return math.prod(sizes) if len(sizes) == len(shape) - 1 else None
