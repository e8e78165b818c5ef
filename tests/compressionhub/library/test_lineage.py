"""Where the tree puts its nodes."""

import pytest

from compressionhub.library import lineage
from compressionhub.library.lineage import NODE_HEIGHT, Node, tree


@pytest.fixture
def source(monkeypatch):
    """Let the tree know of these nodes only."""

    def use(*nodes: Node) -> None:
        monkeypatch.setattr(lineage, "_sources", {"test": lambda version, user: nodes})

    return use


def node(key: str, parent: str = "", **values) -> Node:
    return Node(key=key, title=key, lines=("one", "two"), parent=parent, **values)


def test_nodes_of_one_column_never_overlap(source, version, alice):
    source(node("a"), node("b"), node("a1", "a"), node("a2", "a"), node("b1", "b"))

    drawn = tree(version, alice)

    columns: dict[int, list[int]] = {}
    for one in drawn.placed:
        columns.setdefault(one.x, []).append(one.y)
    for tops in columns.values():
        assert all(
            later - earlier >= NODE_HEIGHT for earlier, later in zip(sorted(tops), sorted(tops)[1:], strict=False)
        )
    assert len(drawn.curves) == 5
    assert drawn.variants == 5


def test_a_circle_of_parents_is_left_out_and_ends(source, version, alice):
    source(node("a", "b"), node("b", "a"), node("c"))

    assert [one.node.key for one in tree(version, alice).placed] == ["c", ""]


def test_an_unknown_parent_hangs_on_the_version_itself(source, version, alice):
    source(node("a", "gone"))

    assert tree(version, alice).variants == 1


def test_many_nodes_are_counted_but_not_all_drawn(source, version, alice):
    source(*(node(str(number)) for number in range(100)))

    drawn = tree(version, alice)

    assert len(drawn.placed) == lineage.MOST_NODES + 1
    assert drawn.variants == 100
