"""Small networks of the usual kinds, built from nothing: what a host is calibrated with. Their weights are noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass
class Draft:
    """A graph as it grows: every method adds a layer behind ``at`` and returns its output's name."""

    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    at: str = "x"
    channels: int = 0

    def __post_init__(self) -> None:
        self._noise = np.random.default_rng(0)
        self.channels = self.channels or self.shape[0]

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [*inputs], [name], name=name, **attributes))
        self.at = name
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        noise = (self._noise.standard_normal(shape) * scale).astype(np.float32)
        self.weights.append(numpy_helper.from_array(noise, name))
        return name

    def conv(self, out: int, size: int = 3, *, stride: int = 1, groups: int = 1, relu: bool = True) -> str:
        held = self.weight(out, self.channels // groups, size, size)
        pad, self.channels = size // 2, out
        self.add("Conv", self.at, held, self.weight(out), pads=[pad] * 4, strides=[stride] * 2, group=groups)
        return self.add("Relu", self.at) if relu else self.at

    def dense(self, wide: int, out: int, *, relu: bool = True) -> str:
        self.add("Gemm", self.at, self.weight(out, wide), self.weight(out), transB=1)
        return self.add("Relu", self.at) if relu else self.at

    def head(self, classes: int = 10) -> str:
        self.add("GlobalAveragePool", self.at)
        self.add("Flatten", self.at)
        return self.dense(self.channels, classes, relu=False)

    def matmul(self, wide: int, out: int, *, of: str = "") -> str:
        return self.add("MatMul", of or self.at, self.weight(wide, out))

    def model(self) -> onnx.ModelProto:
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape])
        answer = helper.make_tensor_value_info(self.at, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "standard", [given], [answer], self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        return onnx.shape_inference.infer_shapes(made)


def plain() -> onnx.ModelProto:
    """3×3 convolutions one after another, as in VGG."""
    draft = Draft((3, 64, 64))
    for out, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)):
        draft.conv(out, stride=stride)
    draft.head()
    return draft.model()


def residual() -> onnx.ModelProto:
    """Blocks with a way around them, as in ResNet."""
    draft = Draft((3, 32, 32))
    draft.conv(32)
    for out in (32, 64, 128):
        stride = 1 if out == 32 else 2
        before, wide = draft.at, draft.channels
        draft.conv(out, stride=stride)
        inside = draft.conv(out, relu=False)
        draft.at, draft.channels = before, wide
        around = draft.conv(out, 1, stride=stride, relu=False)
        draft.add("Relu", draft.add("Add", inside, around))
    draft.head()
    return draft.model()


def mobile() -> onnx.ModelProto:
    """1×1 convolutions around depthwise ones, as in MobileNet."""
    draft = Draft((3, 96, 96))
    draft.conv(16, stride=2)
    for out, stride in ((24, 2), (32, 1), (48, 2), (64, 1), (96, 2)):
        wide = draft.channels * 4
        draft.conv(wide, 1)
        draft.conv(wide, 3, stride=stride, groups=wide)
        draft.conv(out, 1, relu=False)
    draft.head()
    return draft.model()


def squeezed() -> onnx.ModelProto:
    """1×1 and 3×3 convolutions side by side, as in SqueezeNet."""
    draft = Draft((3, 64, 64))
    draft.conv(32, stride=2)
    for out in (32, 48, 64):
        draft.conv(out // 2, 1)
        before, wide = draft.at, draft.channels
        left = draft.conv(out, 1)
        draft.at, draft.channels = before, wide
        right = draft.conv(out, 3)
        draft.add("Concat", left, right, axis=1)
        draft.channels = 2 * out
    draft.head()
    return draft.model()


def stem() -> onnx.ModelProto:
    """Large and strided convolutions with pooling."""
    draft = Draft((3, 96, 96))
    draft.conv(32, 7, stride=2)
    draft.add("MaxPool", draft.at, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    draft.conv(64, 5)
    draft.add("MaxPool", draft.at, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    draft.conv(96, 5, stride=2)
    draft.head()
    return draft.model()


def small() -> onnx.ModelProto:
    """A network so small that starting its layers is most of the work."""
    draft = Draft((1, 8, 8))
    draft.conv(16)
    draft.conv(32, stride=2)
    draft.add("Flatten", draft.at)
    draft.dense(32 * 16, 64)
    draft.dense(64, 10, relu=False)
    return draft.model()


def dense() -> onnx.ModelProto:
    """Fully connected layers."""
    draft = Draft((256,))
    for wide, out in ((256, 1024), (1024, 1024), (1024, 512)):
        draft.dense(wide, out)
    draft.dense(512, 16, relu=False)
    return draft.model()


def attention() -> onnx.ModelProto:
    """Two encoder blocks of 64 places and 128 features, as in BERT."""
    width, places = 128, 64
    draft = Draft((places, width))
    for _ in range(2):
        start = draft.at
        query, key, value = (draft.matmul(width, width, of=start) for _ in range(3))
        turned = draft.add("Transpose", key, perm=[0, 2, 1])
        shares = draft.add("Softmax", draft.add("MatMul", query, turned), axis=-1)
        mixed = draft.matmul(width, width, of=draft.add("MatMul", shares, value))
        middle = draft.add("Add", start, mixed)
        inner = draft.add("Relu", draft.matmul(width, 4 * width, of=middle))
        draft.add("Add", middle, draft.matmul(4 * width, width, of=inner))
    return draft.model()


STANDARD: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": plain, "residual": residual, "mobile": mobile, "squeezed": squeezed, "stem": stem, "small": small,
    "dense": dense, "attention": attention,
}  # fmt: skip
