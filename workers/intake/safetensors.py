"""The header of a safetensors file, checked before any library opens it.

Source: the format's own page, github.com/huggingface/safetensors, "Format": 8 bytes of header length, a JSON object,
and the tensors one after the other without a hole.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, BinaryIO

from workers.intake.errors import SAVE_AGAIN, NotConverted

LENGTH_BYTES = 8
LONGEST_HEADER_BYTES = 100 << 20
MOST_AXES = 8
METADATA = "__metadata__"
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor: its type, its shape, and where its bytes lie behind the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def check(file: BinaryIO, *, size_bytes: int, name: str) -> tuple[Entry, ...]:
    """Read and check the header.

    Args:
        file: at the beginning of the file.
        size_bytes: of the whole file.
        name: of the file, for messages.

    Returns:
        The tensors in the order of their bytes.

    Raises:
        NotConverted: if the header is broken or contradicts itself or the file.
    """
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size_bytes < LENGTH_BYTES or length > min(LONGEST_HEADER_BYTES, size_bytes - LENGTH_BYTES):
        raise _broken(name, f"a header shorter than the file of {size_bytes:,} bytes", f"one of {length:,}")
    said = _json(file.read(length), name)
    entries = sorted((_entry(key, value, name) for key, value in said.items() if key != METADATA), key=_place)
    end = 0
    for entry in entries:
        if entry.begin != end:
            word = "overlapping" if entry.begin < end else "a hole before"
            raise _broken(name, "tensors one after the other", f"{word} {entry.name[:80]!r}")
        end = entry.end
    if end != size_bytes - LENGTH_BYTES - length:
        raise _broken(name, f"{end:,} bytes of tensors", f"{size_bytes - LENGTH_BYTES - length:,}")
    return tuple(entries)


def _place(entry: Entry) -> tuple[int, int]:
    return entry.begin, entry.end


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        said = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise _broken(name, "a header in UTF-8", "other bytes") from None
    except (ValueError, RecursionError) as error:
        raise _broken(name, "a header in JSON with each name once", str(error)[:120]) from None
    if not isinstance(said, dict):
        raise _broken(name, "a JSON object as header", type(said).__name__)
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} twice")
    return found


def _entry(key: str, value: Any, name: str) -> Entry:
    try:
        dtype, shape, (begin, end) = value["dtype"], tuple(value["shape"]), value["data_offsets"]
        whole = all(type(number) is int and 0 <= number < 1 << 62 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        raise _broken(name, "dtype, shape and data_offsets for each tensor", f"other things for {key[:80]!r}") from None
    if not whole or len(shape) > MOST_AXES or dtype not in BITS:
        raise _broken(name, "a known type and a plain shape", f"{str(dtype)[:20]} {str(shape)[:60]} for {key[:80]!r}")
    needed = (math.prod(shape) * BITS[dtype] + 7) // 8
    if end - begin != needed:
        raise _broken(name, f"{needed:,} bytes for {key[:80]!r} of {dtype} {list(shape)}", f"{end - begin:,}")
    return Entry(key, dtype, shape, begin, end)


def _broken(name: str, expected: str, found: str) -> NotConverted:
    return NotConverted(
        f"{name}: expected {expected}, found {found}.", hint=SAVE_AGAIN, code="model.safetensors-broken"
    )
