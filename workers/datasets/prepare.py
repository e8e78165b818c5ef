"""Raw samples → what the network is fed, as the input contract says."""

import math

import numpy as np

from workers.contract import InputSpec
from workers.datasets.raw import Array, BadData

TYPES = frozenset(
    {
        "float16",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "bool",
    }
)
CHANNEL_AXIS = {"CHW": 0, "HWC": 2}


def prepare(raw: Array, spec: InputSpec) -> Array:
    """Lay out, scale and cast a batch.

    Args:
        raw: (rows, *sample) of any number type.
        spec: the input's contract.

    Returns:
        (rows, *spec.shape) of the type of the contract.

    Raises:
        BadData: if the samples do not fit, saying what was expected and what was found.
    """
    if spec.dtype not in TYPES:
        raise BadData(
            f"Expected an input of numbers, found that {spec.name!r} takes {spec.dtype}.",
            hint="Export the network with numeric inputs.",
            code="data.input-type",
        )
    arranged = arrange(raw, spec)
    if spec.channels == "BGR" and spec.layout in CHANNEL_AXIS:
        arranged = np.flip(arranged, axis=1 + CHANNEL_AXIS[spec.layout])
    return np.ascontiguousarray(_cast(_scaled(arranged, spec), spec))


def arrange(raw: Array, spec: InputSpec) -> Array:
    """Bring samples to the contract's shape where there is only one way to do it.

    These are: the shape is right already; axes of length one come or go; a vector is a picture
    of one channel row by row, or the other way round; channels move between first and last.
    """
    sample, wanted = raw.shape[1:], spec.shape
    if _matches(sample, wanted):
        return raw
    moved = _with_channels_moved(raw, spec)
    if moved is not None:
        return moved
    if -1 not in wanted and math.prod(sample) == math.prod(wanted) and _is_one_way(sample, wanted):
        return raw.reshape(len(raw), *wanted)
    settled = _with_free_axes(sample, wanted)
    if settled is not None:
        return raw.reshape(len(raw), *settled)
    raise BadData(
        f"Expected samples of shape {_said(wanted)} for the input {spec.name!r}, found {_said(sample)}.",
        hint="Reshape the arrays, or correct the layout in the input contract.",
        code="data.shape",
    )


def _said(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join("any" if side == -1 else str(side) for side in shape) + ")"


def _matches(sample: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(sample) == len(wanted) and all(want in (-1, found) for found, want in zip(sample, wanted, strict=True))


def _with_channels_moved(raw: Array, spec: InputSpec) -> Array | None:
    """(h, w, c) ↔ (c, h, w), where the contract says which of the two the network takes."""
    if raw.ndim != 4 or spec.layout not in CHANNEL_AXIS:
        return None
    order = (0, 3, 1, 2) if spec.layout == "CHW" else (0, 2, 3, 1)
    moved = raw.transpose(order)
    return moved if _matches(moved.shape[1:], spec.shape) else None


def _is_one_way(sample: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes of equal size differ in axes of length one only, or flatten at most two real axes."""
    found, want = (tuple(side for side in shape if side != 1) for shape in (sample, wanted))
    return found == want or (min(len(found), len(want)) <= 1 and max(len(found), len(want)) <= 2)


def _with_free_axes(sample: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The wanted shape with its free axes filled, where only axes of length one are added to the sample."""
    sides = list(sample)
    settled = []
    for want in wanted:
        if sides and (want in (-1, sides[0])):
            settled.append(sides.pop(0))
        elif want == 1:
            settled.append(1)
        else:
            return None
    return None if sides else tuple(settled)


def _scaled(samples: Array, spec: InputSpec) -> Array:
    """``(x * scale - mean) / std`` in 32 bits, or the samples as they are where nothing is to be done."""
    if spec.scale == 1.0 and not spec.mean and not spec.std:
        return samples
    wide = np.dtype("float64" if spec.dtype == "float64" else "float32")
    scaled: Array = samples.astype(wide) * wide.type(spec.scale)
    if spec.mean:
        scaled -= _along_channels(spec.mean, samples, spec, "mean").astype(wide)
    if spec.std:
        scaled /= _along_channels(spec.std, samples, spec, "std").astype(wide)
    return scaled


def _along_channels(values: tuple[float, ...], samples: Array, spec: InputSpec, what: str) -> Array:
    """One value, or one per channel or column, shaped to meet the samples."""
    array = np.asarray(values, dtype=np.float64)
    axis = CHANNEL_AXIS.get(spec.layout, len(spec.shape) - 1)
    channels = samples.shape[1 + axis] if samples.ndim > 1 else 1
    if len(values) not in (1, channels):
        raise BadData(
            f"Expected 1 or {channels} values as {what} of {spec.name!r}, found {len(values)}.",
            hint="Correct the input contract.",
            code="data.mean-length",
        )
    if what == "std" and not (array > 0).all():
        raise BadData(
            f"Expected positive values as std of {spec.name!r}, found {min(values)}.",
            hint="Correct the input contract.",
            code="data.std",
        )
    shape = [1] * (samples.ndim - 1)
    if shape and len(values) > 1:
        shape[axis] = channels
    return array.reshape(shape)


def _cast(samples: Array, spec: InputSpec) -> Array:
    wanted = np.dtype(spec.dtype)
    if samples.dtype == wanted:
        return samples
    if wanted.kind in "iu" and samples.size:
        bounds = np.iinfo(wanted)
        low, high = samples.min(), samples.max()
        fractions = samples.dtype.kind == "f" and bool((samples != np.rint(samples)).any())
        if fractions or low < bounds.min or high > bounds.max:
            raise BadData(
                f"Expected whole numbers from {bounds.min} to {bounds.max} for {spec.name!r},"
                f" found values from {low} to {high}.",
                hint="Feed the data the network was trained with, or correct scale and mean in the input contract.",
                code="data.not-whole",
            )
    return samples.astype(wanted)
