"""What a variant answers otherwise than its baseline: from its record, where the job recorded it."""

from __future__ import annotations

from typing import Final

from compressionhub.jobs.changed import worst_class
from compressionhub.ui import units
from workers.report import Changes

LINES: Final = ("Right before, wrong now", "Wrong before, right now", "Same answer", "Worst class")
Text = tuple[str, str]


def cells(found: Changes | None) -> tuple[Text, ...] | None:
    """The lines of a variant, in the order of ``LINES``, each with what stands small under it; None if not recorded."""
    if found is None:
        return None
    counts = (("–" if each is None else units.count(each), "") for each in (found.broken, found.fixed))
    same = (units.percent(found.agreement.value, 1), f"of {units.count(found.compared)}")
    worst = worst_class(found.classes, labelled=found.broken is not None)
    return (*counts, same, (worst.value, worst.text.removeprefix("worst class: ")) if worst else ("–", ""))
