"""Moving elements about: Reshape, Transpose, Concat, Split, Slice, Pad, Expand and their kin.

Shapes are computed as tensors on the CPU in every forward pass, so nothing fixes the batch size.
Source: https://onnx.ai/onnx/operators/, the pages of these operators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workers.graph.fx.table import as_tuple, operator

FARTHEST = 2**31 - 1


@operator("Shape")
def shape_of(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The shape as an int64 tensor on the CPU."""
    return torch.tensor(list(x.shape)[slice(start, end)], dtype=torch.int64)


@operator("Size")
def size_of(x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


@operator("Reshape", host={"shape"})
def reshape(x: Tensor, shape: Any, *, allowzero: int = 0) -> Tensor:
    """A 0 keeps the axis of the input, unless ``allowzero``."""
    sizes = list(as_tuple(shape))
    if not allowzero:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


@operator("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    axis = axis % x.ndim if axis < 0 else axis
    if axis == 1 and x.ndim > 1:
        return x.flatten(1)
    rows = int(torch.tensor(x.shape[:axis]).prod()) if axis else 1
    return x.reshape(rows, -1)


@operator("Transpose")
def transpose(x: Tensor, *, perm: tuple[int, ...] | None = None) -> Tensor:
    """Without ``perm`` the axes are reversed."""
    return x.permute(perm if perm is not None else tuple(reversed(range(x.ndim))))


@operator("Squeeze", host={"axes"}, since={"axes": 13})
def squeeze(x: Tensor, axes: Any = None) -> Tensor:
    if axes is None:
        return x.squeeze()
    return x.squeeze(tuple(int(axis) for axis in as_tuple(axes)))


@operator("Unsqueeze", host={"axes"}, since={"axes": 13})
def unsqueeze(x: Tensor, axes: Any) -> Tensor:
    """Axes count in the result."""
    rank = x.ndim + len(as_tuple(axes))
    for axis in sorted(int(axis) % rank for axis in as_tuple(axes)):
        x = x.unsqueeze(axis)
    return x


@operator("Concat")
def concat(*inputs: Tensor, axis: int) -> Tensor:
    """A single row, such as the class token of a file with batch size 1, is repeated beside a larger batch."""
    rows = max(x.shape[0] for x in inputs)
    if axis % inputs[0].ndim == 0 or all(x.shape[0] == rows for x in inputs):
        return torch.cat(inputs, axis)
    return torch.cat([x.expand(rows, *x.shape[1:]) if x.shape[0] == 1 else x for x in inputs], axis)


@operator("Split", host={"split"}, since={"split": 13})
def split(
    x: Tensor, split: Any = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int = 1
) -> tuple[Tensor, ...] | Tensor:
    """Into the given sizes, else evenly, the last part smaller where it does not come out even."""
    count = num_outputs or outputs
    sizes = [int(size) for size in as_tuple(split)] if split is not None else _even(x.shape[axis], count)
    parts = torch.split(x, sizes, axis)
    return parts if outputs > 1 else parts[0]


def _even(size: int, count: int) -> list[int]:
    chunk = -(-size // count)
    return [max(0, min(chunk, size - index * chunk)) for index in range(count)]


@operator("Slice", host={"starts", "ends", "axes", "steps"})
def slice_axes(x: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    """Ends beyond the axis stop at it; negative steps go backwards, as in NumPy."""
    first, last = as_tuple(starts), as_tuple(ends)
    along = as_tuple(axes) if axes is not None else tuple(range(len(first)))
    strides = as_tuple(steps) if steps is not None else (1,) * len(first)
    for start, end, axis, step in zip(first, last, along, strides, strict=True):
        x = _sliced(x, int(start), int(end), int(axis) % x.ndim, int(step))
    return x


def _sliced(x: Tensor, start: int, end: int, axis: int, step: int) -> Tensor:
    if step > 0:
        where: list[Any] = [slice(None)] * x.ndim
        where[axis] = slice(start, min(end, FARTHEST), step)
        return x[tuple(where)]
    size = x.shape[axis]
    chosen = range(size)[slice(max(start, -size - 1), None if end < -size else end, step)]
    return x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))


@operator("Expand", host={"shape"})
def expand(x: Tensor, shape: Any) -> Tensor:
    """Broadcast both ways: a 1 in ``shape`` leaves the axis as it is."""
    sizes = [int(size) for size in as_tuple(shape)]
    rank = max(x.ndim, len(sizes))
    have, wanted = [1] * (rank - x.ndim) + list(x.shape), [1] * (rank - len(sizes)) + sizes
    return x.expand([old if new == 1 else new for old, new in zip(have, wanted, strict=True)])


@operator("Tile", host={"repeats"})
def tile(x: Tensor, repeats: Any) -> Tensor:
    return x.repeat(as_tuple(repeats))


@operator("Pad", host={"pads", "axes"})
def pad(x: Tensor, pads: Any, value: Tensor | None = None, axes: Any = None, *, mode: str = "constant") -> Tensor:
    """Negative pads crop. Pads come as all beginnings, then all ends."""
    along = [int(axis) % x.ndim for axis in as_tuple(axes)] if axes is not None else list(range(x.ndim))
    flat = [int(size) for size in as_tuple(pads)]
    before, after = [0] * x.ndim, [0] * x.ndim
    for axis, low, high in zip(along, flat[: len(along)], flat[len(along) :], strict=True):
        before[axis], after[axis] = low, high
    if mode != "constant":
        return _padded_by_index(x, before, after, mode)
    fill = 0.0 if value is None else value.item()
    paired = [size for axis in reversed(range(x.ndim)) for size in (before[axis], after[axis])]
    if x.dtype == torch.bool:
        return functional.pad(x.to(torch.uint8), paired, value=int(fill)).to(torch.bool)
    return functional.pad(x, paired, value=fill)


def _padded_by_index(x: Tensor, before: list[int], after: list[int], mode: str) -> Tensor:
    """Reflect, edge and wrap on any axis: pick the elements the border repeats."""
    for axis in range(x.ndim):
        if not before[axis] and not after[axis]:
            continue
        size = x.shape[axis]
        positions = torch.arange(-before[axis], size + after[axis], device=x.device)
        if mode == "edge":
            positions = positions.clamp(0, size - 1)
        elif mode == "wrap":
            positions = positions.remainder(size)
        else:
            period = max(2 * (size - 1), 1)
            positions = positions.remainder(period)
            positions = torch.minimum(positions, period - positions)
        x = x.index_select(axis, positions)
    return x


@operator("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    if mode == "CRD":
        return functional.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    parts = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(n, c // blocksize**2, h * blocksize, w * blocksize)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, c * blocksize**2, h // blocksize, w // blocksize)


@operator("Trilu", host={"k"})
def triangle(x: Tensor, k: Any = 0, *, upper: int = 1) -> Tensor:
    diagonal = int(as_tuple(k)[0]) if k is not None else 0
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


@operator("ReverseSequence")
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """The first ``lengths[i]`` steps of row i backwards, the rest as they are."""
    timed = x.movedim((batch_axis, time_axis), (0, 1))
    steps = torch.arange(timed.shape[1], device=x.device).expand(timed.shape[0], -1)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    index = order.reshape(*order.shape, *[1] * (timed.ndim - 2)).expand(timed.shape)
    return timed.gather(1, index).movedim((0, 1), (batch_axis, time_axis))


@operator("SplitToSequence", host={"split"})
def split_to_sequence(x: Tensor, split: Any = None, *, axis: int = 0, keepdims: int = 1) -> tuple[Tensor, ...]:
    """A sequence is a tuple of tensors here."""
    if split is None:
        parts = torch.split(x, 1, axis)
        return parts if keepdims else tuple(part.squeeze(axis) for part in parts)
    return torch.split(x, list(split) if isinstance(split, tuple) else int(split), axis)


@operator("SequenceConstruct")
def sequence_construct(*inputs: Tensor) -> tuple[Tensor, ...]:
    return inputs


@operator("SequenceAt", host={"position"})
def sequence_at(sequence: tuple[Tensor, ...], position: Any) -> Tensor:
    return sequence[int(as_tuple(position)[0])]


@operator("SequenceLength")
def sequence_length(sequence: tuple[Tensor, ...]) -> Tensor:
    return torch.tensor(len(sequence), dtype=torch.int64)


@operator("ConcatFromSequence")
def concat_from_sequence(sequence: tuple[Tensor, ...], *, axis: int, new_axis: int = 0) -> Tensor:
    return torch.stack(sequence, axis) if new_axis else torch.cat(sequence, axis)
