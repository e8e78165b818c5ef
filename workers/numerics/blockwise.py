"""Weights in a few bits with a scale for each block of neighbours. NumPy only.

A matrix is (outputs, inputs); its rows are cut into blocks of ``size`` inputs, the last one filled up with zeros. An
entry w is stored as the whole number q in [0, 2**bits) with w = (q - zero) * scale of its block.

Sources:
    Half-quadratic: Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models".
    Error-compensating: Frantar et al. 2022, GPTQ, arXiv:2210.17323, algorithm 1; Hassibi and Stork 1993 for its step;
    the order and the fixed grids are options of github.com/IST-DASLab/gptq.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

NORM = 0.7  # p of the half-quadratic loss: heavy-tailed errors, as outliers leave them
_ROUNDS = 10
_PULL, _PULL_GROWTH = 10.0, 1.01
_FARTHEST = 0.55  # steps of the span's grid that an entry may be off; within the span half a step is the most
_CLIPPED = np.linspace(1.0, 0.7, 7, dtype=np.float32)
_DAMPING = 0.01
_AT_ONCE = 128  # columns whose corrections to the rest are collected into one product
_TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Grid:
    """``scale`` and ``zero``, both shaped like the blocks' leading axes; ``zero`` holds whole numbers as floats."""

    scale: Floats
    zero: Floats
    bits: int

    def round(self, values: Floats) -> Floats:
        """The stored number nearest to each value, as a float; ``values`` has one axis more than ``scale``."""
        levels = np.round(values / self.scale[..., None]) + self.zero[..., None]
        return np.clip(levels, 0, 2**self.bits - 1)

    def value(self, levels: Floats) -> Floats:
        """What stored numbers stand for."""
        return (levels - self.zero[..., None]) * self.scale[..., None]


Loss: TypeAlias = Callable[[Floats, Grid], Floats]


@dataclass(frozen=True)
class Stored:
    """A matrix in blocks: ``levels`` (outputs, blocks, size), ``scale`` and ``zero`` (outputs, blocks)."""

    levels: Bytes
    grid: Grid

    def values(self, inputs: int) -> Floats:
        """The matrix it stands for, (outputs, inputs)."""
        flat = self.grid.value(self.levels.astype(np.float32)).reshape(len(self.levels), -1)
        return flat[:, :inputs]


def in_blocks(weight: Floats, size: int) -> Floats:
    """(outputs, inputs) -> (outputs, blocks, size), the last block filled up with zeros."""
    outputs, inputs = weight.shape
    filled = np.pad(weight.astype(np.float32, copy=False), ((0, 0), (0, -inputs % size)))
    return filled.reshape(outputs, -1, size)


def fit(blocks: Floats, *, bits: int, symmetric: bool) -> Grid:
    """The grid that spans each block from its smallest to its largest entry, zero included.

    Args:
        blocks: (..., size).
        symmetric: let zero lie in the middle, at 2**(bits - 1); the entry of largest size then stands for level 0,
            so that its side has the one level more. Scales may be negative.
    """
    if symmetric:
        index = np.abs(blocks).argmax(axis=-1)[..., None]
        extreme = np.take_along_axis(blocks, index, axis=-1)[..., 0]
        middle = np.float32(2 ** (bits - 1))
        return Grid(_unless_zero(-extreme / middle), np.full_like(extreme, middle), bits)
    low, high = np.minimum(blocks.min(axis=-1), 0), np.maximum(blocks.max(axis=-1), 0)
    scale = _unless_zero((high - low) / np.float32(2**bits - 1))
    return Grid(scale, np.round(-low / scale), bits)


def _unless_zero(scale: Floats) -> Floats:
    return np.where(np.abs(scale) > _TINY, scale, np.float32(1)).astype(np.float32)


def nearest(weight: Floats, *, bits: int, size: int, symmetric: bool) -> Stored:
    """Round every entry to the nearest level of its block's span."""
    blocks = in_blocks(weight, size)
    grid = fit(blocks, bits=bits, symmetric=symmetric)
    return Stored(grid.round(blocks).astype(np.uint8), grid)


def half_quadratic(weight: Floats, *, bits: int, size: int, symmetric: bool) -> Stored:
    """Choose scales and zeros so that the sum of |error|**0.7 falls: most entries close, a few left far.

    Alternates between the errors an outlier may keep (a generalised soft threshold) and the best scale and zero for
    the rest. The paper moves a fractional zero only; runtimes store whole zeros, so here the scale moves as well, but
    never so far that entries are cut off: on a language model that did more harm than all the rest did good.
    Each block keeps the best grid it has seen.
    """
    blocks = in_blocks(weight, size)
    grid = best = fit(blocks, bits=bits, symmetric=symmetric)
    least, farthest = _loss(blocks, best), _FARTHEST * np.abs(best.scale)
    pull = _PULL
    for _ in range(_ROUNDS):
        grid = _refitted(blocks, grid, pull, symmetric)
        loss = _loss(blocks, grid)
        better = (loss < least) & (_errors(blocks, grid).max(axis=-1) <= farthest)
        best = Grid(np.where(better, grid.scale, best.scale), np.where(better, grid.zero, best.zero), bits)
        least = np.where(better, loss, least)
        pull *= _PULL_GROWTH
    return Stored(best.round(blocks).astype(np.uint8), best)


def _errors(blocks: Floats, grid: Grid) -> Floats:
    """The distance of each entry from what is stored for it, shaped like ``blocks``."""
    errors: Floats = np.abs(blocks - grid.value(grid.round(blocks)))
    return errors


