"""The right to time something: one child of this host at a time."""

import fcntl
import threading
from pathlib import Path

from workers.sandbox import Child


class Alone:
    """The right to time something: one child of this host at a time, with the other jobs' children stopped."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "timing.lock").open("w")
        self._children: set[Child] = set()
        self._changing = threading.Lock()
        self._holder: Child | None = None

    def enter(self, child: Child) -> None:
        with self._changing:
            self._children.add(child)
            if self._holder is not None:
                child.suspend()

    def leave(self, child: Child) -> None:
        self.release(child)
        with self._changing:
            self._children.discard(child)

    def take(self, child: Child) -> bool:
        """Try to become the one child that runs. Other worker processes of this host are kept out by a file lock."""
        with self._changing:
            if self._holder is not None:
                return self._holder is child
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._holder = child
            for other in self._children - {child}:
                other.suspend()
            return True

    def release(self, child: Child) -> None:
        with self._changing:
            if self._holder is not child:
                return
            self._holder = None
            fcntl.flock(self._file, fcntl.LOCK_UN)
            for other in self._children - {child}:
                other.resume()
