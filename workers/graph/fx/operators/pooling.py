"""Pooling over windows and over whole maps.

Source: https://onnx.ai/onnx/operators/onnx__MaxPool.html, onnx__AveragePool.html and the Global forms.
"""

from __future__ import annotations

from typing import Any

import torch
from onnx import NodeProto
from torch import Tensor
from torch.nn import functional

from workers.graph.fx.builder import Builder
from workers.graph.fx.operators.padding import extra_for_ceil, same_pads, torch_pads
from workers.graph.fx.table import operator, reader

Sizes = tuple[int, ...]


def _window(
    x: Tensor, kernel: Sizes, strides: Sizes | None, dilations: Sizes | None, pads: Sizes | None, auto_pad: str
) -> tuple[Sizes, Sizes, Sizes]:
    """Strides, dilations and pads with the defaults of the specification filled in."""
    space = len(kernel)
    stride, dilation = strides or (1,) * space, dilations or (1,) * space
    around = pads if pads and auto_pad == "NOTSET" else (0,) * 2 * space
    if auto_pad.startswith("SAME"):
        around = same_pads(tuple(x.shape[2:]), kernel, stride, dilation, upper=auto_pad == "SAME_UPPER")
    return stride, dilation, around


def _longer(pads: Sizes, extra: Sizes) -> Sizes:
    space = len(extra)
    return (*pads[:space], *(after + more for after, more in zip(pads[space:], extra, strict=True)))


@operator("MaxPool")
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sizes,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sizes | None = None,
    pads: Sizes | None = None,
    storage_order: int = 0,
    strides: Sizes | None = None,
) -> Any:
    """Padding counts as minus infinity."""
    stride, dilation, around = _window(x, kernel_shape, strides, dilations, pads, auto_pad)
    space = len(kernel_shape)
    run: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[space - 1]
    equal = around[:space] == around[space:]
    if equal and all(2 * size <= k for size, k in zip(around, kernel_shape * 2, strict=True)):
        return run(x, kernel_shape, stride, around[:space], dilation, bool(ceil_mode))
    if ceil_mode:
        around = _longer(around, extra_for_ceil(tuple(x.shape[2:]), kernel_shape, stride, dilation, around))
    return run(functional.pad(x, torch_pads(around), value=float("-inf")), kernel_shape, stride, 0, dilation)


@reader("MaxPool")
def refuse_indices(builder: Builder, node: NodeProto) -> None:
    """The second output, indices of the largest elements, is not made.

    Raises:
        UnsupportedOperator: where it is asked for.
    """
    if any(node.output[1:]):
        raise builder.unsupported(node, "its indices are used")


@operator("AveragePool")
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sizes,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sizes | None = None,
    pads: Sizes | None = None,
    strides: Sizes | None = None,
) -> Tensor:
    """The mean of each window; of its part inside the input, unless ``count_include_pad``."""
    stride, dilation, around = _window(x, kernel_shape, strides, dilations, pads, auto_pad)
    space = len(kernel_shape)
    run: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[space - 1]
    if not any(around) and not ceil_mode and set(dilation) == {1}:
        return run(x, kernel_shape, stride)  # type: ignore[no-any-return]
    extra = (0,) * space
    if ceil_mode:
        extra = extra_for_ceil(tuple(x.shape[2:]), kernel_shape, stride, dilation, around)
    inside = torch.ones_like(x[:1, :1])
    if count_include_pad:  # the pads count, the reach of ceil_mode beyond them does not
        inside = functional.pad(inside, torch_pads(around), value=1.0)
        inside = functional.pad(inside, torch_pads(_longer((0,) * 2 * space, extra)))
    else:
        inside = functional.pad(inside, torch_pads(_longer(around, extra)))
    padded = functional.pad(x, torch_pads(_longer(around, extra)))
    return _window_sum(padded, kernel_shape, stride, dilation) / _window_sum(inside, kernel_shape, stride, dilation)


def _window_sum(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """The sum over each window, axis by axis."""
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        windows = x.unfold(axis, (k - 1) * d + 1, s)
        x = windows[..., ::d].sum(-1)
    return x


@operator("LpPool")
def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Sizes,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sizes | None = None,
    p: int = 2,
    pads: Sizes | None = None,
    strides: Sizes | None = None,
) -> Tensor:
    stride, dilation, around = _window(x, kernel_shape, strides, dilations, pads, auto_pad)
    if ceil_mode:
        around = _longer(around, extra_for_ceil(tuple(x.shape[2:]), kernel_shape, stride, dilation, around))
    powers = functional.pad(x.abs().pow(p), torch_pads(around))
    return _window_sum(powers, kernel_shape, stride, dilation).pow(1 / p)


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool")
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    return x.abs().pow(p).sum(tuple(range(2, x.ndim)), keepdim=True).pow(1 / p)
