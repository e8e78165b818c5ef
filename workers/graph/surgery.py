"""Small operations on ONNX graphs that several techniques share.

Imports onnx and onnxruntime at the top: import it inside ``apply``, never at the top of a technique.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from workers.errors import OursToFix, YoursToFix

STANDARD = ("", "ai.onnx")
_STANDARD_INT8 = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
_QLINEAR = {"QLinearConv", "QLinearMatMul", "QGemm", "QAttention", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
_WEIGHT_ONLY = {"MatMulNBits", "DynamicQuantizeLSTM", "GatherBlockQuantized"}
QUANTIZED_OPS = frozenset(_STANDARD_INT8 | _QLINEAR | _WEIGHT_ONLY)
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
LEAST_OPSET_FOR_INT8 = 13  # per-axis QuantizeLinear came with opset 13


class AlreadyQuantized(YoursToFix):
    code = "technique.already-quantized"

    def __init__(self, title: str) -> None:
        super().__init__(
            f"{title} expects a network in floating point, but this one is already quantized.",
            hint=f"Put {title} before the quantizing step, or start from the float version.",
        )


class AlreadyHalf(YoursToFix):
    code = "technique.already-float16"

    def __init__(self, title: str) -> None:
        super().__init__(
            f"{title} expects a network in float32, but this one holds float16 weights.",
            hint="Remove the float16 step or start from the float32 version.",
        )


def copy(proto: ModelProto) -> ModelProto:
    fresh = ModelProto()
    fresh.CopyFrom(proto)
    return fresh


def inlined(proto: ModelProto) -> ModelProto:
    """A copy whose local functions, which newer exporters write, are replaced by their nodes."""
    return onnx.inliner.inline_local_functions(proto) if proto.functions else copy(proto)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The bodies of If, Loop and Scan."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, also those inside the bodies of If, Loop and Scan."""
    for node in graph.node:
        yield node
        for body in subgraphs(node):
            yield from all_nodes(body)


def opset(proto: ModelProto) -> int:
    return max((entry.version for entry in proto.opset_import if entry.domain in STANDARD), default=1)


def is_quantized(proto: ModelProto) -> bool:
    return any(node.op_type in QUANTIZED_OPS for node in all_nodes(proto.graph))


def require_int8_weights(proto: ModelProto, hint: str) -> None:
    """See that quantizing found something to quantize.

    Raises:
        YoursToFix: if no matrix is stored in 8 bits.
    """
    if not any(tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1 for tensor in proto.graph.initializer):
        raise YoursToFix(
            "Expected a layer with fixed weights, found none to quantize.", hint=hint, code="technique.nothing-to-do"
        )


def is_half(proto: ModelProto) -> bool:
    return any(tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16) for tensor in proto.graph.initializer)


def require_float32(proto: ModelProto, title: str) -> None:
    """See that a network can still be quantized.

    Raises:
        AlreadyQuantized, AlreadyHalf: where an earlier step has been here.
    """
    if is_quantized(proto):
        raise AlreadyQuantized(title)
    if is_half(proto):
        raise AlreadyHalf(title)


def layer_name(node: NodeProto) -> str:
    """How a layer is called on every page: its node's name, or that of its first output."""
    return node.name or node.output[0]


def name_nodes(proto: ModelProto) -> None:
    """Give each nameless node the name it has on the pages, so that it can be addressed."""
    for node in proto.graph.node:
        node.name = layer_name(node)


def known_layers(proto: ModelProto, names: Iterable[str]) -> frozenset[str]:
    """The names, after seeing that the network has a layer called so.

    Raises:
        YoursToFix: for a name that no layer has, with the closest ones.
    """
    have = {layer_name(node) for node in proto.graph.node}
    for name in names:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=3) or sorted(have)[:3]
            raise YoursToFix(
                f"Expected the name of a layer to leave untouched, found {name!r}, which this network does not have.",
                hint=f"Closest: {', '.join(near)}. Names change after a tidy step.",
                code="technique.unknown-layer",
            )
    return frozenset(names)


