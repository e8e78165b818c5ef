"""Sends stored files piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import FileResponse

from compressionhub.library.store import store

PIECE_BYTES = 1 << 18


class SentFile(FileResponse):
    """A file from the store as a download.

    Django's own answer reads the whole file into memory before the first byte leaves an ASGI server;
    this one holds a quarter of a megabyte.
    """

    block_size = PIECE_BYTES

    def __init__(self, key: str, *, filename: str, sha256: str, **more: Any) -> None:
        self._file = store().path(key).open("rb")
        super().__init__(self._file, as_attachment=True, filename=filename, **more)
        self["X-Content-SHA256"] = sha256
        self["Cache-Control"] = "private, no-store"  # whoever may fetch it now may not be able to tomorrow

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = sync_to_async(self._file.read)
        while piece := await read(self.block_size):
            yield piece
