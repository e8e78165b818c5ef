"""What a variant answers otherwise than its baseline: from its record, where the job recorded it."""

from __future__ import annotations

from compressionhub.ui import units
from compressionhub.zoo.compare.evidence import Evidence

LINES = ("Right before, wrong now", "Wrong before, right now", "Same answer", "Worst class, points", "Compared")


def cells(one: Evidence) -> tuple[str, ...] | None:
    """The lines of a variant, in the order of ``LINES``; None where its job recorded nothing."""
    found = one.changes
    if found is None:
        return None
    counts = ("–" if each is None else units.count(each) for each in (found.broken, found.fixed))
    return (*counts, units.percent(found.agreement.value, 1), _worst(found), f"{units.count(found.compared)} samples")


def _worst(found: object) -> str:
    """The class that loses most right answers, with its size: a pointer to look, not a proof."""
    classes = getattr(found, "classes", ())
    if not classes:
        return "–"
    worst = min(classes, key=lambda each: each.after - each.before)
    return f"{units.number(100 * (worst.after - worst.before), 1, signed=True)} ({worst.name}, {units.count(worst.n)})"
