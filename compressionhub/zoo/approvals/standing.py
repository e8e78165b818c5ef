"""Where an entry stands between asked and decided, for pages and for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import MAY, Role, Verb, may
from compressionhub.ui import units
from compressionhub.ui.words import who
from compressionhub.zoo.approvals.models import Approval, ApprovalQuerySet, Decision
from compressionhub.zoo.models import Entry

NEVER_ASKED = "No approval had been asked for when this report was made."


def latest(entry: Entry, team: Team) -> Approval | None:
    """A team's open request for an entry, else the last one that was decided; those taken back do not count."""
    asked = Approval.objects.filter(entry=entry, team=team).exclude(decision=Decision.TAKEN_BACK)
    return asked.select_related("entry", "report", "asked_by", "decided_by").first()


def waiting_for(user: Any, team: Team | None) -> ApprovalQuerySet:
    """The open requests of a team that this person may decide; their own only where nobody else may."""
    found = Approval.objects.visible_to(user).waiting()
    if team is None or not may(user, Verb.APPROVE, team):
        return found.none()
    found = found.filter(team=team).select_related("entry", "report", "asked_by")
    return found.exclude(asked_by=user) if someone_else_may(team, user) else found


def someone_else_may(team: Team, by: User) -> bool:
    """Whether anybody but this person may decide for a team."""
    deciders = [role for role in Role if Verb.APPROVE in MAY[role]]
    return team.memberships.filter(role__in=deciders, user__is_active=True).exclude(user=by).exists()


def standing_of(entries: Sequence[Entry], team: Team) -> str:
    """What stands about a team's decision on these entries now, in sentences for a report."""
    known = [(entry, found) for entry in entries if (found := latest(entry, team)) is not None]
    if not known:
        return NEVER_ASKED
    return " ".join(f"{f'{entry}: ' if len(entries) > 1 else ''}{sentence(found)}" for entry, found in known)


def sentence(approval: Approval) -> str:
    """Who asked, who decided, when, and on which report."""
    asked = f"Asked by {who(approval.asked_by)}, {units.day(approval.asked_at)}, on report #{approval.report.number}."
    if approval.is_open:
        return f"{asked} Not decided yet."
    decided = f"{approval.get_decision_display().capitalize()} by {who(approval.decided_by)}, "
    return f"{asked} {decided}{units.day(approval.decided_at)}{f': {approval.reason}' if approval.reason else ''}."
