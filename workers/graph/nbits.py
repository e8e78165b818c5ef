"""Writing matrix products and table look-ups with weights of 4 or 8 bits, as onnxruntime's own operators take them.

MatMulNBits and GatherBlockQuantized (domain com.microsoft) read the same bytes, so a table that a network both looks
up and multiplies with is stored once. MatMulNBits needs ``accuracy_level`` 4, or onnxruntime 1.31 takes a path that
was measured 12 times slower than float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import calibration, folding, sharing, surgery
from workers.numerics.blockwise import Floats, Stored, packed
from workers.workbench import Workbench

DOMAIN = "com.microsoft"
INT8_ARITHMETIC = 4
BLOCKS = (32, 64, 128)
SECONDS_BYTES = 512 << 20  # of the second moments held at once
Seconds = NDArray[np.float64]


@dataclass
class Matrix:
    """One weight, (outputs, inputs), and everything that reads it."""

    key: str
    values: Floats
    products: list[NodeProto] = field(default_factory=list)
    tables: list[NodeProto] = field(default_factory=list)

    def is_at_an_end(self, outputs: frozenset[str]) -> bool:
        """Whether it is looked up, or gives what the network puts out; ``outputs`` are the network's."""
        return bool(self.tables) or any(node.output[0] in outputs for node in self.products)

    @property
    def name(self) -> str:
        """The layer it is known by on the pages."""
        return surgery.layer_name((self.products or self.tables)[0])


def ready(proto: ModelProto) -> ModelProto:
    """A copy with named nodes, in which every fixed weight is an initializer and every shape that can be told is."""
    fresh = surgery.inlined(proto)
    surgery.name_nodes(fresh)
    folding.weights_are_constants(fresh)
    folding.constants_to_weights(fresh.graph)
    folding.drop_passing_nodes(fresh.graph)
    return onnx.shape_inference.infer_shapes(fresh)


def matrices(proto: ModelProto, *, excluded: frozenset[str], tables: bool) -> list[Matrix]:
    """Every two-axis float weight of MatMul, Gemm and, where ``tables``, Gather; equal ones together, in order."""
    weights = {tensor.name: tensor for tensor in proto.graph.initializer if _is_matrix(tensor)}
    turned = {
        node.output[0]: node.input[0]
        for node in proto.graph.node
        if node.op_type == "Transpose" and node.input[0] in weights
    }
    found: dict[str, Matrix] = {}
    for node in proto.graph.node:
        values = None if node.name in excluded else _weight_of(node, weights, turned, tables)
        if values is not None:
            key = sha256(str(values.shape).encode() + values.tobytes()).hexdigest()
            matrix = found.setdefault(key, Matrix(key[:12], values))
            (matrix.tables if node.op_type == "Gather" else matrix.products).append(node)
    return list(found.values())


