"""Keeps an ended job at 2,000 event rows: progress is thinned evenly, state changes and measurements never."""

from __future__ import annotations

from collections.abc import Sequence

from compressionhub.jobs.models import Job, JobEvent

MOST_ROWS = 2000
THINNED_FIRST = ("progress", "resources")
THINNED_NEXT = ("log",)


def thin(job: Job) -> int:
    """Delete rows until at most ``MOST_ROWS`` are left, or only rows that are never dropped.

    Returns:
        How many rows were deleted.
    """
    return _thin_kinds(job, THINNED_FIRST) + _thin_kinds(job, THINNED_NEXT)


def _thin_kinds(job: Job, kinds: tuple[str, ...]) -> int:
    too_many = JobEvent.objects.filter(job=job).count() - MOST_ROWS
    if too_many <= 0:
        return 0
    ids = list(_droppable(job, kinds))
    kept = set(spread(ids, max(0, len(ids) - too_many)))
    dropped = [pk for pk in ids if pk not in kept]
    for start in range(0, len(dropped), 500):  # SQLite limits the number of variables in a statement
        JobEvent.objects.filter(pk__in=dropped[start : start + 500]).delete()
    return len(dropped)


def _droppable(job: Job, kinds: tuple[str, ...]) -> Sequence[int]:
    """Rows of these kinds in order; warnings and errors in the log stay."""
    rows = JobEvent.objects.filter(job=job, type__in=kinds).exclude(type="log", payload__level__in=["warning", "error"])
    return list(rows.order_by("position").values_list("pk", flat=True))


def spread(items: Sequence[int], count: int) -> list[int]:
    """Choose ``count`` items, evenly spaced, the last one among them.

    >>> spread([1, 2, 3, 4, 5, 6], 3)
    [2, 4, 6]
    """
    count = min(count, len(items))
    return [items[(index + 1) * len(items) // count - 1] for index in range(count)]
