"""What was made from a model version: its tree, drawn by the server.

The library knows versions. Apps above it add what they know (results, published entries) by
registering a source, so that nothing here looks upward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from compressionhub.accounts.models import User
from compressionhub.library.models import ModelVersion
from compressionhub.ui.units import file_size

Kind = Literal["baseline", "listed", "kept", "chosen"]
NODE_WIDTH, NODE_HEIGHT, GAP_X, GAP_Y = 256, 62, 86, 14
PAGE_WIDTH = 1120  # a narrower tree is not stretched to the page
MARK_INDENT = 28
MOST_NODES = 40


@dataclass(frozen=True)
class Node:
    """One network in the tree.

    ``parent`` is another node's key, or "" for what was made from the version itself. ``kind``:
    *listed* in the zoo, *kept* as evidence only, *chosen* to replace the baseline.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    kind: Kind = "listed"
    family: str = ""
    url: str = ""
    parent: str = ""


Source = Callable[[ModelVersion, User], Iterable[Node]]
_sources: dict[str, Source] = {}


def register(name: str, source: Source) -> None:
    """Let an app add nodes for a version, as this person may see them. Registering a name again replaces it."""
    _sources[name] = source


@dataclass(frozen=True)
class Placed:
    """A node at its place; ``css`` is its look in the tree."""

    node: Node
    x: int
    y: int
    css: str

    @property
    def text_x(self) -> int:
        return self.x + (MARK_INDENT if self.node.family else 12)

    @property
    def line_ys(self) -> list[tuple[int, str]]:
        return [(self.y + 39 + 15 * row, line) for row, line in enumerate(self.node.lines[:2])]


@dataclass
class Tree:
    """Nodes from left to right with the curves between them, in pixels."""

    placed: list[Placed] = field(default_factory=list)
    curves: list[str] = field(default_factory=list)
    width: int = PAGE_WIDTH
    height: int = NODE_HEIGHT
    node_width: int = NODE_WIDTH
    node_height: int = NODE_HEIGHT
    left_out: int = 0

    @property
    def variants(self) -> int:
        return len(self.placed) - 1 + self.left_out


LOOKS: dict[Kind, str] = {"baseline": "n3", "listed": "n0", "kept": "n2", "chosen": "n1"}


def tree(version: ModelVersion, user: User) -> Tree:
    """The version and what was made from it."""
    found = [node for source in _sources.values() for node in source(version, user)]
    known = {node.key for node in found[:MOST_NODES]}
    children: dict[str, list[Node]] = {}
    for node in found[:MOST_NODES]:
        children.setdefault(node.parent if node.parent in known else "", []).append(node)
    drawn = Tree(left_out=max(0, len(found) - MOST_NODES))
    _place(drawn, _root(version), children, depth=0, top=0)
    drawn.width = max(PAGE_WIDTH, max(one.x for one in drawn.placed) + NODE_WIDTH + 2)
    drawn.height = max(one.y for one in drawn.placed) + NODE_HEIGHT + 2
    return drawn


def _root(version: ModelVersion) -> Node:
    lines = [file_size(version.size_bytes)]
    if version.measured and (headline := version.measured.metrics.get("accuracy")):
        lines.insert(0, f"{headline.value * 100:.2f} %")
    return Node(key="", title=f"v{version.number} baseline", lines=(" · ".join(lines),), kind="baseline")


def _place(drawn: Tree, node: Node, children: dict[str, list[Node]], *, depth: int, top: int) -> tuple[int, int]:
    """Place a node beside its children; returns its middle and the first free row below it, in pixels."""
    x = 1 + depth * (NODE_WIDTH + GAP_X)
    below = children.pop(node.key, [])  # popped, so that a circle of parents ends
    middles, bottom = [], top
    for child in below:
        middle, bottom = _place(drawn, child, children, depth=depth + 1, top=bottom)
        middles.append(middle)
    bottom = max(bottom, top + NODE_HEIGHT + GAP_Y)
    middle = (middles[0] + middles[-1]) // 2 if middles else top + NODE_HEIGHT // 2 + 1
    drawn.placed.append(Placed(node, x, middle - NODE_HEIGHT // 2, LOOKS[node.kind]))
    drawn.curves += [_curve(x + NODE_WIDTH, middle, x + NODE_WIDTH + GAP_X, one) for one in middles]
    return middle, bottom


def _curve(x: int, y: int, to_x: int, to_y: int) -> str:
    half = (x + to_x) / 2
    return f"M{x} {y}C{half} {y} {half} {to_y} {to_x} {to_y}"
