"""The pages of jobs: the list, one job, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, may
from compressionhub.jobs import actions, live
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State

PER_PAGE = 25
WITH_A_RECIPE = (Kind.COMPRESS, Kind.SENSITIVITY)
FILTERS = {
    "": "All",
    "active": "Running and waiting",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
}


@team_required
@require_GET
def index(request: HubRequest) -> HttpResponse:
    """The team's compress jobs, newest first; verifications on request."""
    jobs = Job.objects.visible_to(request.user).filter(team=request.team).with_progress()
    chosen = request.GET.get("state", "")
    files = request.GET.get("files") == "1"
    shown = _filtered(jobs if files else jobs.filter(kind__in=WITH_A_RECIPE), chosen)
    page = Paginator(shown, PER_PAGE).get_page(request.GET.get("page"))
    values = {
        "page": page,
        "chosen": chosen,
        "files": files,
        "filters": FILTERS,
        "is_empty": not jobs.exists(),
        "running": jobs.active().count(),
        "may": _may(request),
    }
    return render(request, "jobs/index.html", values)


def _filtered(jobs: Any, chosen: str) -> Any:
    if chosen == "active":
        return jobs.active()
    return jobs.filter(state=chosen) if chosen in State.values else jobs


@team_required
@require_GET
def detail(request: HubRequest, pk: UUID) -> HttpResponse:
    """One job; htmx gets the part that changes, so that a page without a socket can ask again."""
    _visible(request, pk)
    job = live.load(pk)
    values = {**live.context(job), "may": _may(request, job), "gate_result": job.gate_result, "position": job.position}
    return render(request, "jobs/detail.html#page" if request.htmx else "jobs/detail.html", values)


@team_required
@require_GET
def report(request: HubRequest, pk: UUID) -> HttpResponse:
    """``report.json`` as the engine wrote it."""
    job = _visible(request, pk)
    if not job.report:
        raise Http404
    answer = JsonResponse(job.report, json_dumps_params={"indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="job-{job.number}-report.json"'
    return answer


@team_required
@require_GET
def log(request: HubRequest, pk: UUID) -> HttpResponse:
    """All lines of the log, oldest first, as plain text."""
    job = _visible(request, pk)
    lines = [f"{event.at:%Y-%m-%d %H:%M:%S} {event.payload.get('text', '')}" for event in job.events.filter(type="log")]
    answer = HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="job-{job.number}-log.txt"'
    return answer


@team_required
@require_POST
def cancel(request: HubRequest, pk: UUID) -> HttpResponse:
    return _act(request, pk, actions.cancel, "Asked to stop.")


@team_required
@require_POST
def retry(request: HubRequest, pk: UUID) -> HttpResponse:
    return _act(request, pk, actions.retry, "Queued again.")


@team_required
@require_POST
def again(request: HubRequest, pk: UUID) -> HttpResponse:
    return _act(request, pk, actions.run_again, "Submitted again as a new job.")


def _act(request: HubRequest, pk: UUID, action: Callable[..., Job], said: str) -> HttpResponse:
    job = action(job=_visible(request, pk), by=request.user)
    messages.success(request, said)
    return redirect(job)


def _visible(request: HubRequest, pk: UUID) -> Job:
    return get_object_or_404(Job.objects.visible_to(request.user).select_related("team"), pk=pk)


def _may(request: HubRequest, job: Job | None = None) -> dict[str, bool]:
    """What the person may do with jobs of this team."""
    team = job.team if job else request.team
    verbs = {"submit": Verb.SUBMIT_JOB, "cancel": Verb.CANCEL_JOB, "publish": Verb.PUBLISH}
    return {name: may(request.user, verb, team) for name, verb in verbs.items()}