def _loss(blocks: Floats, grid: Grid) -> Floats:
    """(…, size) -> (…): the sum of |error|**p."""
    return np.asarray(np.power(_errors(blocks, grid), NORM).sum(axis=-1), dtype=np.float32)


def _refitted(blocks: Floats, grid: Grid, pull: float, symmetric: bool) -> Grid:
    """One round: errors in steps of the grid are thresholded, then zero and scale are fitted to what is left."""
    levels = grid.round(blocks)
    steps = (blocks - grid.value(levels)) / grid.scale[..., None]
    size = np.abs(steps)
    kept = np.sign(steps) * np.maximum(size - np.power(np.maximum(size, _TINY), NORM - 1) / pull, 0)
    target = blocks - kept * grid.scale[..., None]
    zero = grid.zero
    if not symmetric:
        zero = np.clip(np.round((levels - target / grid.scale[..., None]).mean(axis=-1)), 0, 2**grid.bits - 1)
    around = levels - zero[..., None]
    scale = (target * around).sum(axis=-1) / np.maximum(np.square(around).sum(axis=-1), _TINY)
    return Grid(_unless_zero(scale), zero.astype(np.float32), grid.bits)


def compensated(weight: Floats, seconds: NDArray[np.float64], *, bits: int, size: int, symmetric: bool) -> Stored:
    """Round input by input; after each, move the inputs not yet rounded so that the layer's outputs change least.

    Inputs that are read the strongest go first, while many others are left to make up for their errors. Grids are
    fitted before anything moves, as neighbours in a block are not rounded one after another ("act order" with "static
    groups" in the authors' code); of some clippings the one with the least error counts, weighted as inputs are read.

    Args:
        weight: (outputs, inputs).
        seconds: (inputs, inputs), the second moments X'X of what the layer reads.
    """
    outputs, inputs = weight.shape
    strength = np.diag(seconds).astype(np.float32)
    weighted = _weighted_squares(in_blocks(strength[None], size)[0])
    grid = fit_clipped(in_blocks(weight, size), bits=bits, symmetric=symmetric, loss=weighted)
    order = np.argsort(-strength, kind="stable")
    spread = _spread(seconds[np.ix_(order, order)])
    work = np.ascontiguousarray(weight.T[order], dtype=np.float32)  # (inputs, outputs)
    scales, zeros = (np.ascontiguousarray(one.T[order // size]) for one in (grid.scale, grid.zero))
    levels = np.empty((inputs, outputs), np.uint8)
    for begin in range(0, inputs, _AT_ONCE):
        end = min(begin + _AT_ONCE, inputs)
        errors = np.empty((end - begin, outputs), np.float32)
        for place in range(begin, end):
            column = Grid(scales[place], zeros[place], bits)
            rounded = column.round(work[place, :, None])
            levels[order[place]] = rounded[:, 0]
            error = (work[place] - column.value(rounded)[:, 0]) / spread[place, place]
            work[place + 1 : end] -= spread[place, place + 1 : end, None] * error
            errors[place - begin] = error
        work[end:] -= spread[begin:end, end:].T @ errors
    filled = np.repeat(grid.zero[:, -1:].astype(np.uint8), -inputs % size, axis=1)  # they stand for 0
    return Stored(np.concatenate([levels.T, filled], axis=1).reshape(outputs, -1, size), grid)


def _spread(seconds: NDArray[np.float64]) -> Floats:
    """The upper Cholesky factor of the inverse of the damped second moments, (inputs, inputs).

    Its row i holds, over its diagonal entry, how the inputs after i make up for an error at i; those before are fixed.
    """
    damped = seconds.astype(np.float64, copy=True)
    diagonal = np.einsum("ii->i", damped)
    diagonal[diagonal == 0] = 1.0  # an input that is always 0: its weight does not matter
    diagonal += _DAMPING * diagonal.mean()
    inverse = np.linalg.inv(damped)
    return np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)


def fit_clipped(blocks: Floats, *, bits: int, symmetric: bool, loss: Loss) -> Grid:
    """The grid with the least loss in each block among spans cut to 70 to 100 percent; ``blocks`` is (…, size)."""
    whole = best = fit(blocks, bits=bits, symmetric=symmetric)
    least = np.full(whole.scale.shape, np.inf, np.float32)
    for share in _CLIPPED:
        grid = Grid(whole.scale * share, whole.zero, bits)
        found = loss(blocks, grid)
        best = Grid(np.where(found < least, grid.scale, best.scale), whole.zero, bits)
        least = np.minimum(found, least)
    return best


def _weighted_squares(strength: Floats) -> Loss:
    """The sum of squared errors, each times the strength of its input; ``strength`` is (blocks, size)."""

    def loss(blocks: Floats, grid: Grid) -> Floats:
        return np.asarray((np.square(_errors(blocks, grid)) * strength).sum(axis=-1), dtype=np.float32)

    return loss


def packed(levels: Bytes, bits: int) -> Bytes:
    """Put whole numbers of 4 bits two to a byte, the first in the lower half; those of 8 bits stay as they are.

    Args:
        levels: (..., n); an odd n is filled up with a zero.

    Returns:
        (..., ceil(n / 2)) or (..., n).
    """
    if bits == 8:
        return levels
    fill = [(0, 0)] * (levels.ndim - 1) + [(0, levels.shape[-1] % 2)]
    even = np.pad(levels, fill)
    return np.asarray(even[..., ::2] | (even[..., 1::2] << 4), dtype=np.uint8)
