"""The relay's end of the event stream: pending entries first, then new ones; acknowledged and trimmed once applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from compressionhub.fleet.models import stream_time
from workers.events import GROUP, STREAM

CONSUMER = "relay"  # the same for every relay: what a killed one left pending is the next one's own
BATCH = 200


@dataclass(frozen=True)
class Entry:
    """One entry: its id, and its text as the worker wrote it."""

    id: str
    body: str

    @property
    def ms(self) -> int:
        """Milliseconds since 1970 by Valkey's clock."""
        return int(self.id.split("-")[0])

    @property
    def at(self) -> datetime:
        return stream_time(self.ms)


class Stream:
    """Reads as the consumer group ``relay``. Every method may raise ``redis.RedisError``."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def open(self) -> None:
        """Make the group if there is none; it starts at the stream's beginning, so nothing sent before is missed."""
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def pending(self) -> list[Entry]:
        """The oldest entries that were handed to a relay and never acknowledged."""
        reply: Any = self._client.xautoclaim(STREAM, GROUP, CONSUMER, min_idle_time=0, start_id="0-0", count=BATCH)
        return _entries(reply[1])

    def new(self, *, wait_ms: int) -> list[Entry]:
        """The next entries, waiting at most ``wait_ms`` for the first."""
        reply: Any = self._client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=BATCH, block=wait_ms)
        if not reply:
            return []
        return [entry for _, entries in reply for entry in _entries(entries)]

    def done(self, entries: list[Entry]) -> None:
        """Acknowledge applied entries and cut the stream up to the last of them."""
        if not entries:
            return
        pipe = self._client.pipeline(transaction=False)
        pipe.xack(STREAM, GROUP, *(entry.id for entry in entries))
        pipe.xtrim(STREAM, minid=_after(entries[-1].id), approximate=False)
        pipe.execute()

    def length(self) -> int:
        found: Any = self._client.xlen(STREAM)
        return int(found)

    def now_ms(self) -> int:
        """Valkey's clock, that of the entries' ids."""
        seconds, micros = self._client.time()
        return int(seconds) * 1000 + int(micros) // 1000


def _entries(found: Any) -> list[Entry]:
    """Entries of a reply. One without a field ``body`` reads as empty, so that it is set aside and not skipped."""
    return [Entry(id=str(entry_id), body=str((fields or {}).get("body", ""))) for entry_id, fields in found]


def _after(entry_id: str) -> str:
    ms, _, number = entry_id.partition("-")
    return f"{ms}-{int(number) + 1}"
