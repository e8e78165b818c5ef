"""Finding attention and feed-forward parts in a network, from what it computes and not from what it is called.

Attention is a softmax between two matrix products whose factors come from linear layers; a feed-forward part is a
linear layer that reads, element by element, what other linear layers made. Both consist of units that can leave one
by one: heads and neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from workers.graph.fx.operators.constants import constant
from workers.training.network import watched

Kind = Literal["heads", "neurons"]
MOVING = frozenset({"Reshape", "Transpose", "Concat", "Split", "Slice", "Gather", "Flatten", "Squeeze", "Unsqueeze"})
SUMMING = frozenset({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "Softmax", "LogSoftmax", "MatMul", "Einsum"})
MIXING = MOVING | SUMMING | {"Expand", "Attention"}  # what lets units meet, or lie elsewhere than on the last axis


@dataclass(frozen=True)
class Maker:
    """A linear layer whose rows belong to units: ``parts`` times in a row, ``width`` rows for each unit."""

    path: str
    width: int
    parts: int = 1

    def rows(self, units: Tensor, count: int) -> Tensor:
        """The rows of some of ``count`` units, ascending within each part."""
        inside = units[:, None] * self.width + torch.arange(self.width)  # (units, width)
        starts = torch.arange(self.parts) * count * self.width
        return (starts[:, None] + inside.flatten()).flatten()


@dataclass(frozen=True)
class Organ:
    """Heads or neurons between the layers that make them and the layer that reads them.

    Attributes:
        reader: path of the linear layer that reads the units, ``reads`` of its columns each.
        between: the nodes on the way, whose shapes may count the units.
        call: the node of the reader.
    """

    kind: Kind
    units: int
    makers: tuple[Maker, ...]
    reader: str
    reads: int
    between: tuple[fx.Node, ...]
    call: fx.Node

    def columns(self, units: Tensor) -> Tensor:
        """The reader's columns of some units."""
        return (units[:, None] * self.reads + torch.arange(self.reads)).flatten()

    @property
    def paths(self) -> tuple[str, ...]:
        return (*(maker.path for maker in self.makers), self.reader)


@dataclass(frozen=True)
class Shapes:
    """What each node made in one run: its shape, and which of them are floats."""

    sizes: dict[fx.Node, tuple[int, ...]]
    floats: frozenset[fx.Node]

    @classmethod
    def of(cls, module: fx.GraphModule, example: tuple[Tensor, ...]) -> Shapes:
        made = watched(module, example, lambda node, value: isinstance(value, Tensor | tuple))
        sizes = {node: tuple(value.shape) for node, value in made.items() if isinstance(value, Tensor)}
        # what a Split made, a tuple, is looked through
        floats = {node for node, value in made.items() if isinstance(value, tuple) or value.is_floating_point()}
        return cls(sizes, frozenset(floats))


def organs(module: fx.GraphModule, example: tuple[Tensor, ...]) -> list[Organ]:
    """Every group of heads and every group of neurons whose layers belong to it alone, in graph order."""
    finder = _Finder(module, Shapes.of(module, example))
    found = [*finder.attention(), *finder.feed_forward()]
    place = {node: index for index, node in enumerate(module.graph.nodes)}
    return sorted(found, key=lambda organ: place[organ.call])


def op_type(node: fx.Node) -> str:
    """The ONNX operator a function node stands for, empty for modules and what is none."""
    entry = getattr(node.target, "operator", None)
    return str(getattr(entry, "op_type", ""))


