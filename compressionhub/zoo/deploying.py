"""What can be done with deployments: check, write, audit. The only source of "spend now" and of realised savings."""

from __future__ import annotations

import math
from datetime import date

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.estimates.models import Workload
from compressionhub.estimates.volumes import MOST_MONTHLY
from compressionhub.library.models import ModelVersion
from compressionhub.zoo import kept
from compressionhub.zoo.models import Deployment, Entry


@transaction.atomic
def record_deployment(
    *,
    team: Team,
    by: User,
    served: ModelVersion | Entry,
    workload: Workload,
    since: date,
    until: date | None = None,
    actual_monthly: float | None = None,
) -> Deployment:
    """State that a version serves a workload from a date on.

    What served the same workload until then, of the same baseline, ends on that date.

    Args:
        served: a version, untouched, or an entry's variant.
        since, until: the first day, and the day on which it stopped; none while it runs.
        actual_monthly: the traffic that came, in predictions a month, where it is known.

    Raises:
        NotAllowed: if ``by`` may not record deployments of this team.
        Invalid: if something of another team is named, or the dates or the traffic make no sense.
        WrongState: if another deployment began within that time.
    """
    require(by, Verb.RECORD_DEPLOYMENT, team)
    baseline = _baseline(team, served, workload)
    _check_dates(since, until)
    _end_earlier(baseline, workload, since=since, until=until)
    made = Deployment(
        team=team,
        baseline=baseline,
        entry=served if isinstance(served, Entry) else None,
        workload=workload,
        assumed_json=workload.assumed_json,
        since=since,
        until=until,
        recorded_by=by,
        **_traffic(actual_monthly, by),
    )  # type: ignore[misc]
    made.save()
    audit(by, "deployment.record", made, since=since, until=until, actual_monthly=actual_monthly)
    return made


@transaction.atomic
def end_deployment(*, deployment: Deployment, by: User, until: date) -> Deployment:
    """State the day on which it stopped serving. The day it began means that it never did.

    Raises:
        NotAllowed: if ``by`` may not record deployments of this team.
        WrongState: if it has ended already.
        Invalid: if the day lies before its beginning or ahead.
    """
    require(by, Verb.RECORD_DEPLOYMENT, deployment.team)
    found = Deployment.objects.select_for_update(of=("self",)).get(pk=deployment.pk)
    if not found.is_running:
        raise WrongState(
            f"This deployment ended on {found.until} already.", hint="Reload the page.", code="deployment.ended"
        )
    _check_dates(found.since, until)
    found.until = until
    found.save(update_fields=["until"])
    audit(by, "deployment.end", found, until=until)
    return found


@transaction.atomic
def enter_traffic(*, deployment: Deployment, by: User, actual_monthly: float | None) -> Deployment:
    """Enter the traffic that came, in predictions a month; none takes the workload's assumption again.

    Raises:
        NotAllowed: if ``by`` may not record deployments of this team.
        Invalid: if it is no number of predictions.
    """
    require(by, Verb.RECORD_DEPLOYMENT, deployment.team)
    found = Deployment.objects.select_for_update(of=("self",)).get(pk=deployment.pk)
    before = found.actual_monthly
    for name, value in _traffic(actual_monthly, by).items():
        setattr(found, name, value)
    found.save(update_fields=["actual_monthly", "actual_by", "actual_on"])
    kept.forget_one(found)
    audit(by, "deployment.traffic", found, actual_monthly=actual_monthly, before=before)
    return found


def _baseline(team: Team, served: ModelVersion | Entry, workload: Workload) -> ModelVersion:
    """What is served, or what it was made from."""
    baseline = served.baseline if isinstance(served, Entry) else served
    if served.team.pk != team.pk or workload.team_id != team.pk or baseline is None or baseline.team.pk != team.pk:
        raise Invalid(
            "Expected a version and a workload of this team.",
            hint="Choose those on the form.",
            code="deployment.foreign",
        )
    return baseline


def _check_dates(since: date, until: date | None) -> None:
    today = timezone.localdate()
    if since > today or (until is not None and until > today):
        raise Invalid(
            f"Expected days up to today, {today}, found {max(since, until or since)}.",
            hint="A deployment states what served; record it on its day.",
            code="deployment.ahead",
        )
    if until is not None and until < since:
        raise Invalid(
            f"Expected an end on or after {since}, found {until}.",
            hint="Ended on the day it began means that it never served.",
            code="deployment.ends-before-it-began",
        )


def _end_earlier(baseline: ModelVersion, workload: Workload, *, since: date, until: date | None) -> None:
    """End what served until ``since``; two that serve one workload at a time would be counted twice."""
    Workload.objects.select_for_update().get(pk=workload.pk)  # one at a time, also where there is no other yet
    others = Deployment.objects.select_for_update(of=("self",)).counted()
    for other in others.filter(baseline__model=baseline.model_id, workload=workload).order_by("since"):
        if (other.until is not None and other.until <= since) or (until is not None and other.since >= until):
            continue
        if other.since >= since:
            raise WrongState(
                f"{other.served} serves {workload} from {other.since} on, which lies within that time.",
                hint="Begin after it, or end that one on the day it began if it never served.",
                code="deployment.overlaps",
            )
        other.until = since
        other.save(update_fields=["until"])


def _traffic(actual_monthly: float | None, by: User) -> dict[str, object]:
    if actual_monthly is None:
        return {"actual_monthly": None, "actual_by": "", "actual_on": None}
    if not (math.isfinite(actual_monthly) and 0 <= actual_monthly <= MOST_MONTHLY):
        raise Invalid(
            f"Expected predictions a month, found {actual_monthly}.",
            hint="Type a number such as 1,000,000.",
            code="deployment.traffic",
        )
    return {"actual_monthly": actual_monthly, "actual_by": str(by)[:150], "actual_on": timezone.localdate()}
