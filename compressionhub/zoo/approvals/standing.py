"""Where an entry stands between asked and decided, for pages and for reports."""

from __future__ import annotations

from collections.abc import Sequence

from compressionhub.accounts.models import Team
from compressionhub.ui import units
from compressionhub.zoo.approvals.models import Approval, Decision
from compressionhub.zoo.models import Entry

NEVER_ASKED = "No approval had been asked for when this report was made."


def latest(entry: Entry, team: Team) -> Approval | None:
    """A team's open request for an entry, else the last one that was decided; those taken back do not count."""
    asked = Approval.objects.filter(entry=entry, team=team).exclude(decision=Decision.TAKEN_BACK)
    return asked.select_related("entry", "report", "asked_by", "decided_by").first()


def standing_of(entries: Sequence[Entry], team: Team) -> str:
    """What stands about a team's decision on these entries now, in sentences for a report."""
    known = [(entry, found) for entry in entries if (found := latest(entry, team)) is not None]
    if not known:
        return NEVER_ASKED
    return " ".join(f"{f'{entry}: ' if len(entries) > 1 else ''}{sentence(found)}" for entry, found in known)


def sentence(approval: Approval) -> str:
    """Who asked, who decided, when, and on which report."""
    asked = f"Asked by {_who(approval.asked_by)}, {units.day(approval.asked_at)}, on report #{approval.report.number}."
    if approval.is_open:
        return f"{asked} Not decided yet."
    decided = f"{approval.get_decision_display().capitalize()} by {_who(approval.decided_by)}, "
    return f"{asked} {decided}{units.day(approval.decided_at)}{f': {approval.reason}' if approval.reason else ''}."


def _who(person: object) -> str:
    return str(person) if person else "somebody who has left"
