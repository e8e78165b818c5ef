"""Asking which layers a technique harms: one small page, from a model or from a job's step."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import HubError
from compressionhub.fleet.devices import offered_by_kind
from compressionhub.jobs import actions
from compressionhub.jobs.compose.inputs import datasets, one_of, usual_data, versions
from compressionhub.jobs.harmed import steps_that_can_be_asked
from compressionhub.jobs.models import Job
from compressionhub.ui import params_form
from compressionhub.ui.params_form import ParamsForm
from workers.errors import YoursToFix
from workers.recipe import techniques
from workers.technique import Technique, can_be_taken_apart

USUAL = "static-int8"
PREFIX = "step-"


@team_required
@require_http_methods(["GET", "POST"])
def ask(request: HubRequest) -> HttpResponse:
    """The page, or its submission."""
    require(request.user, Verb.SUBMIT_JOB, request.team)
    if request.method == "GET":
        return _page(request, request.GET)
    return _submit(request)


def _submit(request: HubRequest) -> HttpResponse:
    sent = request.POST
    version, dataset = one_of(versions(request), sent.get("version")), one_of(datasets(request), sent.get("dataset"))
    form = params_form.read(_kind(sent.get("technique", "")), sent.dict(), PREFIX)
    if not isinstance(form.value, Technique) or version is None or dataset is None:
        return _page(request, sent, form=form)
    try:
        job = actions.submit_sensitivity(
            by=request.user, team=request.team, version=version, dataset=dataset, step=form.value,
            device=sent.get("device", "host-1t"), copy_of=_source(request, sent.get("from")),
        )  # fmt: skip
    except (HubError, YoursToFix) as error:
        return _page(request, sent, form=form, problem=error)
    return redirect(job)


def _page(
    request: HubRequest, asked: Any, *, form: ParamsForm | None = None, problem: Exception | None = None
) -> HttpResponse:
    source = _source(request, asked.get("from"))
    step = _step_of(source, asked.get("step", ""))
    kind = type(step) if step else _kind(asked.get("technique", ""))
    version = one_of(versions(request), asked.get("version")) or (source.model_version if source else None)
    version = version or versions(request).filter(parent=None).first()
    dataset = one_of(datasets(request), asked.get("dataset")) or (source.dataset if source else None)
    values = {
        "source": source,
        "step": asked.get("step", ""),
        "kind": kind,
        "kinds": [one for one in techniques().values() if can_be_taken_apart(one)],
        "form": form or (params_form.filled(step, PREFIX) if step else params_form.blank(kind, PREFIX)),
        "versions": versions(request),
        "version": version,
        "datasets": datasets(request),
        "dataset": dataset or usual_data(request, version),
        "devices": offered_by_kind(),
        "device": asked.get("device") or (source.device if source else "host-1t"),
        "problem": problem,
    }
    return render(request, "jobs/sensitivity_new.html", values)


def _kind(slug: str) -> type[Technique]:
    kind = techniques().get(slug)
    return kind if kind and can_be_taken_apart(kind) else techniques()[USUAL]


def _source(request: HubRequest, pk: Any) -> Job | None:
    found: Job | None = one_of(Job.objects.visible_to(request.user).filter(team=request.team), pk)
    return found


def _step_of(source: Job | None, place: str) -> Technique | None:
    """The step of a job that the question is about."""
    can = dict(steps_that_can_be_asked(source.recipe_value)) if source else {}
    return can.get(int(place)) if place.isdecimal() and len(place) < 4 else None
