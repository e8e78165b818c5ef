"""The hub's store over HTTP, for a worker on a host that does not share its folder.

Inputs of jobs the hub gave to this worker come from ``/internal/blobs/``; results go there under their hash.
"""

import contextlib
import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar
from uuid import uuid4

from workers.errors import OursToFix
from workers.store import content_key, safe_name
from workers.ticket import Blob

PIECE_BYTES = 1 << 20
SILENCE_SECONDS = 60.0
# A job's ticket may be here before the hub has heard that this worker took it; a hub may be restarting.
WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
FINAL = {400, 401, 403, 413, 422}
T = TypeVar("T")


class HubStoreFault(OursToFix):
    code = "store.hub"


class Damaged(OSError):
    """The bytes that arrived are not those the hub announced."""


class HubStore:
    """Blobs of the hub at ``address``, asked for with a worker's token.

    Args:
        address: the hub as this host reaches it, for example ``https://hub.example.org``.
        token: from ``manage.py worker_token``.
        waits: seconds before each further try.
    """

    def __init__(self, address: str, token: str, *, waits: tuple[float, ...] = WAITS_SECONDS) -> None:
        self._blobs = address.rstrip("/") + "/internal/blobs/"
        self._token = token
        self._waits = waits

    def fetch(self, blob: Blob, into: Path) -> Path:
        """Bring a blob into a folder, under its own name, and see that its bytes are those the ticket means.

        Raises:
            HubStoreFault: if the hub refuses, cannot be reached, or sends something else.
        """
        target = into / uuid4().hex[:8] / safe_name(blob.name)
        target.parent.mkdir(parents=True)
        return self._persistently(lambda: self._fetch(blob, target), f"the file {blob.name[:80]!r}")

    def _fetch(self, blob: Blob, target: Path) -> Path:
        with self._ask("GET", blob.key) as answer, target.open("wb") as out:
            digest = hashlib.sha256()
            while piece := answer.read(PIECE_BYTES):
                digest.update(piece)
                out.write(piece)
        if target.stat().st_size != blob.size_bytes or (blob.sha256 and digest.hexdigest() != blob.sha256):
            raise Damaged(f"{target.stat().st_size} of {blob.size_bytes} bytes arrived whole")
        return target

    def keep(self, path: Path, *, name: str) -> Blob:
        """Hash a file and give it to the hub.

        Raises:
            HubStoreFault: if the hub refuses it or cannot be reached.
        """
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        self._persistently(lambda: self._send(path, digest, size), f"the result {name[:80]!r}")
        return Blob(key=content_key(digest), name=name, sha256=digest, size_bytes=size)

    def _send(self, path: Path, digest: str, size: int) -> None:
        with path.open("rb") as file, self._ask("PUT", content_key(digest), body=file, size=size) as answer:
            said = json.load(answer)
        if said != {"key": content_key(digest), "size_bytes": size}:
            raise Damaged(f"the hub kept {said}")

    @contextlib.contextmanager
    def _ask(
        self, method: str, key: str, *, body: IO[bytes] | None = None, size: int = 0
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers |= {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self._blobs + key, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:
            yield answer

    def _persistently(self, work: Callable[[], T], what: str) -> T:
        """Try again where that can help: a hub that is away, a cut line, a job the hub does not count as ours yet."""
        for wait in (*self._waits, None):
            try:
                return work()
            except urllib.error.HTTPError as error:
                said, final = f"status {error.code}", error.code in FINAL
            except (OSError, http.client.HTTPException, ValueError) as error:
                said, final = str(error), False
            if final or wait is None:
                break
            time.sleep(wait)
        raise HubStoreFault(
            f"Expected the hub to hand over or take {what}, found: {said}.",
            hint="See that HUB_URL leads to the hub from this host and that HUB_WORKER_TOKEN is not revoked.",
        )