def _is_matrix(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2 and min(tensor.dims) > 1


def _weight_of(node: NodeProto, weights: dict[str, TensorProto], turned: dict[str, str], tables: bool) -> Floats | None:
    """The weight a node reads as (outputs, inputs), C order; nothing where it has none that could be stored so."""
    slot = 0 if node.op_type == "Gather" else 1
    source = turned.get(node.input[slot]) if len(node.input) > slot else None
    tensor = weights.get(source or node.input[slot]) if len(node.input) > slot else None
    if tensor is None:
        return None
    values = numpy_helper.to_array(tensor)
    settings = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Gather" and tables and not source and settings.get("axis", 0) == 0:
        return np.ascontiguousarray(values)
    if node.op_type == "MatMul" or (node.op_type == "Gemm" and _is_plain(settings)):
        is_turned = bool(source) != bool(settings.get("transB", 0))
        return np.ascontiguousarray(values if is_turned else values.T)
    return None


def _is_plain(settings: dict[str, object]) -> bool:
    """Whether a Gemm is a product and a sum, nothing scaled, its input not transposed."""
    return settings.get("alpha", 1.0) == 1.0 and settings.get("beta", 1.0) == 1.0 and not settings.get("transA", 0)


def block_for(inputs: int, most: int, bits: int) -> int:
    """The block of at most ``most`` neighbours with which a row takes the least room.

    A row that whole blocks do not fill is filled up with zeros, and smaller blocks then take less.
    """
    sizes = [size for size in BLOCKS if size <= most]
    return min(sizes, key=lambda size: -(-inputs // size) * (size * bits / 8 + np.dtype(np.float32).itemsize))


def second_moments(
    proto: ModelProto, found: list[Matrix], bench: Workbench, samples: int
) -> Iterator[tuple[Matrix, Seconds]]:
    """For each matrix the second moments (inputs, inputs) of what its products read on calibration rows.

    The network runs once for as many matrices as fit in memory at once. Matrices that are only looked up are left out.
    """
    portions = _portions([one for one in found if one.products])
    for number, portion in enumerate(portions):
        yield from _observed(proto, portion, bench.part(number / len(portions), (number + 1) / len(portions)), samples)


def _portions(found: list[Matrix]) -> list[list[Matrix]]:
    """The matrices in pieces whose second moments fit in memory together; those of one input count once."""
    portions: list[list[Matrix]] = [[]]
    held, held_bytes = set[str](), 0
    for matrix in found:
        inputs = {node.input[0] for node in matrix.products}
        each = matrix.values.shape[1] ** 2 * np.dtype(np.float64).itemsize
        if portions[-1] and held_bytes + each * len(inputs - held) > SECONDS_BYTES:
            portions.append([])
            held, held_bytes = set[str](), 0
        held_bytes += each * len(inputs - held)
        held |= inputs
        portions[-1].append(matrix)
    return [portion for portion in portions if portion]


def _observed(
    proto: ModelProto, portion: list[Matrix], bench: Workbench, samples: int
) -> Iterator[tuple[Matrix, Seconds]]:
    wanted = {node.input[0]: matrix.values.shape[1] for matrix in portion for node in matrix.products}
    sums = {name: np.zeros((width, width)) for name, width in wanted.items()}
    observer = calibration.Observer(proto, list(wanted), bench, samples)
    observer.size_up()
    done = 0
    for rows, values in observer.seen():
        for name, width in wanted.items():
            flat = values[name].reshape(-1, width)
            sums[name] += flat.T @ flat
        done += rows
        bench.part(0, 0.5).progress(done, max(samples, done), "Looking at the calibration rows")
    for number, matrix in enumerate(portion, start=1):
        yield matrix, np.sum([sums[node.input[0]] for node in matrix.products], axis=0)
        bench.part(0.5, 1).progress(number, len(portion), f"Rounded {matrix.name}")


def write(proto: ModelProto, found: list[Matrix], store: Callable[[Matrix], Stored]) -> None:
    """Replace the nodes that read the matrices by ones that read ``store(matrix)``; the graph is changed."""
    for matrix in found:
        _write_one(proto, matrix, store(matrix))
    if not any(entry.domain == DOMAIN for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    sharing.drop_unused(proto.graph)


def _write_one(proto: ModelProto, matrix: Matrix, stored: Stored) -> None:
    bits, size = stored.grid.bits, stored.levels.shape[2]
    outputs, inputs = matrix.values.shape
    rows = stored.levels.reshape(outputs, -1)
    levels = packed(stored.levels, bits) if matrix.products else packed(rows[:, :inputs], bits)
    names = [_add(proto, f"{matrix.key}::levels", levels), _add(proto, f"{matrix.key}::scales", stored.grid.scale)]
    if np.any(stored.grid.zero != 2 ** (bits - 1)):  # the middle is what the operators take where nothing is said
        names.append(_add(proto, f"{matrix.key}::zeros", packed(stored.grid.zero.astype(np.uint8), bits)))
    for node in matrix.products:
        _write_product(proto, node, names, matrix.values.shape, bits, size)
    if matrix.tables and matrix.products:
        names[0] = _in_rows(proto, names[0], outputs)
    for node in matrix.tables:
        filled = (rows.shape[1] if matrix.products else levels.shape[1] * 8 // bits) != inputs
        _write_look_up(proto, node, names, inputs if filled else None, bits, size)


def _add(proto: ModelProto, name: str, values: NDArray[np.generic]) -> str:
    proto.graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _in_rows(proto: ModelProto, levels: str, outputs: int) -> str:
    """The bytes of a matrix, which products read as (outputs, blocks, bytes), as rows to look up."""
    name = levels.replace("::levels", "::rows")
    shape = _add(proto, f"{name}::shape", np.array([outputs, -1], np.int64))
    proto.graph.node.insert(0, helper.make_node("Reshape", [levels, shape], [name], name=name))
    return name


def _write_product(
    proto: ModelProto, node: NodeProto, names: list[str], shape: tuple[int, ...], bits: int, size: int
) -> None:
    bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else ""
    plain = f"{node.output[0]}::product" if bias else node.output[0]
    made = helper.make_node(
        "MatMulNBits", [node.input[0], *names], [plain], name=node.name, domain=DOMAIN, N=shape[0], K=shape[1],
        bits=bits, block_size=size, accuracy_level=INT8_ARITHMETIC,
    )  # fmt: skip
    added = [helper.make_node("Add", [plain, bias], [node.output[0]], name=f"{node.name}::bias")] if bias else []
    _replace(proto, node, [made, *added])


def _write_look_up(
    proto: ModelProto, node: NodeProto, names: list[str], cut_to: int | None, bits: int, size: int
) -> None:
    found = node.output[0] if cut_to is None else f"{node.output[0]}::filled"
    made = [
        helper.make_node(
            "GatherBlockQuantized",
            [names[0], node.input[1], *names[1:]],
            [found],
            name=node.name,
            domain=DOMAIN,
            bits=bits,
            block_size=size,
            gather_axis=0,
            quantize_axis=1,
        )
    ]
    if cut_to is not None:
        ends = zip(("begin", "end", "axis"), (0, cut_to, -1), strict=True)
        cut = [_add(proto, f"{node.name}::{word}", np.array([number], np.int64)) for word, number in ends]
        made.append(helper.make_node("Slice", [found, *cut], [node.output[0]], name=f"{node.name}::cut"))
    _replace(proto, node, made)


def _replace(proto: ModelProto, node: NodeProto, instead: list[NodeProto]) -> None:
    """Put nodes where one stood. Matched by its output, as nodes move when others are written."""
    everything = list(proto.graph.node)
    index = next(index for index, other in enumerate(everything) if other.output[0] == node.output[0])
    surgery.refill(proto.graph.node, [*everything[:index], *instead, *everything[index + 1 :]])
