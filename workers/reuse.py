"""Work that was done before: what a run finds in the cache, and what it leaves there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workers.ticket import Order


class Cache(Protocol):
    """Finished work by key."""

    def get(self, key: str, into: Path) -> bool: ...

    def put(self, key: str, folder: Path) -> None: ...


@dataclass(frozen=True)
class Reuse:
    """The pieces of one run, steps or trials, by their place: each has a key, and its files lie in ``folder/place``."""

    cache: Cache
    folder: Path
    keys: tuple[str, ...] = ()

    def fill(self, order: Order) -> Order:
        """Put the longest run of finished pieces into the folder, so that the child starts after it."""
        cached: list[int] = []
        for place, key in enumerate(self.keys):
            if not self.cache.get(key, self._folder(place)):
                break
            cached.append(place)
        return order.model_copy(update={"cached": tuple(cached)})

    def keep(self, place: int, order: Order) -> None:
        """Keep a piece that the child finished itself; one that nobody asked for is left."""
        if place not in order.cached and 0 <= place < len(self.keys):
            self.cache.put(self.keys[place], self._folder(place))

    def _folder(self, place: int) -> Path:
        return self.folder / str(place)
