"""Deployments recorded, ended and given their traffic: HTTP in, HTTP out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import HubError, Invalid
from compressionhub.library.models import ModelVersion
from compressionhub.zoo import deploying
from compressionhub.zoo.forms import DeploymentForm, as_monthly
from compressionhub.zoo.history import has_workload
from compressionhub.zoo.models import Deployment, Entry


@team_required
def record(request: HubRequest) -> HttpResponse:
    """The form: what serves which workload. The address names an entry or a version to begin with."""
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
    entry = _found(Entry.objects.filter(team__in=_teams(request)).select_related("baseline__model"), request, "entry")
    if entry is not None and entry.baseline is not None:
        return entry.baseline, entry
    version = _found(ModelVersion.objects.visible_to(request.user).ready().select_related("model"), request, "version")
    if version is None:
        raise Http404
    return version, None


def _teams(request: HubRequest) -> object:
    return request.user.memberships.values("team")


def _found(among: object, request: HubRequest, name: str) -> object:
    try:
        return among.filter(pk=UUID(request.GET.get(name, ""))).first()
    except ValueError:
        return None


@team_required
@require_GET
def deployment(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _deployment(request, pk)
    context = {
        "deployment": found,
        "may_record": may(request.user, Verb.RECORD_DEPLOYMENT, found.team),
        "today": timezone.localdate(),
    }
    return render(request, "zoo/deployment.html", context)


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
    try:
        monthly = as_monthly(request.POST.get("actual_monthly", "")[:30])
    except ValidationError as fault:
        raise Invalid(str(fault.message), hint="Leave it empty to take the workload's assumption.") from None
    deploying.enter_traffic(deployment=found, by=request.user, actual_monthly=monthly)
    messages.success(request, "Traffic saved.")
    return redirect(found)


def _deployment(request: HubRequest, pk: UUID) -> Deployment:
    among = Deployment.objects.visible_to(request.user)
    return get_object_or_404(among.select_related("team", "entry", "baseline__model", "workload", "recorded_by"), pk=pk)
