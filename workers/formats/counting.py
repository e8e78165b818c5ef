"""What a network is, in figures: parameters, multiplications, layers, bytes."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress

import onnx

from workers.facts import LayerFacts, ModelFacts, TensorFacts
from workers.formats import macs
from workers.formats.external import announced_bytes, subgraphs
from workers.formats.folding import known_shapes
from workers.formats.parameters import NOT_LEARNED, owner, parameters_in, stored_tensors, uses_by_name
from workers.formats.shapes import Shaped, infer, own_operator
from workers.formats.skeleton import shell
from workers.formats.structure import all_nodes
from workers.formats.work import by_kind

ZIP_LEVEL = 6
RAW_DEFLATE = -15
WHOLE_BELOW_BYTES = 1 << 30
MOST_LAYERS = 5000
QUANTIZED_OPS = frozenset(NOT_LEARNED) & {
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "QGemm",
    "MatMulNBits",
    "GatherBlockQuantized",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "DynamicQuantizeLSTM",
}


def facts(proto: onnx.ModelProto, *, size_bytes: int | None = None, external_data: bool = False) -> ModelFacts:
    """Count what there is to count.

    Args:
        proto: a network with all its weights inside.
        size_bytes: the size of its file with its external data; the serialized size if not given.
        external_data: whether its weights lay in a file of their own.

    Returns:
        The facts. Parameters count each shared weight once, without scales, zero points and the
        running statistics of batch normalization; multiply-accumulates are for one sample.
    """
    shaped = infer(proto)
    layers, counted, warnings = _layers(proto, shaped)
    serialized, zipped = _serialized_and_zipped(proto)
    batch = fixed_batch(proto)
    if batch > 1:
        warnings = [*warnings, f"The network takes exactly {batch} samples at once."]
        layers = [layer.model_copy(update={"macs": layer.macs // batch}) for layer in layers]
    ops = Counter(node.op_type for node in all_nodes(proto.graph.node))
    return ModelFacts(
        size_bytes=serialized if size_bytes is None else size_bytes,
        zip_bytes=zipped,
        params=counted,
        macs=sum(layer.macs for layer in layers),
        opset=next((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), 0),
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        inputs=inputs(proto),
        outputs=_borders(proto.graph.output),
        layers=tuple(layers[:MOST_LAYERS]),
        work=by_kind(_nodes_with_shapes(shaped), {name for name, _ in stored_tensors(proto)}, batch=batch),
        op_counts=dict(sorted(ops.items())),
        weight_bytes=weight_bytes_by_type(proto),
        external_data=external_data,
        quantized=bool(QUANTIZED_OPS & set(ops)),
        warnings=(*shaped.warnings, *warnings),
    )


def inputs(proto: onnx.ModelProto) -> tuple[TensorFacts, ...]:
    """What must be fed: the graph's inputs that are not weights with a stored value."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    return _borders(item for item in proto.graph.input if item.name not in stored)


def _borders(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorFacts, ...]:
    return tuple(
        TensorFacts(
            name=item.name,
            dtype=type_name(item.type.tensor_type.elem_type),
            shape=tuple(
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or -1
                for dim in item.type.tensor_type.shape.dim
            ),
        )
        for item in values
    )


def type_name(elem_type: int) -> str:
    """``float32``, ``int8`` … as NumPy writes it; the ONNX name in small letters where NumPy has none."""
    names: dict[int, str] = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.DOUBLE: "float64"}
    return names.get(elem_type) or str(onnx.TensorProto.DataType.Name(elem_type)).lower()


def fixed_batch(proto: onnx.ModelProto) -> int:
    """The batch size a network insists on, or 1 where the batch is free or one, or the first axis is time."""
    fed = {item.name for item in proto.graph.input}
    if any(node.op_type in ("LSTM", "GRU", "RNN") and node.input[0] in fed for node in proto.graph.node):
        return 1
    first = {value.shape[0] if value.shape else 0 for value in (*inputs(proto), *_borders(proto.graph.output))}
    only = first.pop() if len(first) == 1 else 1
    return only if isinstance(only, int) and only > 1 else 1