def sort_topologically(graph: GraphProto) -> None:
    """Reorder the nodes so that each stands after the nodes it reads from; stable otherwise."""
    made_by = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    state: dict[int, bool] = {}  # False: being visited, True: placed
    order: list[int] = []
    for start in range(len(graph.node)):
        stack = [start]
        while stack:
            index = stack[-1]
            if state.get(index):
                stack.pop()
                continue
            waiting = [
                made_by[name] for name in reads(graph.node[index]) if name in made_by and not state.get(made_by[name])
            ]
            if index in state or not waiting:
                if waiting:
                    raise OursToFix("Expected a graph without cycles, found one.", code="graph.cycle")
                state[index] = True
                order.append(index)
                stack.pop()
            else:
                state[index] = False
                stack.extend(reversed(waiting))
    refill(graph.node, [graph.node[index] for index in order])


def reads(node: NodeProto) -> set[str]:
    """Every value a node needs, also those its bodies take from outside."""
    names = {name for name in node.input if name}
    for body in subgraphs(node):
        made = {name for inner in body.node for name in inner.output} | {item.name for item in body.input}
        made |= {tensor.name for tensor in body.initializer}
        wanted = {name for inner in body.node for name in reads(inner)} | {item.name for item in body.output}
        names |= wanted - made
    return names


def consumers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """For each value, the top-level nodes that read it, in graph order."""
    found: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in reads(node):
            found.setdefault(name, []).append(node)
    return found


def drop_unused_domains(proto: ModelProto) -> None:
    """Forget operator sets no node uses; onnxruntime lists all of its own when it saves a graph."""
    bodies = [node for function in proto.functions for node in function.node]
    used = {node.domain for node in (*all_nodes(proto.graph), *bodies)} | {""}
    used |= {function.domain for function in proto.functions}
    refill(
        proto.opset_import, [entry for entry in proto.opset_import if entry.domain in used or entry.domain == "ai.onnx"]
    )


def with_borders_of(changed: ModelProto, original: ModelProto) -> ModelProto:
    """Give a changed network the inputs, outputs and metadata of the one it came from.

    Raises:
        OursToFix: if a name or type at the border was changed.
    """
    inputs = _real_inputs(original.graph)
    _require_same(inputs, _real_inputs(changed.graph))
    _require_same(original.graph.output, changed.graph.output)
    result = copy(changed)
    refill(result.graph.input, inputs)
    refill(result.graph.output, original.graph.output)
    refill(result.metadata_props, original.metadata_props)
    drop_unused_domains(result)
    return result


def _real_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """What a caller feeds; old exporters list the weights among the inputs."""
    weights = {tensor.name for tensor in graph.initializer}
    return [item for item in graph.input if item.name not in weights]


def _require_same(before: Iterable[ValueInfoProto], after: Iterable[ValueInfoProto]) -> None:
    was, now = ([(item.name, item.type.tensor_type.elem_type) for item in items] for items in (before, after))
    if was != now:
        raise OursToFix(f"Expected the border of the network to stay {was}, found {now}.", code="graph.border-changed")


def refill(items: Any, kept: Iterable[Any]) -> None:
    """Replace what a repeated protobuf field holds, also by some of its own entries."""
    entries = list(kept)
    del items[:]
    items.extend(entries)


def optimized(proto: ModelProto, scratch: Path, threads: int = 1) -> ModelProto:
    """What onnxruntime makes of a graph before it looks at the hardware: constants folded, batch-norm merged.

    Args:
        scratch: folder for the intermediate file, which is removed again.
    """
    path = scratch / "optimized.onnx"
    options = session_options(threads)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result = onnx.load(path)
    path.unlink()
    return result


def session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def for_int8(proto: ModelProto, scratch: Path, threads: int = 1) -> ModelProto:
    """A float network made ready for onnxruntime's quantizer: named nodes, merged batch-norm, every tensor typed.

    Raises:
        YoursToFix: if the network is written in an operator set too old for per-channel int8 and cannot be raised.
    """
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    ready = inlined(proto)
    name_nodes(ready)
    ready = raised(ready)
    ready = onnx.shape_inference.infer_shapes(optimized(ready, scratch, threads), data_prop=True)
    name_nodes(ready)  # onnxruntime leaves some of those it made without a name
    flatten_biases(ready.graph)
    weights = {tensor.name for tensor in ready.graph.initializer}
    # New exporters note shapes of weights as well, which turn wrong when the quantizer transposes them.
    refill(ready.graph.value_info, [item for item in ready.graph.value_info if item.name not in weights])
    add_infer_metadata(ready)  # else the quantizer writes the model to the system's temporary folder
    return ready


