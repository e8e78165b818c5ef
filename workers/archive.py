"""Zip archives from strangers: everything is checked on the directory before a member is read."""

import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from workers.errors import YoursToFix

MOST_MEMBERS = 200_000
MOST_BYTES = 64 << 30
HIGHEST_RATIO = 100
RATIO_COUNTS_FROM_BYTES = 1 << 20
NAME_BYTES = 1024
END_RECORD = b"PK\x05\x06"
END_RECORD_BYTES = 22
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
LOCAL_HEADER_BYTES = 30


class BadArchive(YoursToFix):
    code = "archive.invalid"


def open_zip(path: Path, *, ratio_counts_from_bytes: int = RATIO_COUNTS_FROM_BYTES) -> zipfile.ZipFile:
    """Open a zip whose directory has passed every check.

    Args:
        path: the archive.
        ratio_counts_from_bytes: members below this size may be packed as tightly as they like.

    Raises:
        BadArchive: broken or encrypted archives, bombs, links, names that leave the folder or
            collide; with a code of its own for each.
    """
    _few_members(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise BadArchive(
            f"Expected a zip archive, found one that cannot be read: {error}.",
            hint="Pack it again and check that the upload was complete.",
        ) from None
    try:
        check_members(archive, packed_bytes=path.stat().st_size, ratio_counts_from_bytes=ratio_counts_from_bytes)
    except YoursToFix:
        archive.close()
        raise
    return archive


def _few_members(path: Path) -> None:
    """Read the member count from the end record: ``ZipFile`` would build an object per member first."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - END_RECORD_BYTES - 65_535))
        tail = file.read()
    at = tail.rfind(END_RECORD)
    if at < 0 or len(tail) - at < END_RECORD_BYTES:
        raise BadArchive(
            "Expected a zip archive, found one without its directory.",
            hint="The upload was cut short, or this is no zip: pack it again.",
        )
    count, directory_bytes = struct.unpack("<H I", tail[at + 10 : at + 12] + tail[at + 12 : at + 16])
    if count == 0xFFFF or directory_bytes == 0xFFFFFFFF:
        directory_bytes = _zip64_directory_bytes(tail, at)
    if directory_bytes > MOST_MEMBERS * 128:
        raise _too_many(f"a directory of {directory_bytes:,} bytes")


def _zip64_directory_bytes(tail: bytes, end_record_at: int) -> int:
    at = tail.rfind(b"PK\x06\x06", 0, end_record_at)
    if at < 0 or len(tail) < at + 48:
        return 0
    return int(struct.unpack("<Q", tail[at + 40 : at + 48])[0])


def _too_many(found: str) -> BadArchive:
    return BadArchive(
        f"Expected at most {MOST_MEMBERS:,} files in the archive, found {found}.",
        hint="Pack fewer files, or use .npz or Parquet.",
        code="archive.too-many-files",
    )


def check_members(archive: zipfile.ZipFile, *, packed_bytes: int, ratio_counts_from_bytes: int) -> None:
    """Refuse what a careful person would not unpack."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise _too_many(f"{len(members):,}")
    seen: dict[str, str] = {}
    for member in members:
        _check_name(member.orig_filename)
        _check_kind(member)
        _check_ratio(member.filename, member.file_size, member.compress_size, ratio_counts_from_bytes)
        folded = unicodedata.normalize("NFC", member.filename).casefold()
        if folded in seen:
            raise BadArchive(
                f"Expected names that differ on every system, found {seen[folded]!r} and {member.filename!r}.",
                hint="Rename one of them.",
                code="archive.names-collide",
            )
        seen[folded] = member.filename
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise BadArchive(
            f"Expected at most {MOST_BYTES:,} bytes unpacked, found {total:,}.",
            hint="Split the archive.",
            code="archive.too-large",
        )
    _check_ratio("the archive", total, packed_bytes, ratio_counts_from_bytes)


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\x00" in name or drive:
        raise BadArchive(
            f"Expected names inside the archive, found {name!r}.",
            hint="Pack the folder again with relative names and forward slashes.",
            code="archive.name-leaves-folder",
        )
    if (
        not name
        or len(name.encode("utf-8", "replace")) > NAME_BYTES
        or any(unicodedata.category(letter) == "Cc" for letter in name)
    ):
        raise BadArchive(
            f"Expected a printable name of at most {NAME_BYTES} bytes, found {name[:80]!r}.",
            hint="Rename the file.",
            code="archive.name-invalid",
        )


def _check_kind(member: zipfile.ZipInfo) -> None:
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(
            f"Expected plain files, found that {member.filename!r} is a link or a device.",
            hint="Pack the file itself instead of a link to it.",
            code="archive.link",
        )
    if member.flag_bits & ENCRYPTED:
        raise BadArchive(
            f"Expected an open archive, found that {member.filename!r} is encrypted.",
            hint="Pack it without a password.",
            code="archive.encrypted",
        )
    if member.compress_type not in METHODS:
        raise BadArchive(
            f"Expected files stored or deflated, found method {member.compress_type} for {member.filename!r}.",
            hint="Pack it as an ordinary zip.",
            code="archive.method",
        )


def _check_ratio(name: str, size: int, packed: int, counts_from_bytes: int) -> None:
    if size > counts_from_bytes and size > HIGHEST_RATIO * max(packed, 1):
        raise BadArchive(
            f"Expected a compression ratio of at most {HIGHEST_RATIO},"
            f" found {size / max(packed, 1):,.0f} for {name!r}.",
            hint="Store it without compression (zip -0, numpy.savez) and upload again.",
            code="archive.bomb",
        )


def files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are files, without the litter macOS and Windows add."""
    litter = {".DS_Store", "Thumbs.db", "desktop.ini"}
    return [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith("__MACOSX/")
        and PurePosixPath(member.filename).name not in litter
    ]


def read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member; ``zipfile`` stops at the size the directory announced and checks the CRC.

    Raises:
        BadArchive: if the packed bytes do not give what the directory promised.
    """
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise BadArchive(
            f"Expected {member.filename!r} to unpack, found it damaged: {error}.",
            hint="Pack the archive again.",
            code="archive.damaged",
        ) from None


def stored_at(path: Path, member: zipfile.ZipInfo) -> int | None:
    """Where the bytes of an uncompressed member begin in the file, or None if it is compressed.

    Raises:
        BadArchive: if the local header contradicts the directory.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(LOCAL_HEADER_BYTES)
    if len(header) < LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
        raise BadArchive(
            f"Expected {member.filename!r} where the directory says, found something else.",
            hint="Pack the archive again.",
            code="archive.damaged",
        )
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    start = member.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    if start + member.file_size > path.stat().st_size:
        raise BadArchive(
            f"Expected {member.file_size:,} bytes of {member.filename!r}, found the file too short.",
            hint="Upload it again.",
            code="archive.damaged",
        )
    return int(start)