class _Finder:
    def __init__(self, module: fx.GraphModule, shapes: Shapes) -> None:
        self.module, self.shapes = module, shapes
        self.own = _unshared(module)
        self.taken: set[str] = set()

    def attention(self) -> Iterator[Organ]:
        for node in self.module.graph.nodes:
            organ = None
            if op_type(node) == "Softmax" and len(self.shapes.sizes.get(node, ())) in (3, 4):
                organ = self._around_softmax(node)
            elif op_type(node) == "Attention":
                organ = self._heads(node, list(node.args[:3]), node, _head_width(node, self.shapes))
            if organ is not None:
                self.taken.update(organ.paths)
                yield organ

    def feed_forward(self) -> Iterator[Organ]:
        for node in self.module.graph.nodes:
            if not self._is_linear(node) or str(node.target) in self.taken or str(node.target) not in self.own:
                continue
            makers, between = self._above(node.args[0])
            reader = self._linear(node)
            plain = makers and all(self._is_linear(maker) and str(maker.target) in self.own for maker in makers)
            if not plain or any(self._mixes(one) for one in between):
                continue
            paths = {str(maker.target) for maker in makers}
            wide = all(self._linear(maker).out_features == reader.in_features for maker in makers)
            inside = {*between, node}
            leaks = any(_reads(one) - inside for one in (*between, *makers))
            if wide and not leaks and not paths & self.taken:
                yield Organ(
                    "neurons",
                    reader.in_features,
                    tuple(Maker(path, 1) for path in sorted(paths)),
                    str(node.target),
                    1,
                    tuple(between),
                    node,
                )

    def _mixes(self, node: fx.Node) -> bool:
        """Whether units may meet, or leave the last axis; a Reshape that only regroups rows lets them be."""
        rows = op_type(node) == "Reshape" and isinstance(node.args[0], fx.Node)
        if rows and self.shapes.sizes[node.args[0]][-1:] == self.shapes.sizes[node][-1:]:  # type: ignore[index]
            return False
        return op_type(node) in MIXING

    def _around_softmax(self, softmax: fx.Node) -> Organ | None:
        product = _first(softmax, lambda node: node.users, _is_product)
        scores = _first(softmax, lambda node: node.all_input_nodes, _is_product)
        if product is None or scores is None:
            return None
        factors = [scores.args[0], scores.args[1], product.args[1]]
        return self._heads(softmax, factors, product, self.shapes.sizes[product][-1])

    def _heads(self, core: fx.Node, factors: list[Any], product: fx.Node, each: int) -> Organ | None:
        """The organ of one attention, ``each`` features a head; None where layers are shared or do not add up."""
        sources = [self._above(factor) for factor in factors]
        calls = [made[0] if len(made) == 1 else None for made, _ in sources]
        readers, below = self._below(product)
        if None in calls or len(readers) != 1:
            return None
        paths = [str(call.target) for call in calls if call is not None]
        everything = (*calls, readers[0])
        if not all(self._is_linear(call) and str(call.target) in self.own for call in everything if call is not None):
            return None
        reader = self._linear(readers[0])
        makers = self._makers(paths, reader.in_features, each)
        if makers is None:
            return None
        units, made = makers
        between = (*(node for _, nodes in sources for node in nodes), core, product, *below)
        return Organ(
            "heads",
            units,
            made,
            str(readers[0].target),
            reader.in_features // units,
            tuple(dict.fromkeys(between)),
            readers[0],
        )

    def _makers(self, paths: list[str], width: int, each: int) -> tuple[int, tuple[Maker, ...]] | None:
        """The units and the layers that make them: heads, or groups of heads that share keys and values."""
        rows = [int(self.module.get_submodule(path).out_features) for path in paths]  # type: ignore[arg-type]
        if not each or width % each or width == each:
            return None
        heads = width // each
        if len(set(paths)) == 1:
            return (heads, (Maker(paths[0], each, 3),)) if rows[0] == 3 * width else None
        if len(set(paths)) != len(paths) or rows[0] != width or rows[1] != rows[2] or rows[1] % each:
            return None
        groups = rows[1] // each
        if heads % groups:
            return None
        return groups, (Maker(paths[0], width // groups), Maker(paths[1], each), Maker(paths[2], each))

    def _above(self, start: Any) -> tuple[list[fx.Node], list[fx.Node]]:
        """The layers met first on every way up that carries floats, and the nodes on these ways."""
        return self._walk([start] if isinstance(start, fx.Node) else [], lambda node: node.all_input_nodes)

    def _below(self, start: fx.Node) -> tuple[list[fx.Node], list[fx.Node]]:
        return self._walk(list(start.users), lambda node: node.users)

    def _walk(
        self, waiting: list[fx.Node], following: Callable[[fx.Node], Iterable[fx.Node]]
    ) -> tuple[list[fx.Node], list[fx.Node]]:
        layers: dict[fx.Node, None] = {}
        between: dict[fx.Node, None] = {}
        while waiting:
            node = waiting.pop()
            if node in layers or node in between or (node not in self.shapes.floats and node.op != "output"):
                continue
            if node.op == "call_function":
                between[node] = None
                waiting.extend(following(node))
            elif node.op != "get_attr" and (node.op != "call_module" or self._has_weights(node)):
                layers[node] = None
        return list(layers), list(between)

    def _has_weights(self, node: fx.Node) -> bool:
        return any(True for _ in self.module.get_submodule(str(node.target)).parameters())

    def _is_linear(self, node: fx.Node | None) -> bool:
        return node is not None and node.op == "call_module" and type(self._linear(node)) is nn.Linear

    def _linear(self, node: fx.Node) -> Any:
        return self.module.get_submodule(str(node.target))


def _reads(node: fx.Node) -> set[fx.Node]:
    """Who reads units in what a node makes.

    Not who asks for its shape; and nobody reads units in a number that stands for itself, such as those of GELU, which
    may serve several layers.
    """
    if node.target is constant:
        return set()
    return {user for user in node.users if op_type(user) != "Shape"}


def _head_width(node: fx.Node, shapes: Shapes) -> int:
    """How many features each head of an Attention node has; 0 where that is not said."""
    query = shapes.sizes.get(node.args[0], ()) if isinstance(node.args[0], fx.Node) else ()
    stated: Any = node.kwargs.get("q_num_heads")
    if len(query) == 4:
        return query[-1]
    return query[-1] // stated if query and stated else 0


def _is_product(node: fx.Node) -> bool:
    return op_type(node) in ("MatMul", "FusedMatMul") and all(isinstance(arg, fx.Node) for arg in node.args[:2])


def _first(
    start: fx.Node, following: Callable[[fx.Node], Iterable[fx.Node]], wanted: Callable[[fx.Node], bool]
) -> fx.Node | None:
    """The nearest node of a kind, through functions only."""
    waiting, seen = list(following(start)), {start}
    while waiting:
        node = waiting.pop(0)
        if node in seen or node.op != "call_function":
            continue
        if wanted(node):
            return node
        seen.add(node)
        waiting.extend(following(node))
    return None


def _unshared(module: fx.GraphModule) -> frozenset[str]:
    """Paths of the layers that are called once and share no weight with another."""
    calls = [str(node.target) for node in module.graph.nodes if node.op == "call_module"]
    owners: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return frozenset(
        path
        for path in calls
        if calls.count(path) == 1
        and all(owners[id(weight)] == 1 for weight in module.get_submodule(path).parameters() if weight.ndim > 1)
    )
