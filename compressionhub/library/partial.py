"""One unfinished upload on disk: append to it, ask how long it is, keep others out meanwhile.

The length of the file is the offset of the upload. Bytes are only ever appended, under a lock, so
whatever cuts a request short leaves a correct beginning and the next request goes on from there.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol
from uuid import UUID

from compressionhub.errors import HubError, Invalid, WrongState
from compressionhub.library.store import arriving

PIECE_BYTES = 2 << 20  # two of them are in memory per sender: one being written, one arriving
ORPHAN_SECONDS = 24 * 3600


class Locked(HubError):
    """Another request writes to the same upload."""

    code = "upload.locked"
    status = 423


class DiskFull(HubError):
    code = "upload.disk-full"
    status = 507


class ChecksumMismatch(HubError):
    """The tus checksum extension gives this its own status."""

    code = "upload.checksum-mismatch"
    status = 460


class Body(Protocol):
    """What a request's body can do."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Checksum:
    """What a chunk must hash to."""

    algorithm: str
    digest: bytes


def path_of(upload: UUID) -> Path:
    """Where the bytes lie. The name is the upload's id alone: nothing a person typed becomes a path."""
    return arriving() / upload.hex


def length(upload: UUID) -> int:
    """How many bytes have arrived."""
    try:
        return path_of(upload).stat().st_size
    except FileNotFoundError:
        return 0


def discard(upload: UUID) -> None:
    """Remove what has arrived."""
    path_of(upload).unlink(missing_ok=True)


def sweep(known: set[str]) -> None:
    """Remove files of uploads that no row knows, a day after their last byte."""
    for path in arriving().iterdir():
        if path.name not in known and time.time() - path.stat().st_mtime > ORPHAN_SECONDS:
            path.unlink(missing_ok=True)


@contextmanager
def alone(upload: UUID) -> Iterator[FileIO]:
    """The file, open for appending, while no other request may write to it.

    Raises:
        Locked: if one does so now.
    """
    with FileIO(path_of(upload), "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise Locked(
                "Another request is writing to this upload.", hint="Wait for it, then ask where to go on."
            ) from None
        yield file


def append(file: FileIO, body: Body, *, offset: int, most: int, checksum: Checksum | None = None) -> int:
    """Write a request's body at the end of a file.

    Args:
        file: from ``alone``.
        body: what to read from.
        offset: where the sender believes the file ends.
        most: the length the upload announced.
        checksum: if given, a body that does not match leaves no trace.

    Returns:
        The new length.

    Raises:
        WrongState: if the file ends elsewhere.
        Invalid: if the body goes past the announced length.
        ChecksumMismatch: if the body is not what was sent.
        DiskFull: if the disk cannot hold it; what fitted is kept.
    """
    found = file.seek(0, os.SEEK_END)
    if offset != found:
        raise WrongState(
            f"Expected a chunk at byte {found}, found one at byte {offset}.",
            hint="Ask where to go on.",
            code="upload.wrong-offset",
        )
    seen = hashlib.new(checksum.algorithm) if checksum else None
    try:
        for piece in iter(lambda: body.read(PIECE_BYTES), b""):
            if file.tell() + len(piece) > most:
                file.truncate(offset)
                raise Invalid(
                    f"Expected at most {most} bytes, found more.",
                    hint="Start a new upload.",
                    code="upload.too-long",
                    status=413,
                )
            if seen:
                seen.update(piece)
            _write_all(file, piece)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            "The disk of this hub is full.",
            hint="Ask the person who runs it for room, then resume: what arrived is kept.",
        ) from None
    if seen and checksum and seen.digest() != checksum.digest:
        file.truncate(offset)
        raise ChecksumMismatch("A chunk was damaged on its way.", hint="Send it again.")
    return file.tell()


def _write_all(file: FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) or 0 :]
