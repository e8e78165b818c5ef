"""The tables behind a team's figures: which there are, how old they are, and newer ones handed in by an admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import Invalid
from compressionhub.estimates import actions, tables
from compressionhub.estimates.models import TableSet
from compressionhub.ui import units
from workers.errors import YoursToFix
from workers.estimate import GRID_YEARS, PRICE_DAYS
from workers.serving.newer_tables import newer
from workers.serving.table_rows import KINDS, MOST_BYTES, TABLES, Kind, TableRow
from workers.serving.tables import Tables

SHOWN_CHANGES = 200
DAYS_OLD = {"prices": PRICE_DAYS, "serverless": PRICE_DAYS}


@dataclass(frozen=True)
class TableView:
    """One table as the page shows it. ``undated`` and ``old`` count rows that are badged as stale."""

    kind: Kind
    title: str
    rows: int
    of: str
    undated: int
    old: int
    columns: str


@team_required
@require_GET
def index(request: HubRequest) -> HttpResponse:
    return _page(request)


@team_required
@require_POST
def preview(request: HubRequest) -> HttpResponse:
    """What a file would change; nothing is kept."""
    require(request.user, Verb.SET_PRICES, request.team)
    kind, content = _asked(request)
    try:
        _, told = newer(tables.newest(request.team), kind, content, today=timezone.localdate())
    except YoursToFix as fault:
        return _page(request, status=400, fault=fault, wanted=kind)
    shown = told.changes[:SHOWN_CHANGES]
    text = content.decode("utf-8-sig")
    return _page(request, told=told, shown=shown, text=text, wanted=kind, wanted_title=TABLES[kind].title)


@team_required
@require_POST
def upload(request: HubRequest) -> HttpResponse:
    """Keep what was previewed; it is checked again."""
    kind, content = _asked(request)
    try:
        made = actions.upload_table(team=request.team, by=request.user, kind=kind, content=content)
    except YoursToFix as fault:
        return _page(request, status=400, fault=fault, wanted=kind)
    messages.success(request, f"Tables {made.number} are kept: {made.said} Workloads made from now on use them.")
    return redirect("estimates:tables")


@team_required
@require_GET
def download(request: HubRequest, kind: str) -> HttpResponse:
    """The newest table of a kind as it was handed in, to be changed and handed in again."""
    if kind not in KINDS:
        raise Http404
    text = tables.newest(request.team).texts[kind]
    name = f'attachment; filename="{kind}.csv"'
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})


def _asked(request: HubRequest) -> tuple[Kind, bytes]:
    kind, file = request.POST.get("kind", ""), request.FILES.get("file")
    if kind not in KINDS:
        raise Invalid("That table does not exist.", hint="Choose one of the list.")
    if file is None:
        return kind, request.POST.get("text", "").encode()
    return kind, file.read(MOST_BYTES + 1)


def _page(request: HubRequest, *, status: int = 200, **more: object) -> HttpResponse:
    newest = tables.newest(request.team)
    context = {
        "tables": [_view(newest, kind) for kind in KINDS],
        "sets": TableSet.objects.visible_to(request.user).filter(team=request.team).select_related("uploaded_by"),
        "version": newest.version,
        "may_upload": may(request.user, Verb.SET_PRICES, request.team),
        **more,
    }
    return render(request, "estimates/tables.html", context, status=status)


def _view(found: Tables, kind: Kind) -> TableView:
    about = TABLES[kind]
    rows: list[TableRow] = list(getattr(found, kind).values())
    whens = [getattr(row, about.dated) for row in rows] if about.dated else []
    known = [each for each in whens if each is not None]
    return TableView(
        kind=kind, title=about.title, rows=len(rows), of=_span(known), undated=len(whens) - len(known),
        old=sum(_is_old(each, kind) for each in known), columns=", ".join(about.row.model_fields),
    )  # fmt: skip


def _span(known: list[date | int]) -> str:
    """From the oldest to the newest date."""
    if not known:
        return ""
    ends = [units.day(each) if isinstance(each, date) else str(each) for each in (min(known), max(known))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _is_old(when: date | int, kind: Kind) -> bool:
    today = timezone.localdate()
    if isinstance(when, date):
        return kind in DAYS_OLD and (today - when).days > DAYS_OLD[kind]
    return kind == "grid" and today.year - when > GRID_YEARS
