"""A wall clock that can be held, so that time spent waiting for others does not count."""

import threading
import time
from collections.abc import Callable


class WallClock:
    """Counts seconds from ``start`` on, except while anything holds it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counted = 0.0
        self._since: float | None = None
        self._holders: set[str] = set()
        self._started = False

    def start(self) -> None:
        with self._lock:
            self._started = True
            self._since = None if self._holders else self._now()

    def pause(self, holder: str) -> None:
        """Hold the clock; holding it twice for the same reason is holding it once."""
        with self._lock:
            if self._since is not None:
                self._counted += self._now() - self._since
                self._since = None
            self._holders.add(holder)

    def resume(self, holder: str) -> None:
        with self._lock:
            self._holders.discard(holder)
            if self._started and not self._holders and self._since is None:
                self._since = self._now()

    def seconds(self) -> float:
        """What has been counted so far."""
        with self._lock:
            running = self._now() - self._since if self._since is not None else 0.0
            return self._counted + running
