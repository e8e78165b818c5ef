"""Many open pages of one job need the same rows at the same moment: read and render them once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Keeps the last answers by key; whoever asks while one is being made waits for it."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._answers: OrderedDict[Hashable, asyncio.Future[T]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer for a key, made by the first who asks.

        Raises:
            Exception: whatever ``make`` raises, to all who wait; the next to ask tries again.
        """
        loop = asyncio.get_running_loop()
        kept = self._answers.get((loop, key))
        if kept is None:
            kept = asyncio.ensure_future(make())
            self._answers[(loop, key)] = kept
            kept.add_done_callback(lambda done: self._drop_failure((loop, key), done))
            while len(self._answers) > self._keep:
                self._answers.popitem(last=False)
        return await asyncio.shield(kept)

    def _drop_failure(self, key: Hashable, done: asyncio.Future[T]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._answers.pop(key, None)
