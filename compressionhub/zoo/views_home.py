"""The portfolio, which is home: HTTP in, HTTP out."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may
from compressionhub.jobs.models import Job
from compressionhub.zoo.approvals.standing import waiting_for
from compressionhub.zoo.history import has_workload
from compressionhub.zoo.overview import overview, publishable, running
from compressionhub.zoo.portfolio import ORDERS, portfolio

MOST_ASKED = 3  # the rest are on their own page


@team_required
def home(request: HubRequest) -> HttpResponse:
    """The portfolio: what is paid, emitted and saved, what could be, what runs, and what was measured."""
    found = portfolio(request.team, request.user, today=timezone.localdate())
    order = request.GET.get("order", "could")
    number = min(max(1, _whole(request.GET.get("page", ""))), found.pages)
    active = running(request.team, request.user)
    context = {
        **_now(request, active),
        "portfolio": found,
        "rows": found.page(order, number),
        "order": order if order in ORDERS else "name",
        "page": number,
        "overview": overview(request.team, request.user, active),
        "may_submit": may(request.user, Verb.SUBMIT_JOB, request.team),
        "has_workload": has_workload(request.team),
        "may_record": may(request.user, Verb.RECORD_DEPLOYMENT, request.team),
    }
    return render(request, "zoo/home.html", context)


@team_required
@require_GET
def now(request: HubRequest) -> HttpResponse:
    """What changes by the second on home: what runs, and what waits for somebody's decision."""
    return render(request, "zoo/_now.html", _now(request, running(request.team, request.user)))


def _now(request: HubRequest, active: tuple[Job, ...]) -> dict[str, object]:
    return {
        "active": active,
        "to_decide": waiting_for(request.user, request.team)[:MOST_ASKED],
        "ready_to_publish": publishable(request.team, request.user),
        "may_publish": may(request.user, Verb.PUBLISH, request.team),
    }


def _whole(typed: str) -> int:
    return int(typed) if typed.isdecimal() and len(typed) < 7 else 1
