"""The Fleet page, and the devices: which workers are alive, and what is known of hardware that is not here."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may, require
from compressionhub.errors import HubError, Invalid, as_problem
from compressionhub.fleet import about_devices, actions
from compressionhub.fleet.models import DeviceTime
from compressionhub.fleet.overview import overview
from workers.device import DeviceProfile
from workers.emulation.latency_file import MOST_BYTES
from workers.errors import YoursToFix


@team_required
def index(request: HubRequest) -> HttpResponse:
    return render(request, "fleet/index.html", {"fleet": overview()})


@team_required
def devices(request: HubRequest) -> HttpResponse:
    return render(request, "fleet/devices.html", {"kinds": about_devices.rows_by_kind(request.team)})


@team_required
def device(request: HubRequest, key: str) -> HttpResponse:
    return _page(request, _profile(key))


@team_required
@require_POST
def upload_time(request: HubRequest, key: str) -> HttpResponse:
    profile = _profile(key)
    require(request.user, Verb.UPLOAD, request.team)
    try:
        made = _keep(request, profile)
    except (Invalid, YoursToFix) as error:
        return _page(request, profile, problem=error)
    messages.success(request, f"{made.name} anchors predictions for {profile.title} from now on.")
    return redirect("fleet:device", key=profile.key)


def _keep(request: HubRequest, profile: DeviceProfile) -> DeviceTime:
    sent = request.FILES.get("file")
    if sent is None:
        raise Invalid("Expected a latency file, found none.", hint="Choose the JSON file that run.py --bench wrote.")
    content = sent.read(MOST_BYTES + 1)
    return actions.upload_time(
        team=request.team, by=request.user, device=profile, name=sent.name or "", content=content
    )


@team_required
@require_POST
def remove_time(request: HubRequest, pk: UUID) -> HttpResponse:
    time = get_object_or_404(DeviceTime.objects.visible_to(request.user), pk=pk)
    actions.remove_time(time=time, by=request.user)
    messages.success(request, f"{time.name} anchors nothing any more.")
    return redirect("fleet:device", key=time.device)


def _profile(key: str) -> DeviceProfile:
    try:
        return about_devices.elsewhere()[key]
    except KeyError:
        raise Http404 from None


def _page(request: HubRequest, profile: DeviceProfile, problem: HubError | YoursToFix | None = None) -> HttpResponse:
    fit = profile.fit
    shown = {
        "profile": profile,
        "figures": about_devices.figures(profile),
        "fit": fit,
        "median_error": about_devices.median_error(fit) if fit else None,
        "times": about_devices.times(request.team, profile),
        "models": about_devices.models_there(request.team, profile),
        "may_upload": may(request.user, Verb.UPLOAD, request.team),
        "problem": as_problem(problem) if problem else None,
    }
    return render(request, "fleet/device.html", shown, status=422 if problem else 200)
