"""Normalisations as torch modules; batch normalisation stays alive for training.

Source: https://onnx.ai/onnx/operators/, the pages of BatchNormalization, LayerNormalization,
InstanceNormalization, GroupNormalization, RMSNormalization and LRN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from onnx import NodeProto
from torch import Tensor, fx, nn
from torch.nn import functional

from workers.graph.fx.builder import Builder
from workers.graph.fx.source import attributes_of, tensor_of
from workers.graph.fx.table import operator, reader, writes_module
from workers.graph.fx.writer import Call, Writer

BATCH: dict[int, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE: dict[int, Any] = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
PER_CHANNEL_SINCE = 21  # GroupNormalization's scale had one entry per group before


@reader("BatchNormalization")
def read_batch_norm(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.BatchNorm. ONNX's momentum is the share of the old statistics, torch's that of the new ones."""
    if not builder.are_weights(node, 1, 2, 3, 4):
        return None
    attributes = attributes_of(node)
    kind = BATCH.get(builder.source.rank(node.input[0]) or 4, nn.BatchNorm2d)

    def make() -> nn.Module:
        channels = builder.source.array(node.input[1]).size
        module = kind(channels, attributes.get("epsilon", 1e-5), 1 - attributes.get("momentum", 0.9))
        module.weight, module.bias = builder.parameter(node.input[1]), builder.parameter(node.input[2])
        module.running_mean = tensor_of(builder.source.array(node.input[3]))
        module.running_var = tensor_of(builder.source.array(node.input[4]))
        return module  # type: ignore[no-any-return]

    fields = ("weight", "bias", "running_mean", "running_var")
    weights = dict(zip(fields, node.input[1:5], strict=True))
    return builder.place(node, make, weights=weights, args=[builder.value(node.input[0])], outputs=node.output[:1])


