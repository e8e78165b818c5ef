"""Convolutions over sequences written as matrix products.

Each window becomes a row, channels last, and all rows are multiplied with the weights at once (Chellapilla et al. 2006,
"High Performance Convolutional Neural Networks for Document Processing": unrolling). Measured with onnxruntime 1.31:
it has blocked kernels for pictures only; over a sequence it multiplies weights by one column for each position, which
leaves most of a vector register empty where positions are few, and it does not pack those weights in advance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import sharing, surgery
from workers.graph.axes import reshape
from workers.graph.shapes import Dims, known_dims

TURN = [0, 2, 1]  # channels first to channels last, and back


@dataclass(frozen=True)
class Window:
    """A convolution over a sequence: what it reads, and from where.

    Attributes:
        weight: (out, in, taps).
        length: positions of the input; ``positions``: of the output.
    """

    node: NodeProto
    weight: NDArray[np.float32]
    length: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        return self.dilation * (int(self.weight.shape[2]) - 1) + 1

    @property
    def positions(self) -> int:
        return (self.length + self.before + self.after - self.span) // self.stride + 1


def windows(proto: ModelProto, *, most_positions: int) -> list[Window]:
    """The convolutions over sequences of known length, in float32, in one group, with few enough positions."""
    dims = known_dims(proto)
    weights = {tensor.name: tensor for tensor in proto.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    found = (_window(node, weights, dims) for node in proto.graph.node)
    return [one for one in found if one is not None and 1 <= one.positions <= most_positions]


def _window(node: NodeProto, weights: dict[str, TensorProto], dims: dict[str, Dims]) -> Window | None:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type != "Conv" or any(name not in weights for name in node.input[1:] if name):
        return None
    weight, shape = numpy_helper.to_array(weights[node.input[1]]), dims.get(node.input[0])
    if weight.ndim != 3 or given.get("group", 1) != 1 or shape is None or len(shape) != 3 or not shape[2]:
        return None
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    before, after = given.get("pads", [0, 0])
    return Window(
        node, weight, shape[2], given.get("strides", [1])[0], given.get("dilations", [1])[0], before, after
    )  # fmt: skip


def multiplied(proto: ModelProto, chosen: list[Window]) -> None:
    """Replace convolutions, found by ``windows`` in this very network, by products; the network is changed."""
    graph = proto.graph
    made = {id(window.node): list(_Writer(graph, window).nodes()) for window in chosen}
    nodes = [fresh for node in graph.node for fresh in made.get(id(node), [node])]
    surgery.refill(graph.node, nodes)
    sharing.drop_unused(graph)


class _Writer:
    """Writes one convolution as a product; new values are called after its output."""

    def __init__(self, graph: GraphProto, window: Window) -> None:
        self.graph, self.window = graph, window
        self.source, self.target = window.node.input[0], window.node.output[0]
        self.last = self.source
        self.made: list[NodeProto] = []

    def nodes(self) -> list[NodeProto]:
        window = self.window
        out, channels, taps = window.weight.shape
        tap, between = divmod(window.before, window.dilation)
        if window.length == window.positions == 1 and not between and tap < taps:  # the other taps meet padding alone
            self._reshape("flat", [-1, channels])
            self._product(window.weight[:, :, tap].T)
            self._reshape("", [-1, out, 1])
            return self.made
        self._then("Transpose", "turned", perm=TURN)
        self._gather(channels, taps)
        self._product(window.weight.transpose(2, 1, 0).reshape(taps * channels, out))
        self._then("Transpose", "", perm=TURN)
        return self.made

    def _gather(self, channels: int, taps: int) -> None:
        """(n, length, channels) to one row for each position, (n, positions, taps * channels).

        Entries are moved in blocks: as many at once as stride and window have in common.
        """
        window = self.window
        block = math.gcd(window.stride, taps) if window.dilation == 1 else 1
        needed = (window.positions - 1) * window.stride + window.span
        whole = window.before + window.length
        after = max(0, needed - whole)
        after += -(whole + after) % block
        if window.before or after:
            pads = self._constant("pads", np.array([0, window.before, 0, 0, after, 0], np.int64))
            self._then("Pad", "padded", pads)
        if block > 1:
            self._reshape("blocks", [-1, (whole + after) // block, block * channels])
        starts = np.arange(window.positions)[:, None] * (window.stride // block)
        index = starts + np.arange(taps // block)[None] * window.dilation
        if index.shape[1] > 1 or index[:, 0].tolist() != list(range((whole + after) // block)):
            self._then("Gather", "windows", self._constant("index", index.astype(np.int64)), axis=1)
            self._reshape("rows", [-1, window.positions, taps * channels])

    def _product(self, weight: NDArray[np.float32]) -> None:
        """Multiply (…, rows, depth) with (depth, out) and add the bias."""
        self._then("MatMul", "product", self._constant("weight", np.ascontiguousarray(weight)))
        if len(self.window.node.input) > 2 and self.window.node.input[2]:
            self._then("Add", "sum", self.window.node.input[2])

    def _constant(self, what: str, values: NDArray[np.generic]) -> str:
        return surgery.add_weight(self.graph, f"{self.target}::{what}", values)

    def _then(self, kind: str, what: str, *inputs: str, **attributes: Any) -> None:
        """A node behind the last one; without a word for it, it makes what the convolution made."""
        name = f"{self.target}::{what}" if what else self.target
        self.made.append(helper.make_node(kind, [self.last, *inputs], [name], name=self._name(kind), **attributes))
        self.last = name

    def _reshape(self, what: str, shape: list[int]) -> None:
        name = f"{self.target}::{what}" if what else self.target
        self.made.append(reshape(self.graph, self.last, name, shape))
        self.last = name

    def _name(self, kind: str) -> str:
        """The product is called as the convolution was, so that it can still be excluded by its name."""
        layer = surgery.layer_name(self.window.node)
        return layer if kind == "MatMul" else f"{layer}/{kind}{len(self.made)}"
