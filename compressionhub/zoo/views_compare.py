"""Comparing variants: the page, and the same figures again when an assumption changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.estimates.assumptions import Assumptions, signed
from compressionhub.estimates.forms import WorkloadForm
from compressionhub.estimates.models import Workload
from compressionhub.estimates.templatetags.amounts import why_body
from compressionhub.estimates.views import said
from compressionhub.ui.ids import as_uuid
from compressionhub.zoo.approvals.models import Approval
from compressionhub.zoo.compare.evidence import evidence
from compressionhub.zoo.compare.page import MOST, Asked, Comparison, Links
from compressionhub.zoo.compare.why import why as what_stands_behind
from compressionhub.zoo.models import Entry, EntryQuerySet


@team_required
@require_GET
def compare(request: HubRequest) -> HttpResponse:
    require(request.user, Verb.COMPARE, request.team)
    asked = Asked.of(request.GET)
    draft = _draft(request)
    listed = _listed(request, asked)
    keys = _newest(listed)
    hidden = len(asked.chosen) - len(keys) if asked.chosen else max(0, listed.count() - MOST)
    comparison = Comparison(evidence(keys), draft.assumed, asked, _links(request, draft))
    context = {
        "found": comparison,
        "asked": asked,
        "draft": draft,
        "workloads": Workload.objects.visible_to(request.user).filter(team=request.team),
        "hidden": hidden,
        "most": MOST,
        "picked": "&".join(f"v={one.pk}" for one in comparison.found) if asked.chosen else "",
        "report": _report(request, draft),
        "approval_word": "Approve or reject" if may(request.user, Verb.APPROVE, request.team) else "See the request",
        "may_edit": may(request.user, Verb.EDIT_WORKLOAD, request.team),
    }
    return render(request, "zoo/compare.html", context)


@team_required
@require_GET
def figures(request: HubRequest) -> JsonResponse:
    """The figures of the same selection under other assumptions."""
    require(request.user, Verb.COMPARE, request.team)
    asked, draft = Asked.of(request.GET), _draft(request)
    comparison = Comparison(evidence(_newest(_listed(request, asked))), draft.assumed, asked, _links(request, draft))
    found = comparison.as_json()
    return JsonResponse({**found, "problem": " ".join(draft.problems) or found["problem"], "savings": draft.savings})


@team_required
@require_GET
def why(request: HubRequest, pk: UUID, side: str, figure: str) -> HttpResponse:
    """What one figure rests on under the assumptions of the address, for the popover of a cell."""
    require(request.user, Verb.COMPARE, request.team)
    listed = Entry.objects.visible_to(request.user).listed().select_related("job")
    entry = get_object_or_404(listed, pk=pk)
    found = what_stands_behind(entry, _draft(request).assumed, figure, is_baseline=side == "baseline")
    if not found or side not in ("variant", "baseline"):
        raise Http404
    told = ((why_body(amount, title=title),) for title, amount in found)
    return HttpResponse(format_html_join("", '<section class="told">{}</section>', told))


def _listed(request: HubRequest, asked: Asked) -> EntryQuerySet:
    """The listed entries asked for, newest first."""
    listed = Entry.objects.visible_to(request.user).listed()
    if asked.chosen:
        listed = listed.filter(pk__in=asked.chosen)
    elif asked.model is not None:
        listed = listed.filter(model=asked.model)
    return listed


def _newest(listed: EntryQuerySet) -> list[UUID]:
    return list(listed.values_list("pk", flat=True)[:MOST])


def _links(request: HubRequest, draft: Draft) -> Links:
    waiting = Approval.objects.visible_to(request.user).filter(team=request.team).waiting().values_list("entry", "pk")
    return Links(draft.why, {entry: reverse("approvals:approval", args=[pk]) for entry, pk in waiting})


def _report(request: HubRequest, draft: Draft) -> str:
    """Where a variant goes into a report, from which approval is asked for; up to its id."""
    if draft.workload is None or not may(request.user, Verb.REPORT, request.team):
        return ""
    return f"{reverse('reports:new')}?workload={draft.workload.pk}&entry="


@dataclass(frozen=True)
class Draft:
    """The workload of a comparison with what the address changes of it; nothing where the team has none."""

    workload: Workload | None
    form: WorkloadForm | None
    assumed: Assumptions | None
    problems: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    query: str = ""

    @property
    def savings(self) -> str:
        """The page where every assumption can be changed, with those that were changed here."""
        return f"{reverse('zoo:savings-of', args=[self.workload.pk])}?{self.query}" if self.workload else ""

    @property
    def why(self) -> str:
        """The page where one variant's figures come with their sources, up to the variant."""
        return f"{self.savings}{'&' if self.query else ''}entry=" if self.workload else ""


def _draft(request: HubRequest) -> Draft:
    workloads = Workload.objects.visible_to(request.user).filter(team=request.team)
    named = as_uuid(request.GET.get("workload", ""))
    workload = (workloads.filter(pk=named).first() if named else None) or workloads.first()
    if workload is None:
        return Draft(None, None, None)
    kept, author = workload.assumed, str(request.user)
    plain = WorkloadForm(assumed=kept, author=author)
    asked = {name: request.GET[name] for name in plain.fields if name in request.GET}
    if "quick" in request.GET:  # sent without a script: a box that is not ticked is not sent at all
        asked.setdefault("same_machine", "")
    if not asked:
        return Draft(workload, plain, kept)
    fields = asked if "volume" in asked and "name" in asked else {**_written(plain), **asked}
    form = WorkloadForm(fields, assumed=kept, author=author)
    if not form.is_valid():
        return Draft(workload, form, kept, tuple(said(form)))
    assumed = signed(form.cleaned_data["assumed"], kept, by=author)
    return Draft(workload, form, assumed, changed=assumed.differing(kept), query=urlencode(fields))


def _written(form: WorkloadForm) -> dict[str, Any]:
    """What a browser would send of a form nobody touched."""
    return {name: value for name, value in form.initial.items() if value not in (None, "") and value is not False}
