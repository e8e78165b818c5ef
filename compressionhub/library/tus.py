"""The words of tus 1.0: what headers say, read and checked. See https://tus.io/protocols/resumable-upload."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from django.http import HttpRequest
from django.utils.http import http_date

from compressionhub.errors import HubError
from compressionhub.library.partial import Checksum

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
ALGORITHMS = {"sha1": "sha1", "sha256": "sha256"}
CHUNK_TYPE = "application/offset+octet-stream"
# 2**53 is where numbers of the browser end; no disk is near it.
MOST_BYTES = 1 << 53


class BadRequest(HubError):
    """A header is missing or cannot be read."""

    status = 400
    code = "upload.bad-request"


class WrongVersion(HubError):
    status = 412
    code = "upload.wrong-version"


class WrongType(HubError):
    status = 415
    code = "upload.wrong-type"


@dataclass(frozen=True)
class Metadata:
    """What a client says about a file. All of it is text from a stranger."""

    filename: str = ""
    kind: str = ""
    name: str = ""
    model: str = ""
    target: str = ""


def require_version(request: HttpRequest) -> None:
    """Refuse clients that speak another tus."""
    found = request.headers.get("Tus-Resumable", "")
    if found != VERSION:
        raise WrongVersion(f"Expected tus {VERSION}, found {found or 'none'!r}.", hint="Set the header Tus-Resumable.")


def require_chunk_type(request: HttpRequest) -> None:
    if request.content_type != CHUNK_TYPE:
        raise WrongType(f"Expected {CHUNK_TYPE}, found {request.content_type!r}.", hint="Set the header Content-Type.")


def number(request: HttpRequest, header: str) -> int:
    """A whole number of bytes from a header.

    Raises:
        BadRequest: if it is missing, negative, no number or absurdly large.
    """
    found = request.headers.get(header, "")
    # isdecimal alone lets other scripts' digits through, and int() would read them
    if not (found.isascii() and found.isdecimal() and len(found) < 20 and int(found) <= MOST_BYTES):
        raise BadRequest(
            f"{header}: expected a number of bytes, found {found[:40]!r}.", hint=f"Set the header {header}."
        )
    return int(found)


def metadata(request: HttpRequest) -> Metadata:
    """Read ``Upload-Metadata``: pairs of a key and a value in base64, with commas between. Unknown keys are ignored.

    Raises:
        BadRequest: if a value is not base64 of UTF-8.
    """
    found: dict[str, str] = {}
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        key, _, value = pair.strip().partition(" ")
        if key in Metadata.__dataclass_fields__:
            found[key] = _decoded(key, value)
    return Metadata(**found)


def _decoded(key: str, value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadRequest(
            f"Upload-Metadata {key}: expected UTF-8 in base64, found {value[:40]!r}.", hint="Encode it."
        ) from None


def checksum(request: HttpRequest) -> Checksum | None:
    """What the chunk must hash to, where the client says it.

    Raises:
        BadRequest: if the algorithm is not offered or the hash cannot be read.
    """
    found = request.headers.get("Upload-Checksum")
    if found is None:
        return None
    algorithm, _, digest = found.partition(" ")
    if algorithm not in ALGORITHMS:
        _refuse_checksum(found)
    try:
        return Checksum(ALGORITHMS[algorithm], base64.b64decode(digest, validate=True))
    except (binascii.Error, ValueError):
        _refuse_checksum(found)


def _refuse_checksum(found: str) -> NoReturn:
    offered = " or ".join(ALGORITHMS)
    raise BadRequest(
        f"Upload-Checksum: expected {offered} and a hash in base64, found {found[:40]!r}.",
        hint="Correct it or leave it out.",
    )


def expires(moment: datetime) -> str:
    """A moment as the header ``Upload-Expires`` writes it."""
    return http_date(moment.timestamp())
