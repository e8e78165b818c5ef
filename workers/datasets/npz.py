"""Arrays in an .npz file: ``x_train``, ``y_train``, ``x_test``, … Large ones are mapped, not read."""

import ast
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from workers import archive
from workers.datasets.raw import Array, BadData, Raw, Stack
from workers.facts import Role

MAGIC = b"\x93NUMPY"
HEADER_LENGTH_BYTES = {1: 2, 2: 4}
LONGEST_HEADER = 10_000
MOST_AXES = 8
MOST_LABEL_AXES = 3
BOMBS_COUNT_FROM_BYTES = 16 << 20
WORDS = {
    "train": Role.TRAIN,
    "test": Role.TEST,
    "validation": Role.VALIDATION,
    "val": Role.VALIDATION,
    "valid": Role.VALIDATION,
    "calibration": Role.CALIBRATION,
}
ORDER = (Role.TRAIN, Role.VALIDATION, Role.CALIBRATION, Role.TEST)
LAYOUT_HINT = "Save with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)."
ONLY_INPUT = "x"


@dataclass(frozen=True)
class Header:
    """What an array says about itself. ``start`` counts from the beginning of its member."""

    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    fortran: bool
    start: int


def open_npz(path: Path) -> Raw:
    """Read the arrays of an .npz file and the roles their names declare.

    Raises:
        YoursToFix: for object arrays, names that say nothing, and arrays that do not fit each other.
    """
    arrays = _arrays(path)
    by_role, loose = _by_role(arrays)
    parts = {role: by_role[role] for role in ORDER if role in by_role}
    groups = [*parts.values(), *([loose] if loose else [])]
    if not groups:
        raise BadData(
            f"Expected arrays named x_train, x_test or x, found {', '.join(sorted(arrays)) or 'none'}.",
            hint=LAYOUT_HINT,
            code="data.npz-names",
        )
    names = _input_names(groups)
    counts = [_rows_in(group, names) for group in groups]
    starts = np.cumsum([0, *counts])
    spans = [np.arange(starts[number], starts[number + 1]) for number in range(len(groups))]
    labels, unlabelled = _labels(groups, counts)
    return Raw(
        format="npz",
        size_bytes=path.stat().st_size,
        rows=int(starts[-1]),
        labels=labels,
        inputs={name: Stack([group[f"x__{name}"] for group in groups], name) for name in names},
        declared=dict(zip(parts, spans, strict=False)),
        loose=spans[-1] if loose else np.arange(0),
        unlabelled=frozenset(
            role for role, number in zip(parts, range(len(parts)), strict=True) if number in unlabelled
        ),
        class_names=_class_names(arrays),
    )


def _arrays(path: Path) -> dict[str, Array]:
    found: dict[str, Array] = {}
    with archive.open_zip(path, ratio_counts_from_bytes=BOMBS_COUNT_FROM_BYTES) as opened:
        for member in archive.files(opened):
            if not member.filename.endswith(".npy"):
                raise BadData(
                    f"Expected only arrays in the .npz file, found {member.filename!r}.",
                    hint=LAYOUT_HINT,
                    code="data.npz-names",
                )
            stem, mark, extra = member.filename[:-4].partition("__")
            found[f"{stem.lower()}{mark}{extra}"] = read_array(path, opened, member)
    return found


