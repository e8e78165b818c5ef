"""What can be done with reports and their links: check, write, audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.estimates.models import Workload
from compressionhub.library.names import display_name
from compressionhub.zoo.approvals.standing import standing_of
from compressionhub.zoo.models import Entry
from compressionhub.zoo.reports import evidence, links
from compressionhub.zoo.reports.freezing import freeze
from compressionhub.zoo.reports.models import Report, ShareLink

MOST_VARIANTS = 8
MOST_DAYS = 90
TITLE_LETTERS = 200


@transaction.atomic
def make(*, team: Team, by: User, entries: Sequence[Entry], workload: Workload, question: str = "") -> Report:
    """Freeze what is known of some entries under a workload.

    Raises:
        NotAllowed: if ``by`` may not make reports for this team.
        Invalid: if there are no entries or too many, or the workload is another team's.
    """
    require(by, Verb.REPORT, team)
    if not 1 <= len(entries) <= MOST_VARIANTS:
        raise Invalid(
            f"Expected 1 to {MOST_VARIANTS} variants, found {len(entries)}.",
            hint="Choose those the reader has to decide between: a report is one page.",
            code="report.variants",
        )
    if workload.team_id != team.pk:
        raise Invalid("Expected a workload of this team, found another's.", hint="Choose one of the list.")
    number = _next_number(team)
    frozen = freeze(
        entries=entries, workload=workload, question=display_name(question, most=TITLE_LETTERS), by=str(by),
        number=number, approval=standing_of(entries, team),
    )  # fmt: skip
    text = evidence.written(frozen)
    report = Report(
        team=team, number=number, title=display_name(frozen.title, most=TITLE_LETTERS), made_by=by,
        made_at=frozen.made_at, evidence_text=text, sha256=evidence.digest(text),
    )  # fmt: skip
    report.save()
    report.entries.set(entries)
    audit(by, "report.make", report, sha256=report.sha256, workload=workload.name)
    return report


def _next_number(team: Team) -> int:
    """One more than the team's last report. The team's row is locked, so two reports do not meet."""
    Team.objects.select_for_update().get(pk=team.pk)
    return int(Report.objects.filter(team=team).aggregate(last=Max("number"))["last"] or 0) + 1


@transaction.atomic
def share(*, report: Report, by: User, days: int) -> tuple[ShareLink, str]:
    """Make a link that shows this report to whoever has it.

    Returns:
        The link and its token, which is known only now.

    Raises:
        NotAllowed: if ``by`` may not share for this team.
        WrongState: if the team has switched links off.
        Invalid: if it is to live longer than 90 days, or not at all.
    """
    require(by, Verb.SHARE, report.team)
    if not report.team.shares_reports:
        raise WrongState(
            "This team has switched share links off.",
            hint="An admin can switch them on, on the team page.",
            code="report.sharing-off",
        )
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(
            f"Expected 1 to {MOST_DAYS} days, found {days}.", hint="Choose one of the list.", code="report.days"
        )
    token = links.new_token()
    link = ShareLink.objects.create(
        report=report, digest=links.digest(token), made_by=by, expires_at=timezone.now() + timedelta(days=days)
    )
    audit(by, "report.share", report, link=link.pk, expires=link.expires_at)
    return link, token


@transaction.atomic
def revoke(*, link: ShareLink, by: User) -> None:
    """Let a link open nothing from now on. Revoking twice changes nothing.

    Raises:
        NotAllowed: if ``by`` may not share for this team.
    """
    require(by, Verb.SHARE, link.team)
    link = ShareLink.objects.select_for_update(of=("self",)).select_related("report__team").get(pk=link.pk)
    if link.revoked_at is None:
        link.revoked_at = timezone.now()
        link.save(update_fields=["revoked_at"])
        audit(by, "report.unshare", link.report, link=link.pk, openings=link.openings)
