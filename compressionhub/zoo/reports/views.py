"""Reports for those who are signed in: make one, read it, take it along, share it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import Invalid
from compressionhub.estimates.models import Workload
from compressionhub.ui.ids import as_uuid
from compressionhub.zoo.approvals.models import Approval
from compressionhub.zoo.reports import actions
from compressionhub.zoo.reports.files import KINDS
from compressionhub.zoo.reports.forms import ReportForm, ShareForm, offered
from compressionhub.zoo.reports.models import Report, ShareLink
from compressionhub.zoo.reports.sheet import sheet_of
from compressionhub.zoo.views import safe_name

PAGE = 50


@team_required
@require_GET
def index(request: HubRequest) -> HttpResponse:
    found = Report.objects.visible_to(request.user).filter(team=request.team).order_by("-number")
    found = found.select_related("made_by").prefetch_related("approvals").defer("evidence_text")
    context = {
        "reports": Paginator(found, PAGE).get_page(request.GET.get("page")),
        "waiting": Approval.objects.visible_to(request.user).filter(team=request.team).waiting().count(),
        "may_report": may(request.user, Verb.REPORT, request.team),
    }
    return render(request, "reports/index.html", context)


@team_required
def new(request: HubRequest) -> HttpResponse:
    """Choose what stands on a report. ``entry`` (again and again) and ``workload`` choose beforehand."""
    require(request.user, Verb.REPORT, request.team)
    workloads = Workload.objects.visible_to(request.user).filter(team=request.team)
    chosen = (request.POST if request.method == "POST" else request.GET).getlist("entry")
    workload = request.GET.get("workload", "")
    form = ReportForm(
        request.POST if request.method == "POST" else None, user=request.user, team=request.team,
        chosen=[each for each in chosen if as_uuid(each)], workload=workload if as_uuid(workload) else "",
    )  # fmt: skip
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        return redirect(
            actions.make(
                team=request.team, by=request.user, entries=asked["entry"], workload=asked["workload"],
                question=asked["question"],
            )
        )  # fmt: skip
    context = {
        "form": form, "has_entries": offered(request.user).exists(), "has_workloads": workloads.exists(),
    }  # fmt: skip
    return render(request, "reports/new.html", context, status=422 if form.errors else 200)


@team_required
@require_GET
@never_cache
def report(request: HubRequest, pk: UUID) -> HttpResponse:
    return _page(request, _found(request, pk))


def _found(request: HubRequest, pk: UUID) -> Report:
    return get_object_or_404(Report.objects.visible_to(request.user).select_related("team", "made_by"), pk=pk)


def _page(request: HubRequest, found: Report, *, status: int = 200, **shown: Any) -> HttpResponse:
    may_share = may(request.user, Verb.SHARE, found.team)
    approvals = list(found.approvals.select_related("entry", "report", "asked_by", "decided_by"))
    entries = list(found.entries.all())
    is_one_of_ours = len(entries) == 1 and entries[0].team_id == found.team_id
    context = {
        "report": found,
        "sheet": sheet_of(found.evidence, found.sha256),
        "entries": entries,
        "askable": entries[0] if is_one_of_ours else None,
        "is_asked": any(one.is_open for one in approvals),
        "approvals": approvals,
        "may_ask": may(request.user, Verb.ASK_FOR_APPROVAL, found.team),
        "may_share": may_share,
        "links": found.links.select_related("made_by") if may_share else (),
        "share_form": ShareForm(),
    }
    return render(request, "reports/report.html", {**context, **shown}, status=status)


@team_required
@require_GET
@never_cache
def file(request: HubRequest, pk: UUID, kind: str) -> HttpResponse:
    return download(_found(request, pk), kind)


def download(found: Report, kind: str) -> HttpResponse:
    """A report as a file; its name holds nothing that a header or a shell could trip over."""
    if kind not in KINDS:
        raise Http404
    content_type, made = KINDS[kind]
    response = HttpResponse(made(found), content_type=content_type)
    name = f"report-{found.number}-{safe_name(found.title)[:60].strip('.-')}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@team_required
@require_POST
@never_cache
def share(request: HubRequest, pk: UUID) -> HttpResponse:
    """Answers with the page itself: the link stands on it this once and nowhere else."""
    found = _found(request, pk)
    require(request.user, Verb.SHARE, found.team)
    form = ShareForm(request.POST)
    if not form.is_valid():
        raise Invalid("Expected how long the link is to work.", hint="Choose one of the list.", code="report.days")
    link, token = actions.share(report=found, by=request.user, days=form.cleaned_data["days"])
    address = request.build_absolute_uri(reverse("shared", args=[token]))
    return _page(request, found, made_link=link, address=address)


@team_required
@require_POST
def revoke(request: HubRequest, pk: UUID) -> HttpResponse:
    link = get_object_or_404(ShareLink.objects.visible_to(request.user).select_related("report__team"), pk=pk)
    actions.revoke(link=link, by=request.user)
    messages.success(request, "The link opens nothing any more.")
    return redirect(link.report)
