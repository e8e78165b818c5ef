"""Requests for approval: the list, one of them, asking, deciding, taking back."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may
from compressionhub.errors import Invalid
from compressionhub.zoo.approvals import actions
from compressionhub.zoo.approvals.models import Approval, ApprovalQuerySet, Decision
from compressionhub.zoo.approvals.standing import someone_else_may
from compressionhub.zoo.reports.models import Report

PAGE = 50


@team_required
@require_GET
def index(request: HubRequest) -> HttpResponse:
    found = _whole().visible_to(request.user).filter(team=request.team)
    decided = found.exclude(decision=Decision.OPEN).order_by("-decided_at")
    context = {"waiting": found.waiting(), "decided": Paginator(decided, PAGE).get_page(request.GET.get("page"))}
    return render(request, "approvals/index.html", context)


def _whole() -> ApprovalQuerySet:
    people = ("asked_by", "decided_by")
    found: ApprovalQuerySet = Approval.objects.select_related("team", "entry__superseded_by", "report", *people)
    return found


@team_required
@require_GET
def approval(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(_whole().visible_to(request.user), pk=pk)
    may_decide = may(request.user, Verb.APPROVE, found.team)
    is_own = found.asked_by_id == request.user.pk
    context = {
        "approval": found,
        "evidence": found.report.evidence,
        "may_decide": found.is_open and may_decide,
        "must_be_other": may_decide and is_own and someone_else_may(found.team, request.user),
        "may_take_back": found.is_open and (is_own or may_decide),
    }
    return render(request, "approvals/approval.html", context)


@team_required
@require_POST
def ask(request: HubRequest, report: UUID) -> HttpResponse:
    found = get_object_or_404(Report.objects.visible_to(request.user).select_related("team"), pk=report)
    made = actions.ask(report=found, by=request.user, why=request.POST.get("why", ""))
    messages.success(request, "Asked. An admin of the team decides.")
    return redirect(made)


@team_required
@require_POST
def decide(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Approval.objects.visible_to(request.user).select_related("team"), pk=pk)
    wanted = request.POST.get("decision")
    if wanted not in ("approve", "reject"):
        raise Invalid("Expected a decision, found none.", hint="Press Approve or Reject.", code="approval.no-decision")
    made = actions.decide(
        approval=found, by=request.user, approve=wanted == "approve", reason=request.POST.get("reason", "")
    )  # fmt: skip
    messages.success(request, f"{made.entry} is {made.get_decision_display()}.")
    return redirect(made)


@team_required
@require_POST
def take_back(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Approval.objects.visible_to(request.user).select_related("team"), pk=pk)
    messages.success(request, "The request is taken back.")
    return redirect(actions.take_back(approval=found, by=request.user))
