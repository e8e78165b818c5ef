"""Conv and ConvTranspose as nn.Conv1d/2d/3d and nn.ConvTranspose1d/2d/3d.

Source: https://onnx.ai/onnx/operators/onnx__Conv.html and onnx__ConvTranspose.html.
"""

from __future__ import annotations

from typing import Any

from onnx import NodeProto
from torch import Tensor, fx, nn
from torch.nn import functional

from workers.graph.fx.builder import Builder
from workers.graph.fx.operators.padding import pads_for, same_pads, torch_pads
from workers.graph.fx.source import attributes_of
from workers.graph.fx.table import operator, reader, writes_module
from workers.graph.fx.writer import Call, Writer


class _PaddedConv:
    """A convolution whose padding torch cannot express: unequal on two sides, or found from the input's size.

    ``pads`` are all beginnings, then all ends; ``auto_pad`` as in ONNX.
    """

    pads: tuple[int, ...] = ()
    auto_pad: str = "NOTSET"

    def padded(self, x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
        pads = self.pads
        if self.auto_pad.startswith("SAME"):
            pads = same_pads(tuple(x.shape[2:]), kernel, stride, dilation, upper=self.auto_pad == "SAME_UPPER")
        return functional.pad(x, torch_pads(pads))


class PaddedConv1d(_PaddedConv, nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x, self.kernel_size, self.stride, self.dilation))


class PaddedConv2d(_PaddedConv, nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x, self.kernel_size, self.stride, self.dilation))


class PaddedConv3d(_PaddedConv, nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x, self.kernel_size, self.stride, self.dilation))


PLAIN: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
PADDED: dict[int, Any] = {1: PaddedConv1d, 2: PaddedConv2d, 3: PaddedConv3d}
TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@reader("Conv")
def read_conv(builder: Builder, node: NodeProto) -> fx.Node | None:
    """A real convolution module where its weights are constants."""
    if not builder.is_weight(node.input[1], 3, 4, 5) or not builder.are_weights(node, 2):
        return None

    def make() -> nn.Module:
        weight = builder.parameter(node.input[1])
        module = _conv_for(tuple(weight.shape), attributes_of(node))
        module.weight = weight
        module.bias = builder.parameter(node.input[2]) if builder.has(node, 2) else None
        return module  # type: ignore[no-any-return]

    weights = {"weight": node.input[1]} | ({"bias": node.input[2]} if builder.has(node, 2) else {})
    return builder.place(node, make, weights=weights, args=[builder.value(node.input[0])])


def _conv_for(shape: tuple[int, ...], attributes: dict[str, Any]) -> Any:
    """An empty convolution for a weight of shape (out, in / groups, *kernel)."""
    space = len(shape) - 2
    groups = attributes.get("group", 1)
    auto_pad = attributes.get("auto_pad", "NOTSET")
    pads = pads_for(attributes, space)
    plain = not auto_pad.startswith("SAME") and pads[:space] == pads[space:]
    made = (PLAIN if plain else PADDED)[space](
        shape[1] * groups,
        shape[0],
        shape[2:],
        stride=attributes.get("strides", (1,) * space),
        padding=pads[:space] if plain else 0,
        dilation=attributes.get("dilations", (1,) * space),
        groups=groups,
        bias=False,
        device="meta",
    )
    if not plain:
        made.pads, made.auto_pad = pads, auto_pad
    return made


