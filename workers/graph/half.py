"""Writing a float32 network in float16, with float32 inputs and outputs.

Each operator's own schema says which of its inputs and outputs may be float16. Where a float16 value
meets a float32 place, or the other way round, one Cast stands between them, shared by all who need it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from workers.errors import YoursToFix
from workers.graph import folding, surgery

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)
# The type these write does not follow from what they read: an attribute or a sequence decides.
OWN_TYPE = frozenset(
    {"Cast", "CastLike", "ConstantOfShape", "EyeLike", "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"}
    | {"RandomUniform", "RandomUniformLike", "SequenceEmpty", "SequenceConstruct", "SequenceAt", "SequenceInsert"}
    | {"SequenceErase", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement", "Constant"}
)
WIDE, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
Formal: TypeAlias = Sequence[onnx.defs.OpSchema.FormalParameter]


def convert(
    proto: ModelProto, *, keep_ops: Collection[str], keep_layers: Collection[str]
) -> tuple[ModelProto, tuple[str, ...]]:
    """Store weights in float16 and compute in it wherever an operator can.

    Args:
        keep_ops: operator types to leave in float32, besides those that have no float16 form.
        keep_layers: names of nodes to leave in float32.

    Returns:
        The network, and what its user must know about it.

    Raises:
        YoursToFix: if there is no float32 weight that could become float16.
    """
    ready = surgery.inlined(proto)
    folding.weights_are_constants(ready)
    surgery.name_nodes(ready)
    folding.constants_to_weights(ready.graph)
    work = _Conversion(ready, frozenset(keep_ops), frozenset(keep_layers))
    work.choose()
    work.write()
    if not any(tensor.data_type == HALF for tensor in ready.graph.initializer):
        raise YoursToFix(
            "Expected float32 weights that can become float16, found none.",
            hint="This network has nothing to halve.",
            code="technique.nothing-to-do",
        )
    note_shapes(ready)
    return ready, tuple(work.notes)


def note_shapes(proto: ModelProto) -> None:
    """Write down the shapes of sums and products, and of nothing else.

    onnxruntime 1.31 ends with a segmentation fault on some float16 networks, such as plain transformers, where these
    are missing: its blocked-layout pass reads the shape of an addition behind a product it has fused by then.
    """
    del proto.graph.value_info[:]  # inferred before types or names changed
    inferred = onnx.shape_inference.infer_shapes(proto).graph.value_info
    wanted = {name for node in proto.graph.node if node.op_type in ("Add", "Mul", "Sum") for name in node.output}
    proto.graph.value_info.extend(item for item in inferred if item.name in wanted)


class _Conversion:
    """The state of one conversion.

    ``halved`` tells for a node which inputs and outputs become float16, by its place in the graph;
    ``made`` are the values that float16 nodes write.
    """

    def __init__(self, proto: ModelProto, keep_ops: frozenset[str], keep_layers: frozenset[str]) -> None:
        self.graph = proto.graph
        self.version = surgery.opset(proto)
        self.left = OWN_TYPE | surgery.QUANTIZED_OPS | keep_ops
        self.left_layers = keep_layers
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer if tensor.data_type == WIDE}
        self.borders = {item.name for item in self.graph.output}
        inferred = onnx.shape_inference.infer_shapes(proto).graph
        types = {item.name: item.type.tensor_type.elem_type for item in _listed(inferred)}
        types |= {tensor.name: tensor.data_type for tensor in self.graph.initializer}
        self.types = types
        self.halved: dict[int, tuple[set[int], set[int]]] = {}
        self.made: set[str] = set()
        self.stored: set[str] = set()
        self.written: list[NodeProto] = []
        self.casts: dict[tuple[str, int], str] = {}
        self.notes: list[str] = []

    def choose(self) -> None:
        """Decide for every node which of its inputs and outputs become float16."""
        for index, node in enumerate(self.graph.node):
            if not self._stays(node):
                schema = onnx.defs.get_schema(node.op_type, self.version, "")
                takes = {slot for slot, name in enumerate(node.input) if self._may_be_half(name, schema.inputs, slot)}
                gives = {slot for slot, name in enumerate(node.output) if self._may_be_half(name, schema.outputs, slot)}
                if takes and gives == {slot for slot, name in enumerate(node.output) if self.types.get(name) == WIDE}:
                    self.halved[index] = takes, gives
                    self.made.update(node.output[slot] for slot in gives)

    def _stays(self, node: NodeProto) -> bool:
        """Whether a node computes in float32 whatever its schema says."""
        if node.domain not in surgery.STANDARD or node.op_type in self.left or node.name in self.left_layers:
            return True
        if any(surgery.subgraphs(node)) or not onnx.defs.has(node.op_type, self.version, ""):
            return True
        untyped = any(name and not self.types.get(name) for name in (*node.input, *node.output))
        return untyped or any(self._would_vanish(name) for name in node.input)

    def _would_vanish(self, name: str) -> bool:
        """Whether this is a single number, such as an epsilon, too small for float16."""
        tensor = self.weights.get(name)
        if tensor is None or _entries(tensor) != 1:
            return False
        return 0 < abs(float(numpy_helper.to_array(tensor).reshape(()))) < SMALLEST

    def _may_be_half(self, name: str, formal: Formal, slot: int) -> bool:
        """Whether a value is float32 and the schema lets it be float16; the last formal place may repeat."""
        place = formal[min(slot, len(formal) - 1)] if formal else None
        return self.types.get(name) == WIDE and place is not None and "tensor(float16)" in place.types

    def write(self) -> None:
        """Let every node read and write in its type, with casts where types meet, and store the weights."""
        for index, node in enumerate(self.graph.node):
            takes, gives = self.halved.get(index, (set(), set()))
            for name in sorted((surgery.reads(node) - set(node.input)) & self.made):
                wide = self._named(name, WIDE)
                for body in surgery.subgraphs(node):
                    surgery.rename_inside(body, {name: wide})
            node.input[:] = [self._named(name, HALF if slot in takes else WIDE) for slot, name in enumerate(node.input)]
            self.written.append(node)
            for slot in sorted(gives):
                self._widen_at_border(node, slot)
        surgery.refill(self.graph.node, self.written)
        self._store()

    def _widen_at_border(self, node: NodeProto, slot: int) -> None:
        name = node.output[slot]
        if name in self.borders:
            node.output[slot] = _half_name(name)
            self.written.append(helper.make_node("Cast", [_half_name(name)], [name], name=f"{name}::wide", to=WIDE))

    def _named(self, name: str, kind: int) -> str:
        """What a value is called in a type; adds the cast that makes it, the first time."""
        if kind == WIDE:
            return self._cast(name, WIDE) if name in self.made - self.borders else name
        if name in self.weights:
            self.stored.add(name)
            return _half_name(name)
        if name in self.made:
            return _half_name(name) if name in self.borders else name
        return self._cast(name, HALF)

    def _cast(self, name: str, kind: int) -> str:
        target = f"{name}::wide" if kind == WIDE else _half_name(name)
        if (name, kind) not in self.casts:
            self.casts[(name, kind)] = target
            self.written.append(helper.make_node("Cast", [name], [target], name=target, to=kind))
        return target

    def _store(self) -> None:
        """Write the weights in float16, beside the float32 form where somebody still reads that."""
        still = {name for node in self.graph.node for name in surgery.reads(node)} | self.borders
        alone = self.stored - still
        surgery.rename(self.graph, {_half_name(name): name for name in alone})
        for tensor in [tensor for tensor in self.graph.initializer if tensor.name in self.stored]:
            values = self._cut(tensor)
            if tensor.name in alone:
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            else:
                self.graph.initializer.append(numpy_helper.from_array(values, _half_name(tensor.name)))

    def _cut(self, tensor: TensorProto) -> NDArray[np.float16]:
        values = numpy_helper.to_array(tensor)
        beyond = np.isfinite(values) & (np.abs(values) > LARGEST)
        if beyond.any() and _entries(tensor) > 1:
            self.notes.append(f"Weights of {tensor.name} beyond {LARGEST:.0f} were cut to float16's largest number.")
        return np.where(beyond, np.copysign(LARGEST, values), values).astype(np.float16)


def _half_name(name: str) -> str:
    return f"{name}::half"


def _entries(tensor: TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _listed(graph: GraphProto) -> list[ValueInfoProto]:
    return [*graph.input, *graph.output, *graph.value_info]