def read_array(path: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """An array of an .npz file: mapped where it is stored as it is, read where it is compressed.

    Raises:
        BadData: if the member is no plain array, or its header and its size contradict each other.
    """
    with opened.open(member) as file:
        header = read_header(file, member.filename)  # type: ignore[arg-type]
    needed = math.prod(header.shape) * header.dtype.itemsize
    if header.start + needed > member.file_size:
        raise BadData(
            f"Expected {needed:,} bytes in {member.filename!r}, found {member.file_size - header.start:,}.",
            hint="Save the file again.",
            code="data.npy-broken",
        )
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    at = archive.stored_at(path, member)
    if at is not None and needed:
        return np.memmap(path, dtype=header.dtype, mode="r", offset=at + header.start, shape=header.shape, order=order)
    data = np.frombuffer(
        archive.read(opened, member), dtype=header.dtype, count=math.prod(header.shape), offset=header.start
    )
    return data.reshape(header.shape, order=order)


def read_header(file: BinaryIO, name: str) -> Header:
    """Read the header of the .npy format, versions 1 and 2, without NumPy's loader."""
    start = file.read(8)
    length_bytes = HEADER_LENGTH_BYTES.get(start[6]) if len(start) == 8 and start[:6] == MAGIC else None
    if length_bytes is None:
        raise BadData(
            f"Expected {name!r} to be a NumPy array, found something else.", hint=LAYOUT_HINT, code="data.npy-broken"
        )
    length = int.from_bytes(file.read(length_bytes), "little")
    if length > LONGEST_HEADER:
        raise BadData(
            f"Expected a header of at most {LONGEST_HEADER:,} bytes in {name!r}, found {length:,}.",
            hint=LAYOUT_HINT,
            code="data.npy-broken",
        )
    try:
        said = ast.literal_eval(file.read(length).decode("latin-1"))
        shape, fortran, dtype = tuple(said["shape"]), bool(said["fortran_order"]), said["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise BadData(
            f"Expected a readable header in {name!r}, found a broken one.",
            hint="Save the file again.",
            code="data.npy-broken",
        ) from None
    if len(shape) > MOST_AXES or not all(isinstance(side, int) and 0 <= side < 1 << 40 for side in shape):
        raise BadData(
            f"Expected up to {MOST_AXES} axes of length 0 or more in {name!r}, found {shape!r:.80}.",
            hint="Save the file again.",
            code="data.npy-broken",
        )
    return Header(_plain_type(dtype, name), shape, fortran, 8 + length_bytes + length)


def _plain_type(described: object, name: str) -> "np.dtype[Any]":
    """The element type, if it is one of numbers or text."""
    if isinstance(described, str) and "O" in described:
        raise BadData(
            f"Expected numbers in {name!r}, found Python objects, which can run any code when they are loaded.",
            hint="Convert with array.astype('float32') (rows of unequal length must be padded) and save again.",
            code="data.object-array",
        )
    try:
        dtype = np.dtype(described) if isinstance(described, str) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype.kind not in "biufUS":
        raise BadData(
            f"Expected numbers or text in {name!r}, found the type {described!r:.80}.",
            hint="Convert with array.astype('float32') and save again.",
            code="data.npy-type",
        )
    return dtype


def _by_role(arrays: dict[str, Array]) -> tuple[dict[Role, dict[str, Array]], dict[str, Array]]:
    """Sort arrays by role: ``x_test`` becomes ``x__x`` of the test rows, ``x_test__mask`` becomes ``x__mask``."""
    by_role: dict[Role, dict[str, Array]] = {}
    loose: dict[str, Array] = {}
    for name, array in arrays.items():
        stem, _, extra = name.partition("__")
        letter, _, word = stem.partition("_")
        if letter not in ("x", "y") or (word and word not in WORDS):
            continue
        group = by_role.setdefault(WORDS[word], {}) if word else loose
        group["y" if letter == "y" else f"x__{extra or ONLY_INPUT}"] = array
    with_inputs = {
        role: group
        for role, group in by_role.items()
        if any(key != "y" and len(array) for key, array in group.items() if array.ndim)
    }
    return with_inputs, loose if any(key != "y" for key in loose) else {}


def _input_names(groups: list[dict[str, Array]]) -> list[str]:
    names = [sorted(key[3:] for key in group if key != "y") for group in groups]
    for other in names[1:]:
        if other != names[0]:
            raise BadData(
                f"Expected the same inputs for every role, found {names[0]} and {other}.",
                hint="Name them x_train__mask, x_test__mask and so on, for each role.",
                code="data.inputs-differ",
            )
    return names[0]


def _rows_in(group: dict[str, Array], names: list[str]) -> int:
    lengths = {name: len(group[f"x__{name}"]) if group[f"x__{name}"].ndim else -1 for name in names}
    for name in names:
        if group[f"x__{name}"].dtype.kind in "US":
            raise BadData(
                f"Expected numbers as input {name!r}, found text.",
                hint="Turn the text into numbers first.",
                code="data.npy-type",
            )
    if "y" in group:
        lengths["y"] = len(group["y"]) if group["y"].ndim else -1
    if len(set(lengths.values())) > 1 or min(lengths.values()) < 0:
        said = ", ".join(f"{name}: {count if count >= 0 else 'a single number'}" for name, count in lengths.items())
        raise BadData(
            f"Expected as many rows in every array of a role, found {said}.",
            hint="Save inputs and labels of the same rows.",
            code="data.rows-differ",
        )
    return lengths[names[0]]


def _labels(groups: list[dict[str, Array]], counts: list[int]) -> tuple[Array | None, set[int]]:
    """All labels one after the other, and the numbers of the groups that have none."""
    given = [_plain_labels(group["y"]) if "y" in group else None for group in groups]
    known = [labels for labels in given if labels is not None and len(labels)]
    if not known:
        return None, set(range(len(groups)))
    if len({labels.shape[1:] for labels in known}) > 1 or len({labels.dtype.kind in "US" for labels in known}) > 1:
        raise BadData(
            "Expected labels of one kind in every role, found different ones.",
            hint="Save all labels as numbers, or all as text.",
            code="data.labels-differ",
        )
    filled = [
        np.repeat(known[0][:1], count, axis=0) if labels is None else labels
        for labels, count in zip(given, counts, strict=True)
    ]
    return np.concatenate(filled), {number for number, labels in enumerate(given) if labels is None}


def _plain_labels(labels: Array) -> Array:
    """Labels as one value per row: (rows, 1) is flattened, one-hot rows become their index, bytes become text.

    Whole numbers per frame, (rows, frames), or per pixel, (rows, height, width), stay as they are.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    one_hot = (
        labels.ndim == 2
        and labels.dtype.kind in "biuf"
        and len(labels) > 0
        and bool(((labels == 0) | (labels == 1)).all())
        and bool((labels.sum(axis=1) == 1).all())
    )
    if one_hot:
        return np.asarray(labels.argmax(axis=1))
    axes = {"f": 2, "U": 1}.get(labels.dtype.kind, MOST_LABEL_AXES)
    if labels.ndim > axes:
        raise BadData(
            f"Expected one label per row, per frame or per pixel, found an array of shape {labels.shape}.",
            hint="Save class numbers as (rows,), (rows, frames) or (rows, height, width); names as one per row.",
            code="data.label-shape",
        )
    return labels


def _class_names(arrays: dict[str, Array]) -> tuple[str, ...]:
    names = next((arrays[key] for key in ("classes", "class_names") if key in arrays), None)
    if names is None or names.ndim != 1 or names.dtype.kind not in "US":
        return ()
    names = np.char.decode(names, "utf-8", "replace") if names.dtype.kind == "S" else names
    return tuple(str(name) for name in names)
