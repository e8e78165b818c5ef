"""Sums, means, extremes over axes; ArgMax, TopK, CumSum.

Source: https://onnx.ai/onnx/operators/, the pages of these operators. Axes are an input since
opset 13 for ReduceSum and since opset 18 for the others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workers.graph.fx.table import as_tuple, operator


def _over(x: Tensor, axes: Any, noop: int) -> tuple[int, ...]:
    """The axes to reduce: all of them where none are given, unless none then means none."""
    if axes is None or not as_tuple(axes):
        return () if noop else tuple(range(x.ndim))
    return tuple(int(axis) % x.ndim for axis in as_tuple(axes))


@operator("ReduceSum", host={"axes"}, since={"axes": 13})
def reduce_sum(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.sum(over, keepdim=bool(keepdims), dtype=x.dtype) if over else x


@operator("ReduceMean", host={"axes"}, since={"axes": 18})
def reduce_mean(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.mean(over, keepdim=bool(keepdims)) if over else x


@operator("ReduceMax", host={"axes"}, since={"axes": 18})
def reduce_max(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.amax(over, keepdim=bool(keepdims)) if over else x


@operator("ReduceMin", host={"axes"}, since={"axes": 18})
def reduce_min(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.amin(over, keepdim=bool(keepdims)) if over else x


@operator("ReduceProd", host={"axes"}, since={"axes": 18})
def reduce_prod(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    for axis in sorted(_over(x, axes, noop_with_empty_axes), reverse=True):
        x = x.prod(axis, keepdim=bool(keepdims), dtype=x.dtype)
    return x


@operator("ReduceL1", host={"axes"}, since={"axes": 18})
def reduce_l1(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.abs().sum(over, keepdim=bool(keepdims)) if over else x.abs()


@operator("ReduceL2", host={"axes"}, since={"axes": 18})
def reduce_l2(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return torch.linalg.vector_norm(x, dim=over, keepdim=bool(keepdims)) if over else x.abs()


@operator("ReduceSumSquare", host={"axes"}, since={"axes": 18})
def reduce_sum_square(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.square().sum(over, keepdim=bool(keepdims)) if over else x.square()


@operator("ReduceLogSum", host={"axes"}, since={"axes": 18})
def reduce_log_sum(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return x.sum(over, keepdim=bool(keepdims)).log() if over else x.log()


@operator("ReduceLogSumExp", host={"axes"}, since={"axes": 18})
def reduce_log_sum_exp(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = _over(x, axes, noop_with_empty_axes)
    return torch.logsumexp(x, over, keepdim=bool(keepdims)) if over else x


@operator("ArgMax")
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    return _extreme(torch.argmax, x, axis, keepdims, select_last_index)


@operator("ArgMin")
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    return _extreme(torch.argmin, x, axis, keepdims, select_last_index)


def _extreme(find: Any, x: Tensor, axis: int, keepdims: int, last: int) -> Tensor:
    if last:
        found: Tensor = x.shape[axis] - 1 - find(x.flip(axis), axis, keepdim=bool(keepdims))
        return found
    return find(x, axis, keepdim=bool(keepdims))  # type: ignore[no-any-return]


@operator("TopK", host={"k"})
def top_k(x: Tensor, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:  # noqa: A002
    found = torch.topk(x, int(as_tuple(k)[0]), axis, largest=bool(largest), sorted=bool(sorted))
    return found.values, found.indices


@operator("CumSum", host={"axis"})
def cumulative_sum(x: Tensor, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    along = int(as_tuple(axis)[0])
    turned = x.flip(along) if reverse else x
    summed = turned.cumsum(along, dtype=x.dtype)
    if exclusive:
        summed = summed - turned
    return summed.flip(along) if reverse else summed


@operator("CumProd", host={"axis"})
def cumulative_product(x: Tensor, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    along = int(as_tuple(axis)[0])
    turned = x.flip(along) if reverse else x
    if exclusive:
        first = torch.ones_like(turned.narrow(along, 0, 1))
        turned = torch.cat([first, turned.narrow(along, 0, turned.shape[along] - 1)], along)
    made = turned.cumprod(along, dtype=x.dtype)
    return made.flip(along) if reverse else made
