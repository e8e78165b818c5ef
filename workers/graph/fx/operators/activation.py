"""Activations. Source: https://onnx.ai/onnx/operators/, the pages of these operators."""

from __future__ import annotations

import torch
from onnx import NodeProto
from torch import Tensor, fx, nn
from torch.nn import functional

from workers.graph.fx.builder import Builder
from workers.graph.fx.table import as_tuple, operator, reader, writes_module
from workers.graph.fx.writer import Call, Writer

MICROSOFT = "com.microsoft"  # what onnxruntime's own optimizer writes


@operator("Relu")
def relu(x: Tensor) -> Tensor:
    return torch.relu(x)


@operator("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return functional.leaky_relu(x, alpha)


@operator("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.elu(x, alpha)


@operator("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.celu(x, alpha)


@operator("Selu")
def selu(x: Tensor, *, alpha: float = 1.6732632, gamma: float = 1.050701) -> Tensor:
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x))


@operator("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.threshold(x, alpha, 0.0)


@operator("Sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    return torch.sigmoid(x)


@operator("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("HardSwish")
def hard_swish(x: Tensor) -> Tensor:
    return functional.hardswish(x)


@operator("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return x * torch.sigmoid(alpha * x)


@operator("Mish")
def mish(x: Tensor) -> Tensor:
    return functional.mish(x)


@operator("Tanh")
def tanh(x: Tensor) -> Tensor:
    return torch.tanh(x)


@operator("Softplus")
def softplus(x: Tensor) -> Tensor:
    return functional.softplus(x)


@operator("Softsign")
def softsign(x: Tensor) -> Tensor:
    return functional.softsign(x)


@operator("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate=approximate)


@operator("Gelu", domain=MICROSOFT)
def gelu_of_runtime(x: Tensor) -> Tensor:
    return functional.gelu(x)


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    return functional.gelu(x + bias)


@operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(x: Tensor, *, alpha: float = 1.702) -> Tensor:
    return x * torch.sigmoid(alpha * x)


@operator("Softmax")
def softmax(x: Tensor, *, axis: int | None = None, opset: int = 13) -> Tensor:
    """Before opset 13 over all axes from ``axis`` on, taken as one; since then over ``axis`` alone."""
    if opset >= 13:
        return torch.softmax(x, -1 if axis is None else axis)
    return _as_rows(x, 1 if axis is None else axis).softmax(-1).reshape(x.shape)


@operator("LogSoftmax")
def log_softmax(x: Tensor, *, axis: int | None = None, opset: int = 13) -> Tensor:
    if opset >= 13:
        return torch.log_softmax(x, -1 if axis is None else axis)
    return _as_rows(x, 1 if axis is None else axis).log_softmax(-1).reshape(x.shape)


def _as_rows(x: Tensor, axis: int) -> Tensor:
    """All axes from ``axis`` on as the last one of two."""
    return x.flatten(axis % x.ndim).flatten(0, -2) if axis % x.ndim else x.reshape(1, -1)


@operator("Hardmax")
def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    best = x.argmax(axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, best, 1.0)


@operator("PRelu")
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


@reader("PRelu")
def read_prelu(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.PReLU where there is one slope, or one for each channel, stored as (C, 1, …)."""
    name, rank = node.input[1], builder.source.rank(node.input[0])
    if not builder.is_weight(name):
        return None
    shape = tuple(builder.source.weights[name].dims)
    per_channel = rank is not None and len(shape) == rank - 1 and all(size == 1 for size in shape[1:])
    if shape != (1,) and not per_channel:
        return None

    def make() -> nn.Module:
        module = nn.PReLU(max(shape[0], 1), device="meta")
        module.weight = builder.parameter(name, "flat", lambda tensor: tensor.reshape(-1))
        return module

    notes = {"trailing": len(shape) - 1}
    return builder.place(node, make, weights={"weight": name}, args=[builder.value(node.input[0])], notes=notes)


@writes_module(nn.PReLU)
def write_prelu(writer: Writer, call: Call, module: nn.PReLU) -> None:
    trailing = call.origin.notes.get("trailing", 0)
    slope = writer.tensor(
        module.weight, "slope", layout=("trailing", trailing), change=lambda w: w.reshape(-1, *[1] * trailing)
    )
    writer.emit("PRelu", [call.args[0], slope], call.outputs, name=call.origin.name)


@operator("Dropout")
def dropout(x: Tensor, ratio: float = 0.5, training: bool = False, *, seed: int = 0) -> Tensor:
    """Passes its input on: only :func:`read_dropout` makes one that can be woken."""
    return x


@reader("Dropout")
def read_dropout(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.Dropout, asleep until ``train()``. The mask, its second output, is not made."""
    if any(node.output[1:]):
        raise builder.unsupported(node, "its mask is used")
    ratio = 0.5
    if builder.has(node, 1) and node.input[1] in builder.source.weights:
        ratio = float(as_tuple(builder.source.array(node.input[1]).tolist())[0])
    for attribute in node.attribute:
        ratio = attribute.f if attribute.name == "ratio" else ratio
    args = [builder.value(node.input[0])]
    return builder.place(node, lambda: nn.Dropout(ratio), weights={}, args=args, outputs=node.output[:1])


@writes_module(nn.Dropout)
def write_dropout(writer: Writer, call: Call, module: nn.Dropout) -> None:
    """As a node that does nothing outside training; its ratio is an input since opset 12."""
    inputs = [call.args[0]]
    if writer.opset >= 12:
        inputs.append(writer.numbers(float(module.p), "dropout_ratio"))
        writer.emit("Dropout", inputs, call.outputs[:1], name=call.origin.name)
    else:
        writer.emit("Dropout", inputs, call.outputs[:1], name=call.origin.name, ratio=module.p)
