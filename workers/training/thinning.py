"""Layers replaced by two or three thinner ones in a row that compute about the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers.numerics import factorization as factors


@dataclass(frozen=True)
class Wish:
    """How low ranks shall go: the energy to keep, or the share of each layer's numbers to keep; one of them is 0."""

    energy: float
    size: float


@dataclass(frozen=True)
class Thinned:
    """The layers that stand for one, the ranks between them, and how many weights there are now and were before."""

    layers: nn.Module
    ranks: tuple[int, ...]
    numbers: int
    before: int


def candidates(module: fx.GraphModule) -> list[str]:
    """Paths of the layers that can be factorized, each once; those that share their weights with others are left."""
    owners: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return [
        name
        for name, part in module.named_modules()
        if (type(part) is nn.Linear or (isinstance(part, nn.Conv2d) and part.groups == 1))
        and owners[id(part.weight)] == 1
    ]


@torch.no_grad()
def thinned(layer: Any, wish: Wish) -> Thinned | None:
    """Factorize a layer; None where that would not make it smaller.

    Matrices and 1x1 kernels by SVD, larger kernels by Tucker-2.
    """
    if isinstance(layer, nn.Linear):
        return _linear(layer, wish)
    if layer.kernel_size == (1, 1):
        return _pointwise(layer, wish)
    return _kernel(layer, wish)


def _linear(layer: nn.Linear, wish: Wish) -> Thinned | None:
    rank = _matrix_rank(layer.weight, wish)
    if rank is None:
        return None
    left, right = factors.svd_factors(layer.weight, rank)
    first = nn.Linear(layer.in_features, rank, bias=False)
    second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    return _row([(first, right, None), (second, left, layer.bias)], (rank,), layer.weight)


def _pointwise(layer: nn.Conv2d, wish: Wish) -> Thinned | None:
    rank = _matrix_rank(layer.weight.flatten(1), wish)
    if rank is None:
        return None
    left, right = factors.svd_factors(layer.weight.flatten(1), rank)
    first = _like(layer, layer.in_channels, rank)
    second = nn.Conv2d(rank, layer.out_channels, 1, bias=layer.bias is not None)
    parts = [(first, right[..., None, None], None), (second, left[..., None, None], layer.bias)]
    return _row(parts, (rank,), layer.weight)


def _kernel(layer: nn.Conv2d, wish: Wish) -> Thinned | None:
    shape = tuple(layer.weight.shape)
    ranks = _kernel_ranks(layer.weight, wish)
    if factors.tucker2_numbers(shape, ranks) >= layer.weight.numel():
        return None
    outs, core, ins = factors.tucker2_factors(layer.weight, ranks)
    first = nn.Conv2d(layer.in_channels, ranks[1], 1, bias=False)
    last = nn.Conv2d(ranks[0], layer.out_channels, 1, bias=layer.bias is not None)
    parts = [
        (first, ins.T[..., None, None], None),
        (_like(layer, ranks[1], ranks[0]), core, None),
        (last, outs[..., None, None], layer.bias),
    ]
    return _row(parts, ranks, layer.weight)


def _matrix_rank(weight: Tensor, wish: Wish) -> int | None:
    rows, columns = weight.shape
    if wish.energy:
        rank = factors.rank_for_energy(torch.linalg.svdvals(weight.double()), share=wish.energy)
    else:
        rank = max(1, int(wish.size * rows * columns / (rows + columns)))
    return rank if rank <= factors.matrix_rank_that_pays(rows, columns) else None


def _kernel_ranks(weight: Tensor, wish: Wish) -> tuple[int, int]:
    """Ranks of outputs and inputs, by energy, or the same share of both that gives the wished size."""
    (_, out_values), (_, in_values) = factors.channel_bases(weight.double())
    if wish.energy:
        return (
            factors.rank_for_energy(out_values, share=wish.energy),
            factors.rank_for_energy(in_values, share=wish.energy),
        )
    most = wish.size * weight.numel()
    pairs = [(_part(share, len(out_values)), _part(share, len(in_values))) for share in range(1, 101)]
    fitting = [pair for pair in pairs if factors.tucker2_numbers(tuple(weight.shape), pair) <= most]
    return fitting[-1] if fitting else pairs[0]


def _part(percent: int, whole: int) -> int:
    return max(1, percent * whole // 100)


def _like(layer: nn.Conv2d, channels_in: int, channels_out: int) -> nn.Conv2d:
    """A convolution that moves over its input as another one does."""
    made = type(layer)(
        channels_in,
        channels_out,
        layer.kernel_size,  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        bias=False,
    )
    for name in ("pads", "auto_pad"):  # of the importer's convolutions with unequal padding
        if hasattr(layer, name):
            setattr(made, name, getattr(layer, name))
    return made


def _row(parts: list[tuple[Any, Tensor, Tensor | None]], ranks: tuple[int, ...], weight: Tensor) -> Thinned:
    for layer, values, bias in parts:
        layer.weight.copy_(values)
        if bias is not None:
            layer.bias.copy_(bias)
    row = nn.Sequential(*[layer for layer, _, _ in parts])
    flat = fx.GraphModule(row, _Whole().trace(row))
    return Thinned(flat, ranks, sum(values.numel() for _, values, _ in parts), weight.numel())


class _Whole(fx.Tracer):
    """Keeps every layer whole, also those that torch does not know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True
