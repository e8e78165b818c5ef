"""The header of a GGUF file, checked before any library opens it.

Source: the format's page, github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workers.intake.errors import NotConverted

VERSIONS = (2, 3)
MOST_ENTRIES = 1 << 16
MOST_AXES = 4
MOST_ELEMENTS = 1 << 40
LONGEST_KEY_BYTES = 1 << 16
MOST_NESTED = 4
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
DEFAULT_ALIGNMENT = 32
# Elements in a block and bytes it takes, by the number of the type (ggml.h, GGML_TYPE_*).
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    20: (32, 18), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip
HINT = "Download the file again, or make it anew with llama.cpp's convert_hf_to_gguf.py."


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its architecture, for example ``llama``, its numbers, its tensors."""

    architecture: str
    numbers: dict[str, int | float]
    tensors: frozenset[str]


class _Reader:
    """Reads numbers and texts, never past the end of the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def take(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise _broken(f"{count:,} more bytes", f"{self.size - self.file.tell():,} to the end of the file")
        return self.file.read(count)

    def skip(self, count: int) -> None:
        if count > self.size - self.file.tell():
            raise _broken(f"{count:,} more bytes", f"{self.size - self.file.tell():,} to the end of the file")
        self.file.seek(count, 1)

    def number(self, form: str) -> int:
        return int(self.value(form))

    def value(self, form: str) -> int | float:
        found: int | float = struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]
        return found

    def text(self, most: int) -> str:
        length = self.number("Q")
        if length > most:
            raise _broken(f"a name of at most {most:,} bytes", f"one of {length:,}")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise _broken("names in UTF-8", "other bytes") from None


def check(path: Path) -> Header:
    """Walk the header and see that every tensor lies inside the file.

    Raises:
        NotConverted: if a count, a length, a type or a place is out of bounds.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _Reader(file, size)
        reader.take(4)
        version, tensors, entries = reader.number("I"), reader.number("Q"), reader.number("Q")
        if version not in VERSIONS:
            raise _broken("version 2 or 3", f"{version}")
        if max(tensors, entries) > MOST_ENTRIES:
            raise _broken(f"at most {MOST_ENTRIES:,} tensors and settings", f"{tensors:,} and {entries:,}")
        settings = _settings(reader, entries)
        places = [_tensor(reader) for _ in range(tensors)]
        alignment = settings.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise _broken("an alignment of up to a MiB", str(alignment)[:40])
        start = -(-file.tell() // alignment) * alignment
    _see_they_fit(places, size - start, alignment)
    return Header(
        architecture=str(settings.get("general.architecture", "")),
        numbers={key: value for key, value in settings.items() if isinstance(value, int | float)},
        tensors=frozenset(name for name, _, _ in places),
    )


def _settings(reader: _Reader, count: int) -> dict[str, str | int | float | None]:
    """Numbers, and the name of the architecture; other settings are walked over and have no value."""
    found: dict[str, str | int | float | None] = {}
    for _ in range(count):
        key, kind = reader.text(LONGEST_KEY_BYTES), reader.number("I")
        if key in found:
            raise _broken("each setting once", f"{key[:80]!r} twice")
        found[key] = None
        if key == "general.architecture" and kind == STRING:
            found[key] = reader.text(64)
        elif kind in SCALARS:
            found[key] = reader.value(SCALARS[kind])
        else:
            _skip(reader, kind, 0)
    return found


def _skip(reader: _Reader, kind: int, depth: int) -> None:
    if kind in SCALARS:
        reader.skip(struct.calcsize(SCALARS[kind]))
    elif kind == STRING:
        reader.skip(reader.number("Q"))
    elif kind == ARRAY and depth < MOST_NESTED:
        inner, count = reader.number("I"), reader.number("Q")
        if inner in SCALARS:
            reader.skip(struct.calcsize(SCALARS[inner]) * count)
            return
        if count > reader.size // 8:
            raise _broken("arrays that fit into the file", f"{count:,} members")
        for _ in range(count):
            _skip(reader, inner, depth + 1)
    else:
        raise _broken("known types of settings", f"type {kind}")


def _tensor(reader: _Reader) -> tuple[str, int, int]:
    """Name, offset and bytes of one tensor."""
    name, axes = reader.text(LONGEST_KEY_BYTES), reader.number("I")
    if axes > MOST_AXES:
        raise _broken(f"at most {MOST_AXES} axes", f"{axes:,} for {name[:80]!r}")
    shape = [reader.number("Q") for _ in range(axes)]
    kind, offset = reader.number("I"), reader.number("Q")
    elements = math.prod(shape)
    if kind not in BLOCKS or elements > MOST_ELEMENTS:
        raise _broken("a known number format and at most 2^40 weights", f"format {kind}, {shape} for {name[:80]!r}")
    block, block_bytes = BLOCKS[kind]
    if shape and shape[0] % block:
        raise _broken(f"rows of whole blocks of {block}", f"{shape} for {name[:80]!r}")
    return name, offset, elements // block * block_bytes


def _see_they_fit(places: list[tuple[str, int, int]], room: int, alignment: int) -> None:
    end, names = 0, set[str]()
    for name, offset, length in sorted(places, key=lambda place: place[1]):
        if name in names:
            raise _broken("each tensor once", f"{name[:80]!r} twice")
        if offset % alignment or offset < end or offset + length > room:
            raise _broken("tensors inside the file, none over another", f"{name[:80]!r} at {offset:,}")
        names.add(name)
        end = offset + length


def _broken(expected: str, found: str) -> NotConverted:
    return NotConverted(
        f"Expected a whole GGUF file with {expected}, found {found}.", hint=HINT, code="model.gguf-broken"
    )
