"""Other names and another order for what a network takes and gives."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import GraphProto, ModelProto

from workers.graph import surgery

Pairs = Sequence[tuple[str, str]]


def in_place_of(other: ModelProto, replaced: ModelProto, inputs: Pairs, outputs: Pairs) -> ModelProto:
    """A network that can be fed and read like another one, with that one's metadata; its shapes stay its own.

    Args:
        inputs, outputs: name in ``replaced`` and name in ``other``, in the order of ``replaced``.
    """
    result = surgery.copy(other)
    graph = result.graph
    names = {old: new for new, old in (*inputs, *outputs) if old != new}
    taken = _values(graph)
    aside = {name: _free(name, taken) for name in names.values() if name in taken and name not in names}
    surgery.rename(graph, names | aside, definitions=True)
    del graph.value_info[:]
    for items, pairs in ((graph.input, inputs), (graph.output, outputs)):
        found = {item.name: item for item in items}
        for new, old in pairs:
            found[old].name = new
        surgery.refill(items, [found[old] for _, old in pairs])
    surgery.refill(result.metadata_props, replaced.metadata_props)
    result.ir_version = max(result.ir_version, 4)  # before version 4, weights had to be inputs as well
    return result


def _values(graph: GraphProto) -> set[str]:
    """The names of all values at the top of a graph."""
    made = {name for node in graph.node for name in node.output}
    return made | {item.name for item in graph.input} | {tensor.name for tensor in graph.initializer}


def _free(name: str, taken: set[str]) -> str:
    """A name like another one that nothing has yet; it is taken from then on."""
    free = next(one for one in (f"{name}_{number}" for number in range(1, len(taken) + 2)) if one not in taken)
    taken.add(free)
    return free
