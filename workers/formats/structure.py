"""What a network must look like before anything walks through it: sane dims, counts, depth, operators."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

import onnx

from workers.errors import YoursToFix
from workers.formats.external import BITS, announced_bytes, graphs, subgraphs, tensors

MOST_NODES = 200_000
MOST_DEPTH = 16
MOST_ELEMENTS = 1 << 40
OLDEST_OPSET, OLDEST_IR = 7, 3
NEWEST_OPSET, NEWEST_IR = 26, 13
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"})


FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


class BadStructure(YoursToFix):
    code = "model.structure"


def check(proto: onnx.ModelProto) -> None:
    """Check everything that does not need the bytes of the weights, cheapest first.

    Raises:
        BadStructure: with a code for each fault.
    """
    _check_versions(proto)
    _check_depth(proto)
    _check_counts(proto)
    _check_functions(proto)
    _check_operators(proto)
    _check_names(proto)
    for tensor in tensors(proto):
        check_tensor(tensor)


def _check_versions(proto: onnx.ModelProto) -> None:
    if not OLDEST_IR <= proto.ir_version <= NEWEST_IR:
        raise BadStructure(
            f"Expected ONNX file version {OLDEST_IR} to {NEWEST_IR}, found {proto.ir_version}.",
            hint="Export again with a current version of onnx.",
            code="model.version",
        )
    opsets = {item.domain: item.version for item in proto.opset_import}
    version = opsets.get("", opsets.get("ai.onnx", 0))
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise BadStructure(
            f"Expected operator set {OLDEST_OPSET} to {NEWEST_OPSET}, found {version or 'none'}.",
            hint="Export with torch.onnx.export(..., opset_version=17).",
            code="model.version",
        )
    if not proto.graph.output:
        raise BadStructure(
            "Expected a graph with at least one output, found none.",
            hint="Export the network again.",
            code="model.no-outputs",
        )


def _check_depth(proto: onnx.ModelProto) -> None:
    layer = [
        proto.graph,
        *(graph for function in proto.functions for node in function.node for graph in subgraphs(node)),
    ]
    for _ in range(MOST_DEPTH):
        layer = [nested for graph in layer for node in graph.node for nested in subgraphs(node)]
        if not layer:
            return
    raise BadStructure(
        f"Expected graphs nested at most {MOST_DEPTH} deep, found deeper ones.",
        hint="Simplify the network's branches and loops.",
        code="model.too-deep",
    )


def _check_counts(proto: onnx.ModelProto) -> None:
    nodes = sum(len(graph.node) for graph in graphs(proto)) + sum(len(function.node) for function in proto.functions)
    initializers = sum(len(graph.initializer) for graph in graphs(proto))
    if max(nodes, initializers) > MOST_NODES:
        raise BadStructure(
            f"Expected at most {MOST_NODES:,} nodes and weights, found {nodes:,} nodes and {initializers:,} weights.",
            hint="Export without unrolling loops.",
            code="model.too-many-nodes",
        )


def _key(node: onnx.NodeProto) -> tuple[str, str, str]:
    return node.domain, node.op_type, getattr(node, "overload", "")


def _check_functions(proto: onnx.ModelProto) -> None:
    """No function may call itself, and all calls written out must stay within the node limit."""
    functions = {(item.domain, item.name, getattr(item, "overload", "")): item for item in proto.functions}
    calls = {
        key: [_key(node) for node in all_nodes(item.node) if _key(node) in functions] for key, item in functions.items()
    }
    sizes: dict[tuple[str, str, str], int] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            sizes[key] = len(functions[key].node) + sum(sizes[called] for called in calls[key])
    except CycleError as error:
        name = error.args[1][0][1]
        raise BadStructure(
            f"Expected functions that do not call themselves, found {name!r}.",
            hint="Export the network again.",
            code="model.recursive-function",
        ) from None
    written_out = sum(sizes.get(_key(node), 0) for node in all_nodes(proto.graph.node))
    if written_out > MOST_NODES:
        raise BadStructure(
            f"Expected at most {MOST_NODES:,} nodes with all functions written out, found {written_out:,}.",
            hint="Export the network again.",
            code="model.too-many-nodes",
        )


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and all nodes of the graphs nested in them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [inner for graph in subgraphs(node) for inner in graph.node]


def _check_operators(proto: onnx.ModelProto) -> None:
    """Only operators ONNX Runtime brings along, or that the file itself defines as functions."""
    own = {(item.domain, item.name) for item in proto.functions}
    nodes = [*all_nodes(proto.graph.node), *(node for function in proto.functions for node in all_nodes(function.node))]
    for node in nodes:
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            raise BadStructure(
                f"Expected operators that ONNX Runtime knows, found {node.op_type!r} of the domain {node.domain!r}.",
                hint="Custom operator libraries are not loaded: export with standard operators.",
                code="model.custom-operator",
            )


def _check_names(proto: onnx.ModelProto) -> None:
    """No two weights of a graph share a name, and none is made by a node as well."""
    for graph in graphs(proto):
        sparse = [item.values.name for item in graph.sparse_initializer]
        stored = [item.name for item in graph.initializer] + sparse
        made = [name for node in graph.node for name in node.output if name]
        twice = next((name for name, count in Counter(stored + made).items() if count > 1), None)
        if twice is not None:
            raise BadStructure(
                f"Expected one value for each name, found {twice[:80]!r} more than once.",
                hint="Export the network again.",
                code="model.duplicate-name",
            )


def check_tensor(tensor: onnx.TensorProto) -> None:
    """Dims not negative, their product within reason, and as many bytes as they announce."""
    if any(dim < 0 for dim in tensor.dims) or math.prod(tensor.dims) > MOST_ELEMENTS:
        raise BadStructure(
            f"Expected dims from 0 with a product of at most 2^40, found {list(tensor.dims)} for {tensor.name!r}.",
            hint="Export the network again.",
            code="model.dims",
        )
    if tensor.data_type == onnx.TensorProto.STRING:
        return
    if tensor.data_type not in BITS:
        raise BadStructure(
            f"Expected numbers as weights {tensor.name!r}, found element type {tensor.data_type}.",
            hint="Export the network again.",
            code="model.tensor-type",
        )
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        return  # measured against its file when that is read
    found, expected = _present(tensor)
    if found != expected:
        raise BadStructure(
            f"Expected {expected:,} values or bytes for {tensor.name!r} with dims {list(tensor.dims)},"
            f" found {found:,}.",
            hint="Export the network again.",
            code="model.tensor-size",
        )


def _present(tensor: onnx.TensorProto) -> tuple[int, int]:
    """What a tensor holds and what its dims announce: in bytes where it is raw, else in stored numbers."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data), announced_bytes(tensor)
    found = sum(len(getattr(tensor, name)) for name in FIELDS)
    count, bits = math.prod(tensor.dims), BITS[tensor.data_type]
    if tensor.data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        return found, 2 * count
    return found, (count * bits + 7) // 8 if bits < 8 else count
