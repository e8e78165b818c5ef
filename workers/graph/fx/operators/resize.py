"""Resize, and GridSample.

Source: https://onnx.ai/onnx/operators/onnx__Resize.html: the formulas of coordinate_transformation_mode
and nearest_mode. torch's ``interpolate`` covers the usual modes; the others are picked or weighted
along each axis from a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from onnx import NodeProto
from torch import Tensor
from torch.nn import functional

from workers.graph.fx.builder import Builder
from workers.graph.fx.source import attributes_of
from workers.graph.fx.table import as_tuple, operator, reader


@reader("Resize")
def refuse_rare_forms(builder: Builder, node: NodeProto) -> None:
    """Smoothing while shrinking, and cutting out a region, are not made.

    Raises:
        UnsupportedOperator: where they are asked for.
    """
    attributes = attributes_of(node)
    if attributes.get("antialias", 0):
        raise builder.unsupported(node, "it uses antialias")
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise builder.unsupported(node, "it cuts out a region of interest")


@operator("Resize", host={"roi", "scales", "sizes"}, floats={"roi", "scales"})
def resize(
    x: Tensor,
    roi: Any = None,
    scales: Any = None,
    sizes: Any = None,
    *,
    antialias: int = 0,
    axes: tuple[int, ...] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Each axis for itself: pick or weight neighbours along it."""
    along = [axis % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
    targets = _targets(x, along, scales, sizes, keep_aspect_ratio_policy)
    if _is_torch_linear(x, along, targets, mode, coordinate_transformation_mode):
        return _by_torch(x, along, targets, align=coordinate_transformation_mode == "align_corners")
    for axis, (length, scale) in zip(along, targets, strict=True):
        if length == x.shape[axis] and scale == 1.0:
            continue
        places = _places(x.shape[axis], length, scale, coordinate_transformation_mode, x.device)
        x = _along(x, axis, places, mode, nearest_mode, cubic_coeff_a, bool(exclude_outside))
    return x


def _is_torch_linear(x: Tensor, along: list[int], targets: list[tuple[int, float]], mode: str, places: str) -> bool:
    """Whether this is torch's bilinear resizing of a map, which is faster than axis by axis."""
    usual = mode == "linear" and places in ("half_pixel", "align_corners") and x.ndim == 4
    sized = [(axis, new, scale) for axis, (new, scale) in zip(along, targets, strict=True) if axis >= 2]
    still = all(new == x.shape[axis] for axis, (new, _) in zip(along, targets, strict=True) if axis < 2)
    return usual and still and all(scale == new / x.shape[axis] for axis, new, scale in sized)


def _by_torch(x: Tensor, along: list[int], targets: list[tuple[int, float]], *, align: bool) -> Tensor:
    size = list(x.shape)
    for axis, (new, _) in zip(along, targets, strict=True):
        size[axis] = new
    return functional.interpolate(x, size=size[2:], mode="bilinear", align_corners=align)


def _targets(x: Tensor, along: list[int], scales: Any, sizes: Any, policy: str) -> list[tuple[int, float]]:
    """New length and scale of each axis."""
    have = [x.shape[axis] for axis in along]
    if scales is not None and as_tuple(scales):
        return [(math.floor(size * scale), float(scale)) for size, scale in zip(have, as_tuple(scales), strict=True)]
    wanted = [int(size) for size in as_tuple(sizes)]
    if policy == "stretch":
        return [(new, new / old) for new, old in zip(wanted, have, strict=True)]
    choose = min if policy == "not_larger" else max
    scale = choose(new / old for new, old in zip(wanted, have, strict=True))
    return [(math.floor(scale * old + 0.5), scale) for old in have]


def _places(old: int, new: int, scale: float, mode: str, device: torch.device) -> Tensor:
    """Where each new element lies among the old ones, in the formulas of the specification."""
    index = torch.arange(new, dtype=torch.float64, device=device)
    if mode == "asymmetric":
        return index / scale
    if mode == "align_corners":
        return index * (old - 1) / (new - 1) if new > 1 else index * 0
    if mode == "pytorch_half_pixel" and new == 1:
        return index * 0
    if mode == "half_pixel_symmetric":
        adjust = new / (scale * old)
        return old / 2 * (1 - adjust) + (index + 0.5) / scale - 0.5
    return (index + 0.5) / scale - 0.5


def _along(x: Tensor, axis: int, places: Tensor, mode: str, nearest: str, cubic: float, exclude: bool) -> Tensor:
    size = x.shape[axis]
    if mode == "nearest":
        index = _nearest(places, nearest).clamp(0, size - 1)
        times = len(index) // size
        if torch.equal(index, torch.arange(len(index), device=x.device) // max(times, 1)):
            return x.repeat_interleave(times, axis)  # its derivative is faster than that of picking
        return x.index_select(axis, index)
    base = places.floor()
    offset = places - base
    picked = [base.long() + tap for tap in ((0, 1) if mode == "linear" else (-1, 0, 1, 2))]
    stacked = torch.stack([1 - offset, offset] if mode == "linear" else _cubic(offset, cubic))
    if exclude:
        inside = torch.stack([(index >= 0) & (index < size) for index in picked])
        stacked = stacked * inside
        stacked = stacked / stacked.sum(0)
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    parts = [
        x.index_select(axis, index.clamp(0, size - 1)) * weight.to(x.dtype).reshape(shape)
        for index, weight in zip(picked, stacked, strict=True)
    ]
    return torch.stack(parts).sum(0)


def _nearest(places: Tensor, mode: str) -> Tensor:
    rounding: dict[str, Callable[[Tensor], Tensor]] = {
        "floor": torch.floor,
        "ceil": torch.ceil,
        "round_prefer_floor": lambda p: torch.ceil(p - 0.5),
        "round_prefer_ceil": lambda p: torch.floor(p + 0.5),
    }
    return rounding[mode](places).long()


def _cubic(t: Tensor, a: float) -> list[Tensor]:
    """The weights of the four neighbours at offset t; Keys 1981, a is -0.5 or -0.75."""

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@operator("GridSample")
def grid_sample(
    x: Tensor, grid: Tensor, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Tensor:
    """Modes are called bilinear and bicubic before opset 20."""
    names = {"linear": "bilinear", "cubic": "bicubic"}
    how = names.get(mode, mode)
    return functional.grid_sample(x, grid, mode=how, padding_mode=padding_mode, align_corners=bool(align_corners))
