"""From ONNX to a network that can be trained, node by node."""

from __future__ import annotations

from onnx import ModelProto, NodeProto
from torch import fx

from workers.graph import surgery
from workers.graph.fx import batches, branches, control_flow, fusions, patterns, reshaping
from workers.graph.fx.builder import Builder
from workers.graph.fx.errors import UnsupportedOperator
from workers.graph.fx.naming import identifier_path
from workers.graph.fx.operators import load
from workers.graph.fx.source import Source
from workers.graph.fx.table import OPERATORS, READERS, Origin

load()
OLDEST_OPSET = 11


def to_torch(proto: ModelProto) -> fx.GraphModule:
    """Build a trainable network that computes what an ONNX model computes.

    Convolutions, linear layers, embeddings, normalisations and recurrent layers become their torch
    modules, everything else functions of the operator table. Shapes are computed in the forward
    pass, so the batch size is free where the model leaves it free, and mostly where it does not. The
    network comes in ``eval()`` mode; batch normalisation and dropout wake up with ``train()``.

    Args:
        proto: opset 11 or newer; weights inside the file.

    Returns:
        Its inputs are those of the model in order, its result one tensor or a tuple of the outputs.
        ``meta["initializers"]`` maps the path of each parameter to the initializer it came from, and
        ``node.meta["onnx"]`` (:class:`Origin`) each fx node to its ONNX node.

    Raises:
        UnsupportedOperator: names the first operator that cannot be trained, and its node.
    """
    source = Source(control_flow.folded(fusions.taken_apart(proto)))
    if source.opset < OLDEST_OPSET:
        raise UnsupportedOperator("the whole model", proto.graph.name, f"opset {source.opset}, before {OLDEST_OPSET}")
    patterns.tie(source)
    module = built(Builder(source))
    batches.free_shared_axes(module, source.graph.input)
    return module


def built(builder: Builder) -> fx.GraphModule:
    """The network of a graph, all nodes placed."""
    source = builder.source
    for item in source.graph.input:
        _add_input(builder, item.name)
    groups = patterns.found(builder)
    for node in source.graph.node:
        group = groups.get(id(node))
        if group is not None:
            group.build(builder)
        elif id(node) not in groups and node.output[0] not in source.alias:
            add(builder, node)
    return _finished(builder)


def add(builder: Builder, node: NodeProto) -> None:
    """Place one node: as a module where a reader makes one, else as a function of the table.

    Raises:
        UnsupportedOperator: if neither knows it.
    """
    if node.op_type == "If":
        branches.read(builder, node, built)
        return
    key = ("" if node.domain in surgery.STANDARD else node.domain, node.op_type)
    for read in READERS.get(key, ()):
        if read(builder, node) is not None:
            return
    if key not in OPERATORS:
        raise builder.unsupported(node, _why(node))
    builder.call(node, OPERATORS[key])


def _why(node: NodeProto) -> str:
    if node.op_type in surgery.QUANTIZED_OPS:
        return "the network is already quantized"
    if node.op_type == "Loop":
        return "its number of rounds depends on the input"
    return "" if node.domain in surgery.STANDARD else f"of the domain {node.domain!r}"


def _add_input(builder: Builder, name: str) -> None:
    node = builder.graph.placeholder(identifier_path(name).replace(".", "_"))
    node.meta["onnx"] = Origin(name, "Input", (), (name,))
    builder.values[name] = node


def _finished(builder: Builder) -> fx.GraphModule:
    results = tuple(builder.value(item.name) for item in builder.source.graph.output)
    builder.graph.output(results[0] if len(results) == 1 else results)
    reshaping.free_the_batch(builder)
    builder.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    module = fx.GraphModule(builder.root, builder.graph, class_name="Imported")
    module.meta["initializers"] = {path: name for path, name in builder.initializers.items() if _exists(module, path)}
    return module.eval()


def _exists(module: fx.GraphModule, path: str) -> bool:
    owner, _, leaf = path.rpartition(".")
    try:
        return hasattr(module.get_submodule(owner), leaf)
    except AttributeError:
        return False
