"""What a worker says to the hub, in order, kept until it is said.

A thread of its own sends what waits, so that a job goes on while the hub's server is away. Nothing is
lost or put in another order; after a failure in the middle something may be said twice, which the hub
recognises by run and number. The beat is made when it is sent: an old one would be a lie.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import uuid4

from workers.events import BEAT_SECONDS, Beat, Envelope, Event, Message, Progress

log = logging.getLogger(__name__)

AT_ONCE = 200
MOST_WAITING = 50_000
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
PROGRESS_SECONDS = 0.25

Send = Callable[[Sequence[Message]], None]


class Outbox:
    """Sends messages one after the other, and a beat every ten seconds.

    Args:
        send: delivers some messages in order or raises; it is called from one thread only.
        beat: makes the beat of this moment.
    """

    def __init__(self, send: Send, beat: Callable[[], Beat]) -> None:
        self._send = send
        self._beat = beat
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._beat_due = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, message: Message) -> None:
        """Add a message; waits only if there are far too many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MOST_WAITING or self._closed)
            self._waiting.append(message)
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Send what waits and a last beat; says whether that was possible in this time."""
        with self._changed:
            self._closed = True
            self._beat_due = 0.0
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while True:
            messages, beat, last = self._next()
            try:
                self._send([*messages, self._beat()] if beat else messages)
            except Exception as error:
                log.warning("The hub's server does not take events (%s); they are kept.", error)
                time.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
                continue
            pause = FIRST_PAUSE
            self._forget(len(messages), beat)
            if last:
                return

    def _next(self) -> tuple[list[Message], bool, bool]:
        """Wait for something to send: messages, whether a beat is due, and whether this is the end."""
        with self._changed:
            self._changed.wait_for(self._is_something_due, timeout=max(0.0, self._beat_due - time.monotonic()))
            messages = [message for message, _ in zip(self._waiting, range(AT_ONCE), strict=False)]
            whole = len(messages) == len(self._waiting)
            return messages, whole and time.monotonic() >= self._beat_due, whole and self._closed

    def _is_something_due(self) -> bool:
        return bool(self._waiting) or time.monotonic() >= self._beat_due

    def _forget(self, sent: int, beat: bool) -> None:
        with self._changed:
            for _ in range(sent):
                self._waiting.popleft()
            if beat:
                self._beat_due = time.monotonic() + BEAT_SECONDS
            self._changed.notify_all()


class RunVoice:
    """Stamps the events of one run and passes them on, progress at most four times a second.

    Progress that was held back goes out before any other event, so that a bar never stops short of its end.
    """

    def __init__(self, put: Callable[[Envelope], None], *, node: str, job: str, attempt: int) -> None:
        self.run = str(uuid4())
        self.job, self.attempt = job, attempt
        self._put = put
        self._node = node
        self._seq = 0
        self._held: Progress | None = None
        self._progress_at = 0.0
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Progress) and self._may_wait(event):
                self._held = event
                return
            if self._held is not None and not (isinstance(event, Progress) and event.step == self._held.step):
                self._stamp(self._held)
            self._held = None
            if isinstance(event, Progress):
                self._progress_at = time.monotonic()
            self._stamp(event)

    def _may_wait(self, event: Progress) -> bool:
        same_step = self._held is None or self._held.step == event.step
        return same_step and time.monotonic() - self._progress_at < PROGRESS_SECONDS

    def _stamp(self, event: Event) -> None:
        self._seq += 1
        self._put(
            Envelope(node=self._node, job=self.job, attempt=self.attempt, run=self.run, seq=self._seq, event=event)
        )