def flatten_biases(graph: GraphProto) -> None:
    """Write biases of Gemm as (n,) instead of (1, n): the same to Gemm, but onnxruntime's quantizer fails on rows."""
    biases = {node.input[2] for node in graph.node if node.op_type == "Gemm" and len(node.input) > 2}
    readers = consumers(graph)
    for tensor in graph.initializer:
        is_row = len(tensor.dims) == 2 and tensor.dims[0] == 1
        if tensor.name in biases and is_row and all(node.op_type == "Gemm" for node in readers[tensor.name]):
            tensor.dims[:] = [tensor.dims[1]]


def raised(proto: ModelProto) -> ModelProto:
    """A network in the operator set that per-channel int8 asks for, or the network itself where its own is newer.

    Raises:
        YoursToFix: if it is too old and cannot be raised.
    """
    if opset(proto) >= LEAST_OPSET_FOR_INT8:
        return proto
    try:
        return onnx.version_converter.convert_version(proto, LEAST_OPSET_FOR_INT8)
    except Exception as error:  # the converter raises bare RuntimeError and more
        raise YoursToFix(
            (
                f"Expected operator set {LEAST_OPSET_FOR_INT8} or newer, found {opset(proto)}, which could not "
                f"be raised: {error}"
            ),
            hint=f"Export the model again with opset {LEAST_OPSET_FOR_INT8} or newer.",
            code="model.opset-too-old",
        ) from None


def still_called(proto: ModelProto, names: Iterable[str]) -> list[str]:
    """The nodes that came from the given layers; a merged node keeps the name of its first part as a prefix."""
    wanted = tuple(names)
    return [
        node.name
        for node in proto.graph.node
        if any(node.name == name or node.name.startswith(f"{name}/") for name in wanted)
    ]


def relabelled(node: NodeProto, inputs: Iterable[str], outputs: Iterable[str]) -> NodeProto:
    """The same operation on other values, called after the first of its outputs."""
    fresh = NodeProto()
    fresh.CopyFrom(node)
    refill(fresh.input, inputs)
    refill(fresh.output, outputs)
    fresh.name = fresh.output[0]
    return fresh


def drop_nodes(graph: GraphProto, gone: Sequence[NodeProto]) -> None:
    """Remove these very nodes, not ones that look like them."""
    doomed = {id(node) for node in gone}
    for index in reversed([index for index, node in enumerate(graph.node) if id(node) in doomed]):
        del graph.node[index]


def drop_weights(graph: GraphProto, names: Container[str]) -> int:
    """Remove the initializers with these names; says how many there were."""
    found = [index for index, tensor in enumerate(graph.initializer) if tensor.name in names]
    for index in reversed(found):
        del graph.initializer[index]
    return len(found)


def add_weight(graph: GraphProto, wish: str, values: NDArray[np.generic]) -> str:
    """Add an initializer; the name it got is the wish, with primes behind it where that was taken."""
    taken, name = {tensor.name for tensor in graph.initializer}, wish
    while name in taken:
        name += "'"
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def rename(
    graph: GraphProto, names: dict[str, str], *, but: NodeProto | None = None, definitions: bool = False
) -> None:
    """Let every reader of a value, also inside bodies, read another one instead.

    Args:
        names: old name to new name; the graph's own inputs and outputs are never renamed.
        but: a node to leave alone.
        definitions: also rename where the values are made: in initializers and outputs of nodes.
    """
    if not names:
        return
    for node in graph.node:
        if node is but:
            continue
        node.input[:] = [names.get(name, name) for name in node.input]
        if definitions:
            node.output[:] = [names.get(name, name) for name in node.output]
        for body in subgraphs(node):
            rename_inside(body, names)
    if definitions:
        for tensor in graph.initializer:
            tensor.name = names.get(tensor.name, tensor.name)


def rename_inside(body: GraphProto, names: dict[str, str]) -> None:
    """Rename what a body takes from outside. Names are unique over a graph and its bodies, so none is hidden."""
    for node in body.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for inner in subgraphs(node):
            rename_inside(inner, names)
    for item in body.output:
        item.name = names.get(item.name, item.name)
