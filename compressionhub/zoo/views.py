"""Catalogue, entry, publish, download: HTTP in, HTTP out."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import HubError
from compressionhub.jobs.changed import described
from compressionhub.jobs.models import Job
from compressionhub.library.sending import SentFile
from compressionhub.zoo import actions, charts, label, savings
from compressionhub.zoo.approvals.standing import latest
from compressionhub.zoo.catalogue import ORDERS, browse
from compressionhub.zoo.compare.page import Asked
from compressionhub.zoo.forms import PublishForm
from compressionhub.zoo.history import history
from compressionhub.zoo.measured import measured
from compressionhub.zoo.models import Entry, Standing


@team_required
def catalogue(request: HubRequest) -> HttpResponse:
    entries = list(Entry.objects.visible_to(request.user).listed().select_related("team"))
    found = browse(entries, request.GET)
    picked = Asked.of(request.GET).chosen
    shown = {each.pk for each in found.shown}
    context = {
        "found": found,
        "picked": picked,
        "picked_elsewhere": [each for each in picked if each not in shown],
        "orders": [(key, says) for key, (says, _) in ORDERS.items()],
        "may_submit": may(request.user, Verb.SUBMIT_JOB, request.team),
    }
    if found.found:
        context |= {
            "chart": charts.trade_offs(found.matching, found.front),
            "families": charts.families_of(found.matching),
        }
    return render(request, "zoo/list.html#results" if request.htmx else "zoo/list.html", context)


@team_required
def entry(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(
        Entry.objects.visible_to(request.user).select_related("published_by", "model", "baseline__model"), pk=pk
    )
    own, usual = found.team_id == request.team.pk, savings.usual(request.team, found)
    context = {
        "entry": found,
        "record": found.record,
        "arrows": label.arrows(found.record, usual),
        "whys": measured(found.record),
        "accuracy": label.accuracy_bar(found.record),
        "may_withdraw": found.is_listed and may(request.user, Verb.PUBLISH, found.team),
        "may_download": may(request.user, Verb.DOWNLOAD, request.team),
        "may_submit": may(request.user, Verb.SUBMIT_JOB, request.team),
        "own": own,
        "changed": described(changes, found.record.contract) if (changes := found.record.report.changes) else None,
        "may_report": may(request.user, Verb.REPORT, request.team),
        "approval": latest(found, request.team),
        "usual": usual,
        "history": history(request.user, found.baseline, found) if own and found.baseline else None,
    }
    return render(request, "zoo/entry.html", context)


@team_required
def publish(request: HubRequest, job: UUID) -> HttpResponse:
    found = get_object_or_404(Job.objects.visible_to(request.user).with_progress(), pk=job)
    require(request.user, Verb.PUBLISH, found.team)
    record = actions.record_of(found)
    form = PublishForm(found, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(actions.publish(job=found, by=request.user, **form.cleaned_data))
        except HubError as error:
            form.add_error("name" if error.code.startswith("entry.name") else None, f"{error.message} {error.hint}")
    return render(request, "zoo/publish.html", {"job": found, "record": record, "form": form})


@team_required
@require_POST
def withdraw(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Entry.objects.visible_to(request.user), pk=pk)
    actions.retire(
        entry=found,
        by=request.user,
        standing=Standing.WITHDRAWN,
        reason=request.POST.get("reason", "").strip() or "no reason given",
    )
    return redirect(found)


@team_required
@require_POST
def download(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Entry.objects.visible_to(request.user), pk=pk)
    name = request.POST.get("file", "bundle.zip")
    token = actions.link_to(by=request.user, entry=found, name=name)
    return redirect(reverse("zoo:file", args=[token, f"{safe_name(found.name)}-{name}"]))


@require_GET
def file(request: HttpRequest, token: str, name: str) -> SentFile:
    found, record = actions.follow(token)
    response = SentFile(record.key, filename=f"{safe_name(found.name)}-{record.name}", sha256=record.sha256)
    response["Referrer-Policy"] = "no-referrer"
    return response


def safe_name(name: str) -> str:
    """A file name of letters, digits, dots and dashes: nothing that a header or a shell could trip over."""
    return (
        "".join(char if char.isascii() and (char.isalnum() or char in ".-") else "-" for char in name).strip(".-")
        or "entry"
    )
