"""Values made from shapes and numbers: ConstantOfShape, Range, EyeLike, OneHot, and literals of the graph.

Source: https://onnx.ai/onnx/operators/, the pages of these operators.
"""

from __future__ import annotations

from typing import Any

import torch
from onnx import TensorProto, helper
from torch import Tensor

from workers.graph.fx.table import as_tuple, operator

LITERAL_ELEMENTS = 64  # of an integer constant that is kept readable in the graph


def torch_type(onnx_type: int) -> torch.dtype:
    """The torch type of an ONNX element type.

    Raises:
        ValueError: for text and for types below 8 bits.
    """
    if onnx_type == TensorProto.BFLOAT16:
        return torch.bfloat16
    found = getattr(torch, str(helper.tensor_dtype_to_np_dtype(onnx_type).name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"no torch type for ONNX element type {onnx_type}")
    return found


def constant(values: Any, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """A small constant, spelt out in the graph so that a step may read and edit it. Always on the CPU."""
    return torch.tensor(values, dtype=getattr(torch, dtype)).reshape(shape)


@operator("ConstantOfShape", host={"shape"})
def constant_of_shape(shape: Any, *, value: tuple[str, Any] = ("float32", (0.0,))) -> Tensor:
    """Filled with the one element of ``value``, given as (type, elements)."""
    dtype, elements = value
    return torch.full(as_tuple(shape), as_tuple(elements)[0], dtype=getattr(torch, dtype))


@operator("Range", host={"start", "limit", "delta"})
def number_range(start: Any, limit: Any, delta: Any) -> Tensor:
    first, last, step = (as_tuple(value)[0] for value in (start, limit, delta))
    return torch.arange(first, last, step, dtype=torch.float32 if isinstance(first, float) else torch.int64)


@operator("EyeLike")
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    made = x.dtype if dtype is None else torch_type(dtype)
    return torch.diag_embed(torch.ones(max(x.shape) + abs(k)), offset=k)[: x.shape[0], : x.shape[1]].to(made)


@operator("OneHot", host={"depth"})
def one_hot(indices: Tensor, depth: Any, values: Tensor, *, axis: int = -1) -> Tensor:
    """``values`` is (off, on); indices count from the end where negative."""
    classes = int(as_tuple(depth)[0])
    positions = torch.arange(classes, device=indices.device)
    hot = (torch.remainder(indices, classes).unsqueeze(-1) == positions) & (indices.unsqueeze(-1).abs() <= classes)
    return torch.where(hot, values[1], values[0]).movedim(-1, axis)
