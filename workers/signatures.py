"""What a file is, by its first bytes. Names and endings are never asked."""

import pickletools
import re
from pathlib import Path

HEAD_BYTES = 4096
TAR_MAGIC_AT = 257
PICKLE_CODES_LOOKED_AT = 64
NAMES_A_CALLABLE = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")

STARTS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"GGUF", "gguf"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "program"),
    (b"MZ\x90\x00", "program"),
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"%PDF-", "pdf"),
    (b"version https://git-lfs", "git-lfs"),
)


def head_of(path: Path) -> bytes:
    """The first 4 KiB of a file."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def kind_of(head: bytes) -> str:
    """Name what the first bytes of a file announce.

    Returns:
        A key of ``STARTS``, or ``pickle``, ``safetensors``, ``tflite``, ``tar``, ``empty``, or ``unknown``.
    """
    if not head:
        return "empty"
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    if _looks_like_safetensors(head):
        return "safetensors"
    return "pickle" if _is_marked_pickle(head) else "unknown"


def _is_marked_pickle(head: bytes) -> bool:
    """Protocols 2 to 5 begin with a mark and their number."""
    return head[:1] == b"\x80" and len(head) > 1 and 2 <= head[1] <= 5


def looks_like_pickle(head: bytes) -> bool:
    """Whether Python's unpickler would start to work on these bytes.

    Protocols 0 and 1 have no mark: the bytes are read as pickle instructions, and count as a
    pickle when they end one or name something to call. Plain text may pass for one: ask this only about
    files that should be binary.
    """
    if _is_marked_pickle(head):
        return True
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(head)):
            calls = code.name in ("GLOBAL", "INST") and NAMES_A_CALLABLE.fullmatch(str(argument))
            if calls or (code.name == "STOP" and count > 0):
                return True
            if count >= PICKLE_CODES_LOOKED_AT:
                return False
    except Exception:  # genops raises many kinds of error on bytes that are no pickle
        return False
    return False


def _looks_like_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then a JSON object."""
    return len(head) > 9 and head[8:9] == b"{" and head[6:8] == b"\x00\x00"