@writes_module(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def write_conv(writer: Writer, call: Call, module: Any) -> None:
    if module.padding_mode != "zeros":
        raise writer.fail(call, f"padding mode {module.padding_mode!r}")
    auto_pad = getattr(module, "auto_pad", "NOTSET")
    writer.emit(
        "Conv",
        [call.args[0], *_stored(writer, module)],
        call.outputs,
        name=call.origin.name,
        kernel_shape=module.kernel_size,
        strides=module.stride,
        dilations=module.dilation,
        group=module.groups,
        pads=None if auto_pad.startswith("SAME") else _pads_of(module),
        auto_pad=auto_pad if auto_pad.startswith("SAME") else None,
    )


def _pads_of(module: Any) -> tuple[int, ...]:
    """All beginnings, then all ends; torch's "same" and "valid" spelt out."""
    if isinstance(module, _PaddedConv):
        return module.pads
    if module.padding == "valid":
        return (0,) * 2 * len(module.kernel_size)
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return (*[size // 2 for size in total], *[size - size // 2 for size in total])
    return (*module.padding, *module.padding)


def _stored(writer: Writer, module: Any) -> list[str]:
    """Weight and bias, where there is one."""
    names = [writer.tensor(module.weight, "weight")]
    return names if module.bias is None else [*names, writer.tensor(module.bias, "bias")]


@operator("Conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """With a computed weight: no module to hold it."""
    space = x.ndim - 2
    stride, dilation = strides or (1,) * space, dilations or (1,) * space
    around = pads or (0,) * 2 * space
    if auto_pad.startswith("SAME"):
        around = same_pads(x.shape[2:], weight.shape[2:], stride, dilation, upper=auto_pad == "SAME_UPPER")
    run = (functional.conv1d, functional.conv2d, functional.conv3d)[space - 1]
    return run(functional.pad(x, torch_pads(around)), weight, bias, stride, 0, dilation, group)


@reader("ConvTranspose")
def read_transposed(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.ConvTranspose where padding is equal on both sides and not found from the size."""
    attributes = attributes_of(node)
    if not builder.is_weight(node.input[1], 3, 4, 5) or not builder.are_weights(node, 2):
        return None
    space = len(builder.source.weights[node.input[1]].dims) - 2
    pads = pads_for(attributes, space)
    if "output_shape" in attributes or attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        return None
    if pads[:space] != pads[space:]:
        return None

    def make() -> nn.Module:
        weight = builder.parameter(node.input[1])
        module = _transposed_for(tuple(weight.shape), attributes, pads[:space])
        module.weight = weight
        module.bias = builder.parameter(node.input[2]) if builder.has(node, 2) else None
        return module  # type: ignore[no-any-return]

    weights = {"weight": node.input[1]} | ({"bias": node.input[2]} if builder.has(node, 2) else {})
    return builder.place(node, make, weights=weights, args=[builder.value(node.input[0])])


def _transposed_for(shape: tuple[int, ...], attributes: dict[str, Any], padding: tuple[int, ...]) -> Any:
    """An empty transposed convolution for a weight of shape (in, out / groups, *kernel)."""
    space, groups = len(shape) - 2, attributes.get("group", 1)
    return TRANSPOSED[space](
        shape[0],
        shape[1] * groups,
        shape[2:],
        stride=attributes.get("strides", (1,) * space),
        padding=padding,
        output_padding=attributes.get("output_padding", (0,) * space),
        dilation=attributes.get("dilations", (1,) * space),
        groups=groups,
        bias=False,
        device="meta",
    )


@writes_module(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def write_transposed(writer: Writer, call: Call, module: Any) -> None:
    writer.emit(
        "ConvTranspose",
        [call.args[0], *_stored(writer, module)],
        call.outputs,
        name=call.origin.name,
        kernel_shape=module.kernel_size,
        strides=module.stride,
        dilations=module.dilation,
        group=module.groups,
        pads=(*module.padding, *module.padding),
        output_padding=module.output_padding if any(module.output_padding) else None,
    )


@operator("ConvTranspose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    output_padding: tuple[int, ...] | None = None,
    output_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """The forms no module has: the full result, then cropped or extended on each side."""
    space = x.ndim - 2
    stride, dilation, extra = strides or (1,) * space, dilations or (1,) * space, output_padding or (0,) * space
    around = pads or (0,) * 2 * space
    full = [
        s * (n - 1) + e + (k - 1) * d + 1
        for s, n, e, k, d in zip(stride, x.shape[2:], extra, weight.shape[2:], dilation, strict=True)
    ]
    if output_shape is not None or auto_pad.startswith("SAME"):
        wanted = output_shape or tuple(s * n for s, n in zip(stride, x.shape[2:], strict=True))
        total = [have - want for have, want in zip(full, wanted, strict=True)]
        small = [size // 2 for size in total]
        large = [size - half for size, half in zip(total, small, strict=True)]
        around = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    run = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[space - 1]
    made = run(x, weight, None, stride, 0, 0, group, dilation)
    crop = [-size for size in around]
    for axis in range(space):
        crop[space + axis] += extra[axis]
    made = functional.pad(made, torch_pads(tuple(crop)))
    return made if bias is None else made + bias.reshape(-1, *[1] * space)
