"""Workloads made, changed and deleted: HTTP in, HTTP out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid
from compressionhub.estimates import actions
from compressionhub.estimates.forms import WorkloadForm, starting
from compressionhub.estimates.models import Workload
from compressionhub.estimates.volumes import monthly
from compressionhub.ui.ids import as_uuid
from workers.serving.presets import PRESETS


@team_required
@require_POST
def new(request: HubRequest) -> HttpResponse:
    """A workload from a starting point and a number of predictions a month."""
    require(request.user, Verb.EDIT_WORKLOAD, request.team)
    slug = request.POST.get("preset", "")
    if slug not in PRESETS:
        raise Invalid("That starting point does not exist.", hint="Choose one of the list.")
    usual = Workload.objects.visible_to(request.user).filter(team=request.team).first()
    assumed = starting(
        slug=slug, author=str(request.user), monthly=monthly(request.POST.get("monthly", "")),
        like=usual.assumed if usual else None,
    )  # fmt: skip
    named = assumed.workload.model_copy(update={"name": _free_name(request, assumed.workload.name)})
    made = actions.create(team=request.team, by=request.user, assumed=assumed.model_copy(update={"workload": named}))
    return redirect("zoo:savings-of", made.pk)


@team_required
@require_POST
def change(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Workload.objects.visible_to(request.user).select_related("team"), pk=pk)
    require(request.user, Verb.EDIT_WORKLOAD, found.team)
    form = WorkloadForm(request.POST, assumed=found.assumed, author=str(request.user))
    if not form.is_valid():
        raise Invalid("These assumptions cannot be kept.", hint=" ".join(said(form)))
    actions.change(workload=found, by=request.user, assumed=form.cleaned_data["assumed"])
    messages.success(request, "Workload saved.")
    return redirect(f"{reverse('zoo:savings-of', args=[found.pk])}?{_entry(request)}")


@team_required
@require_POST
def usual(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Workload.objects.visible_to(request.user).select_related("team"), pk=pk)
    actions.make_usual(workload=found, by=request.user)
    return redirect("zoo:savings-of", found.pk)


@team_required
@require_POST
def move_tables(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Workload.objects.visible_to(request.user).select_related("team"), pk=pk)
    actions.move_to_newest_tables(workload=found, by=request.user)
    messages.success(request, f"{found.name} uses the newest tables.")
    return redirect("zoo:savings-of", found.pk)


@team_required
@require_POST
def delete(request: HubRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Workload.objects.visible_to(request.user).select_related("team"), pk=pk)
    actions.delete(workload=found, by=request.user)
    messages.success(request, f"{found.name} is deleted.")
    return redirect("zoo:savings")


def _entry(request: HubRequest) -> str:
    """The entry that was looked at, as a query; empty for anything that is no id."""
    wanted = as_uuid(request.POST.get("entry", ""))
    return f"entry={wanted}" if wanted else ""


def said(form: WorkloadForm) -> list[str]:
    """The form's errors, each with its field's label."""
    return [
        f"{form.fields[name].label}: {text}" if name in form.fields else str(text)
        for name, texts in form.errors.items()
        for text in texts
    ]


def _free_name(request: HubRequest, name: str) -> str:
    taken = set(Workload.objects.filter(team=request.team).values_list("name", flat=True))
    return next(free for free in (name, *(f"{name} {n}" for n in range(2, len(taken) + 3))) if free not in taken)
