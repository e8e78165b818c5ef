"""The savings page: an entry under a workload, recomputed whenever an assumption changes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions, signed
from compressionhub.estimates.choices import presets
from compressionhub.estimates.forms import WorkloadForm
from compressionhub.estimates.models import Workload
from compressionhub.estimates.views import said
from compressionhub.ui.ids import as_uuid
from compressionhub.zoo import elsewhere, savings_page
from compressionhub.zoo import savings as figures
from compressionhub.zoo.models import Entry
from workers.errors import YoursToFix

MOST_OFFERED = 500


@team_required
@require_GET
def savings(request: HubRequest) -> HttpResponse:
    """The team's usual workload, or how to begin."""
    workload = Workload.objects.visible_to(request.user).filter(team=request.team).first()
    if workload is None:
        may_edit = may(request.user, Verb.EDIT_WORKLOAD, request.team)
        return render(request, "zoo/savings_start.html", {"presets": presets(), "may_edit": may_edit})
    return _page(request, workload)


@team_required
@require_GET
def savings_of(request: HubRequest, pk: UUID) -> HttpResponse:
    return _page(request, get_object_or_404(Workload.objects.visible_to(request.user), pk=pk))


def _page(request: HubRequest, workload: Workload) -> HttpResponse:
    kept = workload.assumed
    drafted = "volume" in request.GET
    form = WorkloadForm(request.GET if drafted else None, assumed=kept, author=str(request.user))
    assumed, problems = kept, []
    if drafted and form.is_valid():
        assumed = signed(form.cleaned_data["assumed"], kept, by=str(request.user))
    elif drafted:
        problems = said(form)
    entries = Entry.objects.visible_to(request.user).listed().select_related("team", "job")
    context = {
        "workload": workload,
        "workloads": Workload.objects.visible_to(request.user).filter(team=workload.team_id),
        "form": form,
        "presets": presets(),
        "problems": problems,
        "changed": assumed.differing(kept),
        "assumptions": kept.count(),
        "assumed": assumed,
        "compare_query": _without_entry(request),
        "entries": entries.values("pk", "name")[:MOST_OFFERED],
        "may_edit": may(request.user, Verb.EDIT_WORKLOAD, workload.team),
        "may_report": may(request.user, Verb.REPORT, workload.team),
        "tables_used": tables.of(kept).version,
        "tables_newest": tables.newest(workload.team).version,
        **({} if problems else _figures(request, entries, assumed)),
    }
    return render(request, "zoo/savings.html#results" if request.htmx else "zoo/savings.html", context)


def _without_entry(request: HubRequest) -> str:
    """What the address changes of the workload, to be taken along."""
    query = request.GET.copy()
    query.pop("entry", None)
    return query.urlencode()


def _figures(request: HubRequest, entries: Any, assumed: Assumptions) -> dict[str, Any]:
    """The entry asked for, or the best, with its figures and drawings; ``fault`` where the machine is in no table."""
    try:
        entry = _asked(request, entries) or figures.best(entries, assumed)
        if entry is None:
            return {}
        return _drawn(entry, assumed)
    except YoursToFix as fault:
        return {"fault": fault}


def _drawn(entry: Entry, assumed: Assumptions) -> dict[str, Any]:
    found = figures.savings(entry, assumed)
    if assumed.device is not None:
        return {"entry": entry, "found": found, "battery": elsewhere.on_battery(entry, assumed)}
    if not found.is_known:
        return {"entry": entry, "found": found}
    return {
        "entry": entry,
        "found": found,
        "ladder": savings_page.drawn(found),
        "bars": savings_page.carbon_bars(found),
        "sizing": figures.right_size(entry, assumed),
        "replaced": elsewhere.replaced(entry, assumed, figures.candidates(entry, assumed)) if assumed.gpu else None,
    }


def _asked(request: HubRequest, entries: Any) -> Entry | None:
    wanted = as_uuid(request.GET.get("entry", ""))
    found: Entry | None = entries.filter(pk=wanted).first() if wanted else None
    return found
