"""A dataset as its file holds it: rows, inputs, labels and declared roles, before any contract applies."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from workers.contract import InputSpec
from workers.errors import YoursToFix
from workers.facts import Role

DIGEST_BYTES = 16
CHUNK_ROWS = 4096
Array = np.ndarray[Any, Any]


class BadData(YoursToFix):
    code = "data.invalid"


class Column(Protocol):
    """One input for all rows of the dataset. ``shape`` is that of a sample, -1 where samples differ."""

    dtype: str
    shape: tuple[int, ...]

    def take(self, rows: Array, spec: InputSpec | None = None) -> Array:
        """The raw samples of some rows, (rows, *shape); pictures are brought to the size ``spec`` asks for."""

    def digest(self, rows: Array) -> list[bytes]:
        """A fingerprint per row: equal samples have equal ones."""


class Stack:
    """Arrays of one type and sample shape, one after the other, without copying them together."""

    def __init__(self, parts: list[Array], name: str) -> None:
        first = parts[0]
        for part in parts[1:]:
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                raise BadData(
                    f"Expected all arrays of {name!r} alike, found {first.dtype}{first.shape[1:]}"
                    f" and {part.dtype}{part.shape[1:]} per row.",
                    hint="Give every part the same type and the same shape per row.",
                    code="data.parts-differ",
                )
        self.parts = parts
        self.starts = np.cumsum([0, *(len(part) for part in parts)])
        self.dtype = str(first.dtype)
        self.shape = tuple(int(side) for side in first.shape[1:])

    def take(self, rows: Array, spec: InputSpec | None = None) -> Array:
        if len(self.parts) == 1:
            return np.asarray(self.parts[0][rows])
        taken = np.empty((len(rows), *self.shape), dtype=self.parts[0].dtype)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for number, part in enumerate(self.parts):
            here = which == number
            taken[here] = part[rows[here] - self.starts[number]]
        return taken

    def digest(self, rows: Array) -> list[bytes]:
        digests: list[bytes] = []
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = np.ascontiguousarray(self.take(rows[start : start + CHUNK_ROWS]))
            digests += [digest_of(sample.tobytes()) for sample in chunk]
        return digests


def digest_of(data: bytes) -> bytes:
    """16 bytes that two different samples share with a chance below one in 10^18."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class Raw:
    """What a file holds.

    Attributes:
        labels: one per row, as numbers or text; None where the file has none. Rows of the roles in
            ``unlabelled`` have a label that means nothing.
        declared: the rows of every role the file names.
        loose: rows without a role, to be split by seed.
        class_names: names by index where the file lists them.
        columns: the feature columns of a table, in the order of its one input.
    """

    format: str
    size_bytes: int
    inputs: dict[str, Column]
    rows: int
    labels: Array | None
    declared: dict[Role, Array]
    loose: Array
    unlabelled: frozenset[Role] = frozenset()
    target: str = ""
    class_names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def check_finite(raw: Raw) -> None:
    """Refuse values that are not numbers.

    Raises:
        BadData: naming the first such row, and its column in a table.
    """
    for name, column in raw.inputs.items():
        if not column.dtype.startswith("float"):
            continue
        for start in range(0, raw.rows, CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, raw.rows))
            bad = ~np.isfinite(column.take(rows))
            if bad.any():
                raise not_finite(raw, name, rows, bad)


def not_finite(raw: Raw, name: str, rows: Array, bad: Array) -> BadData:
    """The error for values that are missing, not a number, or infinite. ``bad`` is shaped like the samples."""
    at = np.argwhere(bad)[0]
    where = f"in column {raw.columns[at[1]]!r}" if raw.columns and len(at) == 2 else f"in {name!r}"
    return BadData(
        f"Expected finite numbers, found a missing or infinite value {where}, row {int(rows[at[0]])}.",
        hint="Fill such values in or drop their rows, and upload again.",
        code="data.not-finite",
    )
