"""Layers replaced by two or three thinner ones in a row that compute about the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from workers.numerics import bayes_rank
from workers.numerics import factorization as factors

Rule = Literal["size", "energy", "vbmf"]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MOST_TRIES = 12  # of ranks, when a share of the energy is asked of a sum of products


@dataclass(frozen=True)
class Wish:
    """How low ranks shall go, and what larger kernels become.

    Attributes:
        rule: by the share of each layer's numbers, by that of its energy, or by what is more than noise.
        keep: the share, in (0, 1); not used by ``vbmf``.
        kernels: a thin kernel between two 1x1 convolutions, or one picture for each of some channels between them.
    """

    rule: Rule
    keep: float
    kernels: Literal["tucker", "cp"]


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
        if (type(part) in (nn.Linear, nn.Embedding) or (isinstance(part, CONVOLUTIONS) and part.groups == 1))
        and owners[id(part.weight)] == 1
    ]


@torch.no_grad()
def thinned(layer: Any, wish: Wish, moments: Tensor | None = None) -> Thinned | None:
    """Factorize a layer; None where that would not make it smaller.

    Args:
        moments: of the layer's inputs, (in, in), where its answers shall stay near on these rather than everywhere;
            for matrices and 1x1 kernels.
    """
    if isinstance(layer, nn.Linear):
        return _linear(layer, wish, moments)
    if isinstance(layer, nn.Embedding):
        return _embedding(layer, wish)
    if set(layer.kernel_size) == {1}:
        return _pointwise(layer, wish, moments)
    return _kernel(layer, wish) if wish.kernels == "tucker" else _pictures(layer, wish)


def takes_moments(layer: nn.Module) -> bool:
    """Whether a layer is a matrix that can be fitted to its inputs."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, CONVOLUTIONS) and set(layer.kernel_size) == {1})


@torch.no_grad()
def moments(module: fx.GraphModule, paths: list[str], batches: Iterable[list[Tensor]]) -> dict[str, Tensor]:
    """The mean of x xᵀ over the inputs x of some layers; (in, in) for each path, double."""
    totals: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(path: str) -> Callable[..., None]:
        def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0] if isinstance(layer, nn.Linear) else given[0].movedim(1, -1)
            flat = x.reshape(-1, x.shape[-1]).double()
            totals[path] = totals.get(path, torch.zeros(())) + flat.T @ flat
            counts[path] = counts.get(path, 0) + len(flat)

        return look

    hooks = [module.get_submodule(path).register_forward_pre_hook(watch(path)) for path in paths]
    for inputs in batches:
        module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return {path: total / counts[path] for path, total in totals.items()}


def _linear(layer: nn.Linear, wish: Wish, seen: Tensor | None) -> Thinned | None:
    found = _matrices(layer.weight, wish, seen)
    if found is None:
        return None
    rank, left, right = found
    first = nn.Linear(layer.in_features, rank, bias=False)
    second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    return _row([(first, right, None), (second, left, layer.bias)], (rank,), layer.weight)


def _embedding(layer: nn.Embedding, wish: Wish) -> Thinned | None:
    """A narrower table and a matrix that widens its rows (Lan et al. 2020, ALBERT, arXiv:1909.11942, section 3.1)."""
    found = _matrices(layer.weight, wish, None)
    if found is None:
        return None
    rank, left, right = found
    table = nn.Embedding(layer.num_embeddings, rank)
    widening = nn.Linear(rank, layer.embedding_dim, bias=False)
    return _row([(table, left, None), (widening, right.T, None)], (rank,), layer.weight)


def _pointwise(layer: Any, wish: Wish, seen: Tensor | None) -> Thinned | None:
    found = _matrices(layer.weight.flatten(1), wish, seen)
    if found is None:
        return None
    rank, left, right = found
    first = _like(layer, layer.in_channels, rank)
    second = _change(layer, rank, layer.out_channels, bias=layer.bias is not None)
    return _row([(first, right, None), (second, left, layer.bias)], (rank,), layer.weight)


def _kernel(layer: Any, wish: Wish) -> Thinned | None:
    shape = tuple(layer.weight.shape)
    ranks = _kernel_ranks(layer.weight, wish)
    if min(ranks) < 1 or factors.tucker2_numbers(shape, ranks) >= layer.weight.numel():
        return None
    outs, core, ins = factors.tucker2_factors(layer.weight, ranks)
    first = _change(layer, layer.in_channels, ranks[1], bias=False)
    last = _change(layer, ranks[0], layer.out_channels, bias=layer.bias is not None)
    parts = [(first, ins.T, None), (_like(layer, ranks[1], ranks[0]), core, None), (last, outs, layer.bias)]
    return _row(parts, ranks, layer.weight)


