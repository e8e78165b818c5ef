"""Deployments recorded, ended and given their traffic: HTTP in, HTTP out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import HubError, Invalid
from compressionhub.estimates.templatetags.amounts import why_body
from compressionhub.estimates.volumes import monthly
from compressionhub.library.models import ModelVersion, teams_of
from compressionhub.ui.ids import as_uuid
from compressionhub.zoo import deploying, kept
from compressionhub.zoo.figure_rows import TITLES, figure_rows, one_figure
from compressionhub.zoo.forms import DeploymentForm
from compressionhub.zoo.history import has_workload
from compressionhub.zoo.models import Deployment, Entry


@team_required
def record(request: HubRequest) -> HttpResponse:
    """The form: what serves which workload. The address names an entry or a version to begin with."""
    if not {"entry", "version"} & request.GET.keys():
        messages.info(request, "Choose the model that serves; a deployment is recorded on its page.")
        return redirect("library:models")
    version, entry = _named(request)
    require(request.user, Verb.RECORD_DEPLOYMENT, version.team)
    form = DeploymentForm(version.team, request.POST or None, version=version, entry=entry)
    if request.method == "POST" and form.is_valid():
        try:
            made = deploying.record_deployment(team=version.team, by=request.user, **form.cleaned_data)
            messages.success(request, f"Recorded: {made}.")
            return redirect(made)
        except HubError as error:
            form.add_error(None, f"{error.message} {error.hint}")
    context = {"form": form, "version": version, "entry": entry, "has_workload": has_workload(version.team)}
    return render(request, "zoo/deployment_new.html", context, status=422 if form.errors else 200)


def _named(request: HubRequest) -> tuple[ModelVersion, Entry | None]:
    """The version and the entry of the address.

    Raises:
        Http404: if they are not there for this person.
    """
    if (key := as_uuid(request.GET.get("entry", ""))) is not None:
        mine = Entry.objects.visible_to(request.user).filter(team__in=teams_of(request.user))
        entry = get_object_or_404(mine.select_related("baseline__model"), pk=key, baseline__isnull=False)
        assert entry.baseline is not None
        return entry.baseline, entry
    if (key := as_uuid(request.GET.get("version", ""))) is None:
        raise Http404
    ready = ModelVersion.objects.visible_to(request.user).ready().select_related("model")
    return get_object_or_404(ready, pk=key), None


@team_required
@require_GET
def deployment(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _deployment(request, pk)
    figures = kept.of(found)
    context = {
        "deployment": found,
        "figures": figures,
        "rows": figure_rows(found, figures),
        "may_record": may(request.user, Verb.RECORD_DEPLOYMENT, found.team),
        "today": timezone.localdate(),
    }
    return render(request, "zoo/deployment.html", context)


@team_required
@require_GET
def why(request: HubRequest, pk: UUID, name: str) -> HttpResponse:
    """What one figure of a deployment rests on, for the popover of a table's cell."""
    found = _deployment(request, pk)
    amount = one_figure(found, kept.of(found), name)
    if amount is None:
        raise Http404
    return HttpResponse(why_body(amount, title=TITLES.get(name, "Figure")))


@team_required
@require_POST
def end(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _deployment(request, pk)
    try:
        until = parse_date(request.POST.get("until", ""))
    except ValueError:
        until = None
    if until is None:
        raise Invalid("Expected the day on which it stopped.", hint="Choose a day up to today.")
    deploying.end_deployment(deployment=found, by=request.user, until=until)
    messages.success(request, f"{found.served} ended.")
    return redirect(found)


@team_required
@require_POST
def traffic(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _deployment(request, pk)
    typed = monthly(request.POST.get("actual_monthly", "")[:30])
    deploying.enter_traffic(deployment=found, by=request.user, actual_monthly=typed)
    messages.success(request, "Traffic saved.")
    return redirect(found)


def _deployment(request: HubRequest, pk: UUID) -> Deployment:
    among = Deployment.objects.visible_to(request.user)
    return get_object_or_404(among.select_related("team", "entry", "baseline__model", "workload", "recorded_by"), pk=pk)
