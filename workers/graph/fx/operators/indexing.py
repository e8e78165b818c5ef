"""Picking elements by index: Gather and its kin, Scatter and its kin; nn.Embedding for trained tables.

Source: https://onnx.ai/onnx/operators/, the pages of these operators.
"""

from __future__ import annotations

import torch
from onnx import NodeProto
from torch import Tensor, fx, nn

from workers.graph.fx.builder import Builder
from workers.graph.fx.source import attributes_of
from workers.graph.fx.table import operator, reader, writes_module
from workers.graph.fx.writer import Call, Writer


@reader("Gather")
def read_embedding(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.Embedding where rows of a trained matrix are picked by computed indices."""
    table, indices = node.input
    if attributes_of(node).get("axis", 0) or not builder.is_weight(table, 2) or indices in builder.source.weights:
        return None
    rows, width = builder.source.weights[table].dims

    def make() -> nn.Module:
        module = nn.Embedding(rows, width, device="meta")
        module.weight = builder.parameter(table)
        return module

    return builder.place(node, make, weights={"weight": table}, args=[builder.value(indices)])


@writes_module(nn.Embedding)
def write_embedding(writer: Writer, call: Call, module: nn.Embedding) -> None:
    table = writer.tensor(module.weight, "embedding")
    writer.emit("Gather", [table, call.args[0]], call.outputs, name=call.origin.name)


@operator("Gather")
def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Negative indices count from the end."""
    axis = axis % x.ndim
    picked = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    if picked.ndim == 0:
        return x.index_select(axis, picked.reshape(1)).squeeze(axis)
    found = x.index_select(axis, picked.reshape(-1))
    return found.reshape(*x.shape[:axis], *picked.shape, *x.shape[axis + 1 :])


@operator("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    axis = axis % x.ndim
    return x.gather(axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


@operator("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """The last axis of ``indices`` addresses the axes of ``x`` behind the batch axes."""
    spread = []
    for axis in range(batch_dims):  # the position on each batch axis, shaped to broadcast with the indices
        shape = [-1 if other == axis else 1 for other in range(indices.ndim - 1)]
        spread.append(torch.arange(x.shape[axis], device=x.device).reshape(shape))
    return x[(*spread, *indices.long().unbind(-1))]


def _accumulated(x: Tensor, where: tuple[Tensor, ...], updates: Tensor, reduction: str) -> Tensor:
    """A copy of ``x`` with ``updates`` put in, added or multiplied at ``where``."""
    if reduction in ("none", "add"):
        return x.index_put(where, updates, accumulate=reduction == "add")
    kept = x.clone()
    current = kept[where]
    changes = {"mul": torch.mul, "max": torch.maximum, "min": torch.minimum}
    kept[where] = changes[reduction](current, updates)
    return kept


@operator("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    return _accumulated(x, tuple(indices.long().unbind(-1)), updates, reduction)


@operator("ScatterElements")
def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    axis = axis % x.ndim
    index = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    if reduction == "none":
        return x.scatter(axis, index, updates)
    names = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
    return x.scatter_reduce(axis, index, updates, reduce=names[reduction])


@operator("NonZero")
def non_zero(x: Tensor) -> Tensor:
    """Shape (rank, found)."""
    return torch.nonzero(x).T.contiguous()


@operator("Compress")
def compress(x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.index_select(axis, torch.nonzero(condition).reshape(-1))
