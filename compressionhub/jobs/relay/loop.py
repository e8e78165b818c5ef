"""The relay's loop: lease, pending entries, new entries, rows, watchdog; over and over, whatever fails."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

import redis
from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone
from pydantic import ValidationError

from compressionhub.fleet.models import RelayState
from compressionhub.jobs.models import Job
from compressionhub.jobs.relay import aside
from compressionhub.jobs.relay.apply import Refused, apply_beat, apply_event
from compressionhub.jobs.relay.batch import Batch
from compressionhub.jobs.relay.lease import Lease
from compressionhub.jobs.relay.stream import BATCH, Entry, Stream
from compressionhub.jobs.relay.voice import Voice
from compressionhub.jobs.relay.watchdog import Watchdog
from compressionhub.library.actions import sweep_uploads
from workers.events import MESSAGE, Beat, Envelope, without_nul

TRIES = 3
READ_MS = 500
TICK_SECONDS = 1.0
SWEEP_SECONDS = 3600.0
REPORT_SECONDS = 2.0
MOST_DELAY_MS = 2**31 - 1
AWAY = (redis.RedisError, OperationalError, InterfaceError, OSError)
Parsed = tuple[Entry, Envelope | Beat]
log = logging.getLogger(__name__)


class Relay:
    """Applies the stream until ``stop`` is called. Safe to kill at any moment: rows come before acknowledgements."""

    def __init__(self, client: redis.Redis) -> None:
        self._lease, self._stream, self._watchdog, self._voice = Lease(client), Stream(client), Watchdog(), Voice()
        self._stopping = threading.Event()
        self._active = self._opened = False
        self._ticked = self._reported = 0.0
        self._swept = float("-inf")
        self._delays: deque[tuple[float, int]] = deque(maxlen=10_000)
        self._applied = self._refused = 0
        self._last_entry = ""

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped; waits out an absent Valkey or database."""
        while not self._stopping.is_set():
            try:
                self.round()
            except AWAY as error:
                log.warning("waiting a second: %s", error)
                self._watchdog.distrust()
                self._active = self._opened = False
                connections.close_all()
                self._stopping.wait(1.0)
        self._close()

    def round(self) -> None:
        """Hold the lease, apply what there is, look after jobs; at most half a second of waiting."""
        if not self._hold_lease():
            self._stopping.wait(1.0)
            return
        if not self._opened:
            self._stream.open()
            self._opened = True
        entries = self._stream.pending() or self._stream.new(wait_ms=READ_MS)
        self._voice.tell(self.apply(entries))
        self._stream.done(entries)
        if len(entries) < BATCH:
            self._tick()
        self._report()

    def apply(self, entries: list[Entry]) -> list[Job]:
        """Apply entries, all in one transaction; one by one where that fails.

        Returns:
            The jobs that changed, for their pages to be told.

        Raises:
            OperationalError, InterfaceError: if the database is away; nothing of the failing part was written.
        """
        if not entries:
            return []
        parsed = self._parse(entries)
        try:
            changed = self._together(parsed)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one entry is at fault: found by applying them one by one
            changed = [job for item in parsed for job in self._alone(item)]
        self._note(entries)
        return list({job.pk: job for job in changed}.values())

    def _parse(self, entries: list[Entry]) -> list[Parsed]:
        parsed: list[Parsed] = []
        for entry in entries:
            try:
                parsed.append((entry, MESSAGE.validate_json(without_nul(entry.body))))
            except ValidationError as error:
                aside.set_aside(entry, None, f"Expected an event or a beat; {faults(error)}")
        return parsed

    def _together(self, parsed: list[Parsed]) -> list[Job]:
        refused: list[tuple[Entry, Envelope, str]] = []
        with transaction.atomic():
            batch = Batch(message for _, message in parsed if isinstance(message, Envelope))
            for entry, message in parsed:
                if isinstance(message, Beat):
                    apply_beat(message, entry.at)
                    continue
                try:
                    apply_event(batch, message, entry.at)
                except Refused as error:  # raised before anything was changed
                    refused.append((entry, message, str(error)))
            changed = batch.save()
        for entry, message, reason in refused:
            aside.set_aside(entry, message, reason, refused=True)
        self._refused += len(refused)
        return changed

    def _alone(self, item: Parsed) -> list[Job]:
        """Apply one entry by itself; after three failures it is set aside with its error."""
        entry, message = item
        for attempt in range(1, TRIES + 1):
            try:
                return self._together([item])
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                log.exception("entry %s failed %d times", entry.id, attempt)
                if attempt == TRIES:
                    return aside.set_aside(entry, message, f"{type(error).__name__}: {error}")
        raise AssertionError("unreachable")

    def _hold_lease(self) -> bool:
        held = self._lease.take()
        if held and not self._active:
            log.info("relay %s is active", self._lease.holder)
            self._watchdog.distrust()
        self._active = held
        return held

    def _tick(self) -> None:
        if time.monotonic() - self._ticked < TICK_SECONDS:
            return
        self._ticked = time.monotonic()
        try:
            self._voice.tell(self._watchdog.tick(self._stream.now_ms()))
            self._sweep()
        except AWAY:
            raise
        except Exception:  # events are applied all the same; the next tick tries again
            log.exception("the watchdog failed")

    def _sweep(self) -> None:
        """Throw expired uploads away, once an hour."""
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            sweep_uploads()

    def _note(self, entries: list[Entry]) -> None:
        now_ms, now = self._stream.now_ms(), time.monotonic()
        self._delays.extend((now, min(max(0, now_ms - entry.ms), MOST_DELAY_MS)) for entry in entries)
        self._applied += len(entries)
        self._last_entry = entries[-1].id

    def _report(self) -> None:
        """Write how the relay is doing, every two seconds."""
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        while self._delays and now - self._delays[0][0] > 60:
            self._delays.popleft()
        state = RelayState.current()
        state.pk, state.holder, state.seen_at = 1, self._lease.holder, timezone.now()
        state.applied, state.refused = state.applied + self._applied, state.refused + self._refused
        state.last_entry, state.waiting = self._last_entry or state.last_entry, self._stream.length()
        recent = sorted(delay for _, delay in self._delays)
        state.delay_ms, state.worst_delay_ms = (recent[len(recent) // 2], recent[-1]) if recent else (0, 0)
        state.save()
        self._applied = self._refused = 0

    def _close(self) -> None:
        try:
            self._lease.release()
        except redis.RedisError as error:
            log.info("the lease runs out by itself: %s", error)
        self._voice.close()


def faults(error: ValidationError) -> str:
    """The first faults, without the values that were found: everybody on the hub reads them on the Fleet page."""
    found = error.errors(include_url=False, include_input=False)[:3]
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)
