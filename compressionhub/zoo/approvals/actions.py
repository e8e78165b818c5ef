"""Asking for approval, deciding, taking back: check, write, audit."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.library.names import display_name
from compressionhub.zoo.approvals.models import Approval, Decision
from compressionhub.zoo.approvals.standing import someone_else_may
from compressionhub.zoo.reports.models import Report

WORDS = 500


@transaction.atomic
def ask(*, report: Report, by: User, why: str) -> Approval:
    """Ask that the one entry of a report may replace its baseline.

    Raises:
        NotAllowed: if ``by`` may not ask for this team.
        Invalid: without a reason, or if the report compares several or another team's entry.
        WrongState: if the entry is not listed, or its request is open already.
    """
    require(by, Verb.ASK_FOR_APPROVAL, report.team)
    entries = list(report.entries.select_related("team"))
    if len(entries) != 1 or entries[0].team_id != report.team_id:
        raise Invalid(
            "Expected a report of one variant of this team.",
            hint="Make a report of the variant you have chosen, and ask on that one.",
            code="approval.not-one-entry",
        )
    reason = _said(why, "why it may replace its baseline")
    approval = Approval(
        team=report.team, entry=entries[0], report=report, sha256=report.sha256, why=reason, asked_by=by
    )  # fmt: skip
    _must_hold(approval)
    Team.objects.select_for_update().get(pk=report.team_id)  # two requests at once do not meet
    if open_one := Approval.objects.filter(entry=entries[0]).waiting().select_related("report").first():
        raise WrongState(
            f"A request for {entries[0]} is open already, on report #{open_one.report.number}.",
            hint="Wait for its decision, or take it back first.",
            code="approval.open-already",
        )
    approval.save()
    audit(by, "approval.ask", approval, report=report.number, sha256=report.sha256, why=reason)
    return approval


@transaction.atomic
def decide(*, approval: Approval, by: User, approve: bool, reason: str) -> Approval:
    """Approve or reject, with a reason.

    Raises:
        NotAllowed: if ``by`` may not approve for this team, or asked it themselves while somebody else may decide.
        WrongState: if it is decided already; to approve also if its evidence is outdated.
        Invalid: without a reason.
    """
    require(by, Verb.APPROVE, approval.team)
    approval = _locked(approval)
    _must_be_open(approval)
    if approval.asked_by_id == by.pk and someone_else_may(approval.team, by):
        raise NotAllowed(
            "Expected somebody else's decision; this is your own request.",
            hint="Another admin of the team has to decide it.",
            code="approval.own-request",
        )
    said = _said(reason, "the reason of the decision")
    if approve:
        _must_hold(approval)
    approval.decision = Decision.APPROVED if approve else Decision.REJECTED
    approval.decided_by, approval.decided_at, approval.reason = by, timezone.now(), said
    approval.save()
    audit(
        by, f"approval.{'approve' if approve else 'reject'}", approval, report=approval.report.number,
        sha256=approval.sha256, reason=said,
    )  # fmt: skip
    return approval


@transaction.atomic
def take_back(*, approval: Approval, by: User) -> Approval:
    """Withdraw one's own request; an admin may withdraw anybody's.

    Raises:
        NotAllowed: if it is somebody else's and ``by`` may not approve.
        WrongState: if it is decided already.
    """
    require(by, Verb.ASK_FOR_APPROVAL, approval.team)
    approval = _locked(approval)
    if approval.asked_by_id != by.pk:
        require(by, Verb.APPROVE, approval.team)
    _must_be_open(approval)
    approval.decision, approval.decided_by, approval.decided_at = Decision.TAKEN_BACK, by, timezone.now()
    approval.save()
    audit(by, "approval.take-back", approval, report=approval.report.number)
    return approval


def _locked(approval: Approval) -> Approval:
    found: Approval = (
        Approval.objects.select_for_update(of=("self",)).select_related("team", "entry", "report").get(pk=approval.pk)
    )
    return found


def _must_be_open(approval: Approval) -> None:
    if not approval.is_open:
        raise WrongState(
            f"This request is {approval.get_decision_display()} already.",
            hint="Reload the page.",
            code="approval.decided",
        )


def _must_hold(approval: Approval) -> None:
    """The evidence has to speak for what is published now."""
    if approval.outdated:
        raise WrongState(
            f"The evidence is outdated. {approval.outdated}",
            hint="Make a report of the entry that is listed now, and ask on that one.",
            code="approval.outdated",
        )


def _said(text: str, what: str) -> str:
    clean = display_name(text, most=WORDS)
    if not clean:
        raise Invalid(f"Expected {what}, found nothing.", hint="One sentence is enough.", code="approval.no-reason")
    return clean
