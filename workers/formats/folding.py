"""Compute what a graph computes from shapes and constants alone, so that shape inference can go on.

Exporters write padding, slicing and reshaping as little programs over ``Shape``. Shape inference follows
only the simplest of them; once a value is known, its node becomes a constant.
"""

import math
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from workers.formats.external import subgraphs

Array = np.ndarray[Any, Any]
MOST_ELEMENTS = 4096
INSIDE = "/inside"
FOLDABLE = frozenset(
    {
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Floor",
        "Gather",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "ScatterND",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
GROWING = frozenset({"ConstantOfShape", "Expand", "Range", "Tile"})
Shapes = dict[str, tuple[int, ...]]


def fold(graph: onnx.GraphProto, shapes: Shapes, opset: int, outer: dict[str, Array] | None = None) -> bool:
    """Turn every node whose value is known into a constant, and every decided branch into its nodes.

    Args:
        graph: is changed; nested graphs as well.
        shapes: the shapes known around it.
        opset: the version of the standard operators.
        outer: constants of the graphs around this one.

    Returns:
        Whether anything was found.
    """
    known = {**(outer or {}), **_small_constants(graph)}
    shapes = {**shapes, **known_shapes(graph)}
    changed = False
    for node in list(graph.node):
        for inner in subgraphs(node):
            changed |= _bring_constants_in(inner, known)
            changed |= fold(inner, shapes, opset, known)
        value = _value(node, known, shapes, opset)
        if value is not None:
            known[node.output[0]] = value
            _become_constant(node, value)
            changed = True
    return _take_decided_branches(graph, known) or changed


def _small_constants(graph: onnx.GraphProto) -> dict[str, Array]:
    found = {}
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= MOST_ELEMENTS:
            found[tensor.name] = numpy_helper.to_array(tensor)
    for node in graph.node:
        tensors = [item.t for item in node.attribute if item.name == "value" and item.HasField("t")]
        if node.op_type == "Constant" and tensors and math.prod(tensors[0].dims) <= MOST_ELEMENTS:
            found[node.output[0]] = numpy_helper.to_array(tensors[0])
    return found


def _value(node: onnx.NodeProto, known: dict[str, Array], shapes: Shapes, opset: int) -> Array | None:
    """What a node gives, where that follows from shapes and constants."""
    if node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx") and node.input[0] in shapes:
        return _of_shape(node, shapes[node.input[0]])
    given = [known.get(name) for name in node.input if name]
    if node.op_type not in FOLDABLE or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        return None
    if not given or any(value is None for value in given):
        return None
    if node.op_type in GROWING and _grown_size(node, [value for value in given if value is not None]) > MOST_ELEMENTS:
        return None
    return _evaluated(node, known, opset)


def _of_shape(node: onnx.NodeProto, shape: tuple[int, ...]) -> Array:
    if node.op_type == "Size":
        return np.array(math.prod(shape), dtype=np.int64)
    ends: dict[str, int] = {item.name: item.i for item in node.attribute}
    return np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], dtype=np.int64)


def _grown_size(node: onnx.NodeProto, given: list[Array]) -> float:
    """How many elements a node would make whose output may be larger than its inputs."""
    if node.op_type == "Range":
        start, limit, step = (float(value) for value in given)
        return math.inf if step == 0 else abs((limit - start) / step)
    sides = [abs(int(side)) for side in given[-1].ravel()]
    return math.prod(sides) * (given[0].size if node.op_type in ("Expand", "Tile") else 1)


def _evaluated(node: onnx.NodeProto, known: dict[str, Array], opset: int) -> Array | None:
    """Run one node in onnx's reference implementation; nothing where it refuses."""
    names = sorted({name for name in node.input if name})
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(known[name].dtype), None)
        for name in names
    ]
    output = onnx.helper.make_value_info(node.output[0], onnx.TypeProto())
    graph = onnx.helper.make_graph([node], "one", inputs, [output])
    try:
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        made = ReferenceEvaluator(model).run([node.output[0]], {name: known[name] for name in names})
        value = np.asarray(next(iter(made)))
    except Exception:  # the reference raises every kind of error on graphs that make no sense
        return None
    return value if value.size <= MOST_ELEMENTS and value.dtype.kind in "biuf" else None


def _become_constant(node: onnx.NodeProto, value: Array) -> None:
    node.op_type, node.domain = "Constant", ""
    del node.input[:], node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(value.copy())))


def _bring_constants_in(graph: onnx.GraphProto, outer: dict[str, Array]) -> bool:
    """Repeat outer constants inside a nested graph: shape inference reads no values across its border.

    Returns:
        Whether there were any.
    """
    brought: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        for slot, name in enumerate(node.input):
            if name in outer:
                value = onnx.helper.make_node("Constant", [], [f"{name}{INSIDE}"])
                brought.setdefault(name, value)
                node.input[slot] = f"{name}{INSIDE}"
    for name, node in brought.items():
        _become_constant(node, outer[name])
    kept = [type(node).FromString(node.SerializeToString()) for node in (*brought.values(), *graph.node)]
    del graph.node[:]
    graph.node.extend(kept)
    return bool(brought)


def _take_decided_branches(graph: onnx.GraphProto, known: dict[str, Array]) -> bool:
    """Put the nodes of a branch in the place of its If, where the condition is known."""
    decided = [node for node in graph.node if node.op_type == "If" and node.input[0] in known]
    if not decided:
        return False
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _branch(graph, node, bool(known[node.input[0]].all())) if node in decided else [node]
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return True


def _branch(graph: onnx.GraphProto, node: onnx.NodeProto, condition: bool) -> list[onnx.NodeProto]:
    name = "then_branch" if condition else "else_branch"
    branch = next(item.g for item in node.attribute if item.name == name)
    graph.initializer.extend(branch.initializer)
    ends = zip(branch.output, node.output, strict=True)
    return [*branch.node, *(onnx.helper.make_node("Identity", [end.name], [made]) for end, made in ends)]


def known_shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """The shapes a graph states in full, by value name."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for item in (*graph.input, *graph.value_info, *graph.output):
        tensor = item.type.tensor_type
        if (
            item.type.HasField("tensor_type")
            and tensor.HasField("shape")
            and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
        ):
            shapes[item.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return shapes
