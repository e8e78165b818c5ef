"""What a run takes from the cache and leaves there."""

from pathlib import Path

from workers.reuse import Reuse
from workers.ticket import Order


class Shelf:
    """A cache that notes what it was asked and given."""

    def __init__(self, *known: str) -> None:
        self.known, self.kept = set(known), {}

    def get(self, key: str, into: Path) -> bool:
        return key in self.known

    def put(self, key: str, folder: Path) -> None:
        self.kept[key] = folder


ORDER = Order(kind="compress")


def test_pieces_after_the_first_missing_one_are_not_taken(tmp_path):
    reuse = Reuse(Shelf("a", "c"), tmp_path, ("a", "b", "c"))

    assert reuse.fill(ORDER).cached == (0,)


def test_only_what_the_child_finished_itself_and_was_asked_for_is_kept(tmp_path):
    shelf = Shelf("a")
    reuse = Reuse(shelf, tmp_path, ("a", "b"))
    order = reuse.fill(ORDER)

    for place in (-1, 0, 1, 2):
        reuse.keep(place, order)

    assert shelf.kept == {"b": tmp_path / "1"}
