"""How long listed variants took, read from their records alone: a portfolio asks it of tens of thousands at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from compressionhub.zoo.models import Entry
from compressionhub.zoo.record import Record
from compressionhub.zoo.timed import Timed, timed

MOST_KEPT: Final = 20_000
AT_ONCE: Final = 500

_kept: OrderedDict[UUID, Timed] = OrderedDict()


def times(keys: Sequence[UUID]) -> dict[UUID, Timed]:
    """By entry; what is gone is left out. A record never changes, so each is read once."""
    missing = [key for key in keys if key not in _kept]
    found = {key: kept for key in keys if (kept := _kept.get(key)) is not None}
    for start in range(0, len(missing), AT_ONCE):
        rows = Entry.objects.filter(pk__in=missing[start : start + AT_ONCE]).order_by()
        for pk, record in rows.values_list("pk", "record_json"):
            found[pk] = _kept[pk] = timed(Record.model_validate(record))
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return found
