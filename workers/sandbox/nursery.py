"""Keeps a child ready, so that a job need not wait until libraries are loaded."""

import threading
from collections.abc import Callable
from types import TracebackType

from workers.sandbox.child import PERFORM, Child, Preload


class Nursery:
    """Starts children ahead of need.

    Args:
        preload: the libraries a child loads.
        spare: whether to keep one ready; without, each is started when it is taken.
        perform: ``module:function`` that does the work.
    """

    def __init__(self, *, preload: Preload = "onnxruntime", spare: bool = True, perform: str = PERFORM) -> None:
        self._preload = preload
        self._perform = perform
        self._keeps_one = spare
        self._spare: Child | None = None
        self._lock = threading.Lock()
        self._closed = False
        if spare:
            self._spare = self._new()

    def _new(self) -> Child:
        return Child.spawn(preload=self._preload, perform=self._perform)

    def take(self) -> Child:
        """A child nobody else has, warm if there was time; the next spare is started at once."""
        with self._lock:
            child, self._spare = self._spare, None
            if child is not None and not child.lives:
                child.close()
                child = None
            child = child or self._new()
            if self._keeps_one and not self._closed:
                self._spare = self._new()
            return child

    def fresh(self, enter: Callable[[int], None]) -> Child:
        """A child that ``enter`` is told of before it has loaded anything, by its process id."""
        child = self._new()
        try:
            enter(child.pid)
        except BaseException:
            child.close()
            raise
        return child

    def close(self) -> None:
        """End the spare; a taken child is its taker's."""
        with self._lock:
            self._closed = True
            if self._spare is not None:
                self._spare.close()
                self._spare = None

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