def _pictures(layer: Any, wish: Wish) -> Thinned | None:
    """1x1, one picture for each channel, 1x1."""
    rank = _cp_rank(layer.weight, wish)
    if rank is None:
        return None
    outs, ins, kernels = factors.cp_factors(layer.weight, rank)
    first = _change(layer, layer.in_channels, rank, bias=False)
    last = _change(layer, rank, layer.out_channels, bias=layer.bias is not None)
    parts = [(first, ins.T, None), (_like(layer, rank, rank, groups=rank), kernels[:, None], None)]
    return _row([*parts, (last, outs, layer.bias)], (rank,), layer.weight)


def _cp_rank(weight: Tensor, wish: Wish) -> int | None:
    """The rank of a sum of products; None where it would hold as many numbers as the kernel."""
    shape = tuple(weight.shape)
    most = (weight.numel() - 1) // factors.cp_numbers(shape, 1)
    if wish.rule == "size":
        rank = max(1, int(wish.keep * weight.numel()) // factors.cp_numbers(shape, 1))
    elif wish.rule == "vbmf":
        rank = max(_vbmf(weight.movedim(axis, 0)) for axis in (0, 1))
    else:
        rank = _rank_for_energy(weight, wish.keep, most)
    return rank if 0 < rank <= most else None


def _rank_for_energy(weight: Tensor, share: float, most: int) -> int:
    """A small rank whose sum keeps a share of the energy, by doubling and halving; above ``most`` if none does."""
    total = float(weight.double().square().sum())

    def keeps(rank: int) -> bool:
        off = weight - factors.cp_product(*factors.cp_factors(weight, rank))
        return float(off.double().square().sum()) <= (1 - share) * total

    if most < 1 or not keeps(most):
        return most + 1
    low, high = 0, most  # high keeps the share
    for _ in range(MOST_TRIES):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high


def _matrices(weight: Tensor, wish: Wish, seen: Tensor | None) -> tuple[int, Tensor, Tensor] | None:
    """The rank and the two factors of a matrix; None where they would not be smaller."""
    rows, columns = weight.shape
    shown = weight.double() if seen is None else weight.double() @ factors.whitener(seen)
    if wish.rule == "size":
        rank = max(1, int(wish.keep * rows * columns / (rows + columns)))
    elif wish.rule == "vbmf":
        rank = _vbmf(shown)
    else:
        rank = factors.rank_for_energy(torch.linalg.svdvals(shown), share=wish.keep)
    if not 0 < rank <= factors.matrix_rank_that_pays(rows, columns):
        return None
    left, right = factors.svd_factors(weight, rank) if seen is None else factors.whitened_factors(weight, seen, rank)
    return rank, left, right


def _vbmf(tensor: Tensor) -> int:
    matrix = tensor.double().flatten(1)
    return bayes_rank.vbmf_rank(torch.linalg.svdvals(matrix), (matrix.shape[0], matrix.shape[1]))


def _kernel_ranks(weight: Tensor, wish: Wish) -> tuple[int, int]:
    """Ranks of outputs and inputs, each by the rule, or the same share of both that gives the wished size."""
    if wish.rule == "vbmf":
        return _vbmf(weight), _vbmf(weight.transpose(0, 1))
    (_, out_values), (_, in_values) = factors.channel_bases(weight.double())
    if wish.rule == "energy":
        return (
            factors.rank_for_energy(out_values, share=wish.keep),
            factors.rank_for_energy(in_values, share=wish.keep),
        )
    most = wish.keep * weight.numel()
    pairs = [(_part(share, len(out_values)), _part(share, len(in_values))) for share in range(1, 101)]
    fitting = [pair for pair in pairs if factors.tucker2_numbers(tuple(weight.shape), pair) <= most]
    return fitting[-1] if fitting else pairs[0]


def _part(percent: int, whole: int) -> int:
    return max(1, percent * whole // 100)


def _change(layer: Any, channels_in: int, channels_out: int, *, bias: bool) -> Any:
    """A convolution with kernels of one number, over as many axes as another one."""
    kind = CONVOLUTIONS[len(layer.kernel_size) - 1]
    return kind(channels_in, channels_out, 1, bias=bias)


def _like(layer: Any, channels_in: int, channels_out: int, groups: int = 1) -> Any:
    """A convolution that moves over its input as another one does."""
    made = type(layer)(
        channels_in,
        channels_out,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=groups,
        bias=False,
    )
    for name in ("pads", "auto_pad"):  # of the importer's convolutions with unequal padding
        if hasattr(layer, name):
            setattr(made, name, getattr(layer, name))
    return made


def _row(parts: list[tuple[Any, Tensor, Tensor | None]], ranks: tuple[int, ...], weight: Tensor) -> Thinned:
    for layer, values, bias in parts:
        layer.weight.copy_(values.reshape(layer.weight.shape))
        if bias is not None:
            layer.bias.copy_(bias)
    row = nn.Sequential(*[layer for layer, _, _ in parts])
    flat = fx.GraphModule(row, _Whole().trace(row))
    return Thinned(flat, ranks, sum(values.numel() for _, values, _ in parts), weight.numel())


class _Whole(fx.Tracer):
    """Keeps every layer whole, also those that torch does not know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True