@writes_module(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def write_batch_norm(writer: Writer, call: Call, module: Any) -> None:
    ones = torch.ones_like(module.running_mean)
    stored = [
        writer.tensor(module.weight if module.affine else ones, "scale"),
        writer.tensor(module.bias if module.affine else ones * 0, "bias"),
        writer.tensor(module.running_mean, "mean"),
        writer.tensor(module.running_var, "variance"),
    ]
    writer.emit(
        "BatchNormalization",
        [call.args[0], *stored],
        call.outputs[:1],
        name=call.origin.name,
        epsilon=module.eps,
        momentum=None if module.momentum is None else 1 - module.momentum,
    )


@operator("BatchNormalization")
def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> Tensor:
    """With computed statistics: no module to hold them."""
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


@reader("LayerNormalization")
def read_layer_norm(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.LayerNorm where scale and bias are trained and cover all normalised axes."""
    attributes = attributes_of(node)
    if not builder.is_weight(node.input[1]) or not builder.are_weights(node, 2) or any(node.output[1:]):
        return None
    shape = tuple(builder.source.weights[node.input[1]].dims)
    axis, rank = attributes.get("axis", -1), builder.source.rank(node.input[0])
    if (axis if axis < 0 else axis - (rank or 0)) != -len(shape):
        return None
    names = {"weight": node.input[1]} | ({"bias": node.input[2]} if builder.has(node, 2) else {})
    return builder.place(
        node,
        lambda: layer_norm_module(builder, shape, attributes.get("epsilon", 1e-5), names),
        weights=names,
        args=[builder.value(node.input[0])],
        outputs=node.output[:1],
    )


def layer_norm_module(builder: Builder, shape: tuple[int, ...], epsilon: float, names: dict[str, str]) -> nn.LayerNorm:
    """nn.LayerNorm with these initializers as weight and bias."""
    module = nn.LayerNorm(shape, epsilon, device="meta", bias="bias" in names)
    for field, name in names.items():
        setattr(module, field, builder.parameter(name))
    return module


@writes_module(nn.LayerNorm)
def write_layer_norm(writer: Writer, call: Call, module: nn.LayerNorm) -> None:
    """One node since opset 17, the formula spelt out before."""
    shape, axes = module.normalized_shape, tuple(range(-len(module.normalized_shape), 0))
    scale = module.weight if module.weight is not None else torch.ones(shape)
    inputs = [writer.tensor(scale, "scale")]
    if module.bias is not None:
        inputs.append(writer.tensor(module.bias, "bias"))
    if writer.opset >= 17:
        writer.emit(
            "LayerNormalization",
            [call.args[0], *inputs],
            call.outputs[:1],
            name=call.origin.name,
            axis=axes[0],
            epsilon=module.eps,
        )
        return
    out = call.outputs[0]
    centred = writer.then("Sub", [call.args[0], _mean(writer, call.args[0], out, axes)], f"{out}/centred")
    squared = writer.then("Mul", [centred, centred], f"{out}/squared")
    shifted = writer.then("Add", [_mean(writer, squared, out, axes), writer.numbers(module.eps, "epsilon")], f"{out}/v")
    normal = writer.then("Div", [centred, writer.then("Sqrt", [shifted], f"{out}/deviation")], f"{out}/normal")
    last = [out] if module.bias is None else [writer.fresh(f"{out}/scaled")]
    writer.emit("Mul", [normal, inputs[0]], last)
    if module.bias is not None:
        writer.emit("Add", [last[0], inputs[1]], [out], name=call.origin.name)


def _mean(writer: Writer, value: str, out: str, axes: tuple[int, ...]) -> str:
    """ReduceMean over the last axes, an attribute in every opset this is used for."""
    return writer.then("ReduceMean", [value], f"{out}/mean", axes=axes, keepdims=1)


@operator("LayerNormalization")
def layer_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    outputs: int = 1,
) -> Any:
    over = tuple(range(axis % x.ndim, x.ndim))
    mean = x.mean(over, keepdim=True)
    inverse = (x.var(over, unbiased=False, keepdim=True) + epsilon).rsqrt()
    made = (x - mean) * inverse * scale
    made = made if bias is None else made + bias
    return made if outputs == 1 else (made, mean, inverse)[:outputs]


@reader("InstanceNormalization")
def read_instance_norm(builder: Builder, node: NodeProto) -> fx.Node | None:
    kind = INSTANCE.get(builder.source.rank(node.input[0]) or 0)
    if kind is None or not builder.are_weights(node, 1, 2):
        return None

    def make() -> nn.Module:
        channels = builder.source.array(node.input[1]).size
        module = kind(channels, attributes_of(node).get("epsilon", 1e-5), affine=True, device="meta")
        module.weight, module.bias = builder.parameter(node.input[1]), builder.parameter(node.input[2])
        return module  # type: ignore[no-any-return]

    weights = {"weight": node.input[1], "bias": node.input[2]}
    return builder.place(node, make, weights=weights, args=[builder.value(node.input[0])])


@writes_module(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
def write_instance_norm(writer: Writer, call: Call, module: Any) -> None:
    ones = torch.ones(module.num_features)
    scale = writer.tensor(module.weight if module.affine else ones, "scale")
    bias = writer.tensor(module.bias if module.affine else ones * 0, "bias")
    inputs = [call.args[0], scale, bias]
    writer.emit("InstanceNormalization", inputs, call.outputs, name=call.origin.name, epsilon=module.eps)


@operator("InstanceNormalization")
def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


@reader("GroupNormalization")
def read_group_norm(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.GroupNorm, where scale and bias have one entry per channel as since opset 21."""
    if builder.opset < PER_CHANNEL_SINCE or not builder.are_weights(node, 1, 2):
        return None
    attributes = attributes_of(node)

    def make() -> nn.Module:
        channels = builder.source.array(node.input[1]).size
        module = nn.GroupNorm(attributes["num_groups"], channels, attributes.get("epsilon", 1e-5), device="meta")
        module.weight, module.bias = builder.parameter(node.input[1]), builder.parameter(node.input[2])
        return module

    weights = {"weight": node.input[1], "bias": node.input[2]}
    return builder.place(node, make, weights=weights, args=[builder.value(node.input[0])])


@writes_module(nn.GroupNorm)
def write_group_norm(writer: Writer, call: Call, module: nn.GroupNorm) -> None:
    if writer.opset < PER_CHANNEL_SINCE or "rank" in call.origin.notes:
        _write_groups_spelt_out(writer, call, module)
        return
    inputs = [call.args[0], writer.tensor(module.weight, "scale"), writer.tensor(module.bias, "bias")]
    name, groups = call.origin.name, module.num_groups
    writer.emit("GroupNormalization", inputs, call.outputs, name=name, num_groups=groups, epsilon=module.eps)


def _write_groups_spelt_out(writer: Writer, call: Call, module: nn.GroupNorm) -> None:
    """Each group as one channel of an instance normalisation, then scale and bias per channel."""
    x, out, groups = call.args[0], call.outputs[0], module.num_groups
    trailing = int(call.origin.notes.get("rank", 4)) - 2
    rows = writer.then("Reshape", [x, writer.numbers((0, groups, -1), "groups")], f"{out}/groups")
    ones = writer.array(np.ones(groups, np.float32), "ones")
    zeros = writer.array(np.zeros(groups, np.float32), "zeros")
    normal = writer.then("InstanceNormalization", [rows, ones, zeros], f"{out}/normal", epsilon=module.eps)
    back = writer.then("Reshape", [normal, writer.then("Shape", [x], f"{out}/shape")], f"{out}/back")
    scale, bias = (
        writer.tensor(held, "scale", layout=("trailing", trailing), change=lambda w: w.reshape(-1, *[1] * trailing))
        for held in (module.weight, module.bias)
    )
    writer.emit("Add", [writer.then("Mul", [back, scale], f"{out}/scaled"), bias], [out], name=call.origin.name)


@operator("GroupNormalization")
def group_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    opset: int = PER_CHANNEL_SINCE,
) -> Tensor:
    """Scale and bias per channel, or per group before opset 21."""
    if opset < PER_CHANNEL_SINCE:
        each = x.shape[1] // num_groups
        scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


@reader("RMSNormalization")
def read_rms_norm(builder: Builder, node: NodeProto) -> fx.Node | None:
    attributes = attributes_of(node)
    if not builder.is_weight(node.input[1], 1) or attributes.get("axis", -1) != -1:
        return None
    shape = tuple(builder.source.weights[node.input[1]].dims)

    def make() -> nn.Module:
        module = nn.RMSNorm(shape, attributes.get("epsilon", 1e-5), device="meta")
        module.weight = builder.parameter(node.input[1])
        return module

    return builder.place(node, make, weights={"weight": node.input[1]}, args=[builder.value(node.input[0])])


@writes_module(nn.RMSNorm)
def write_rms_norm(writer: Writer, call: Call, module: nn.RMSNorm) -> None:
    if writer.opset < 23:
        raise writer.fail(call, f"it needs opset 23, the network has {writer.opset}")
    inputs = [call.args[0], writer.tensor(module.weight, "scale")]
    axis = -len(module.normalized_shape)
    writer.emit("RMSNormalization", inputs, call.outputs, name=call.origin.name, axis=axis, epsilon=module.eps)


@operator("RMSNormalization")
def rms_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    over = tuple(range(axis % x.ndim, x.ndim))
    return x * (x.square().mean(over, keepdim=True) + epsilon).rsqrt() * scale


@operator("MeanVarianceNormalization")
def mean_variance_normalization(x: Tensor, *, axes: tuple[int, ...] = (0, 2, 3)) -> Tensor:
    deviation = x.var(axes, unbiased=False, keepdim=True).sqrt()
    return (x - x.mean(axes, keepdim=True)) / (deviation + 1e-9)


@operator("LRN")
def local_response(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    """The squares of ``size`` neighbouring channels, the larger half of an even window behind."""
    before = (size - 1) // 2
    squares = functional.pad(x.square().movedim(1, -1), (before, size - 1 - before)).unfold(-1, size, 1).sum(-1)
    return x / (bias + alpha / size * squares.movedim(-1, 1)).pow(beta)