def _layers(proto: onnx.ModelProto, shaped: Shaped) -> tuple[list[LayerFacts], int, list[str]]:
    """The nodes that hold parameters or multiply, the parameters of all together, and what could not be counted."""
    owned, total = _parameters_by_owner(proto, shaped)
    layers, unknown = [], Counter[str]()
    for node, op, shapes in _nodes_with_shapes(shaped):
        try:
            work = macs.count(node, shapes)
        except macs.Unknown:
            work = 0
            unknown[op] += 1
        held = owned.get(node.output[0] if node.output else "", 0)
        if work or held:
            layers.append(
                LayerFacts(
                    name=node.name or node.output[0],
                    op=op,
                    params=held,
                    macs=work,
                    output_shape=shapes.get(node.output[0], ()),
                )
            )
    warnings = [
        f"The multiplications of {count} {op} node{'s' if count > 1 else ''} could not be counted."
        for op, count in unknown.items()
    ]
    if any(node.op_type in ("Loop", "Scan") for node in shaped.graph.node):
        warnings.append("The network loops; multiplications in a loop are counted for one round.")
    return layers, total, warnings


def _nodes_with_shapes(shaped: Shaped) -> Iterator[tuple[onnx.NodeProto, str, macs.Shapes]]:
    """Every node with its own operator name and the shapes it sees, nested graphs after their node."""
    for node in shaped.graph.node:
        yield node, own_operator(node), shaped.shapes
        yield from _inside(node, shaped.shapes)


def _inside(node: onnx.NodeProto, outer: macs.Shapes) -> Iterator[tuple[onnx.NodeProto, str, macs.Shapes]]:
    """The nodes of nested graphs; of the branches of an If only those of the larger one."""
    nested = [(graph, {**outer, **known_shapes(graph)}) for graph in subgraphs(node)]
    if node.op_type == "If" and nested:
        nested = [max(nested, key=lambda pair: _work(*pair))]
    for graph, shapes in nested:
        for inner in graph.node:
            yield inner, inner.op_type, shapes
            yield from _inside(inner, shapes)


def _work(graph: onnx.GraphProto, shapes: macs.Shapes) -> int:
    """The multiplications of a nested graph, as far as they can be counted."""
    total = 0
    for node in graph.node:
        with suppress(macs.Unknown):
            total += macs.count(node, shapes)
        total += sum(_work(inner, {**shapes, **known_shapes(inner)}) for inner in subgraphs(node))
    return total


def _parameters_by_owner(proto: onnx.ModelProto, shaped: Shaped) -> tuple[dict[str, int], int]:
    """Parameters by the first output of the node that owns them, and all together."""
    plain = shell(proto).graph if not proto.functions else shaped.graph
    uses = uses_by_name(plain)
    owned: dict[str, int] = defaultdict(int)
    total = 0
    for name, tensor in stored_tensors(proto):
        held = parameters_in(tensor, uses.get(name, []))
        total += held
        node = owner(name, uses) if held else None
        if node is not None and node.output:
            owned[node.output[0]] += held
    return owned, total


def weight_bytes_by_type(proto: onnx.ModelProto) -> dict[str, int]:
    """The bytes of all stored tensors by their element type."""
    found: Counter[str] = Counter()
    for _, tensor in stored_tensors(proto):
        if tensor.data_type != onnx.TensorProto.STRING:
            found[type_name(tensor.data_type)] += announced_bytes(tensor)
    return dict(sorted(found.items()))


def _serialized_and_zipped(proto: onnx.ModelProto) -> tuple[int, int]:
    """The size of the network as one file, and what deflate at level 6 makes of it."""
    packer = zlib.compressobj(ZIP_LEVEL, zlib.DEFLATED, RAW_DEFLATE)
    size = packed = 0
    for piece in _pieces(proto):
        size += len(piece)
        packed += len(packer.compress(piece))
    return size, packed + len(packer.flush())


def _pieces(proto: onnx.ModelProto) -> Iterator[bytes]:
    """The serialized network; in parts where it is too large to be written in one piece."""
    if sum(len(tensor.raw_data) for tensor in proto.graph.initializer) < WHOLE_BELOW_BYTES:
        yield proto.SerializeToString()
        return
    yield shell(proto).SerializeToString()
    for tensor in proto.graph.initializer:
        yield tensor.SerializeToString()
