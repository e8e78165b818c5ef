"""Datasets."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, require
from compressionhub.library import actions, roles, sentences
from compressionhub.library.models import Dataset, FileKind, Upload
from compressionhub.library.views_models import rights, upload_page

TABLES = (".csv", ".parquet")
DATA_ENDINGS = ".npz,.csv,.parquet,.jsonl,.txt,.zip"


@team_required
def datasets(request: HubRequest) -> HttpResponse:
    found = list(Dataset.objects.visible_to(request.user).filter(team=request.team).select_related("uploaded_by"))
    unfinished = Upload.objects.of(request.user).filter(team=request.team, kind=FileKind.DATASET, arrived_at=None)
    waiting = any(one.is_verifying for one in found)
    return render(
        request,
        "library/datasets.html",
        {"datasets": found, "unfinished": unfinished, "waiting": waiting, **rights(request)},
    )


@team_required
def upload(request: HubRequest) -> HttpResponse:
    require(request.user, Verb.UPLOAD, request.team)
    return render(request, "library/upload.html", upload_page(request, FileKind.DATASET, DATA_ENDINGS))


@team_required
def dataset(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _dataset(request, pk)
    shown: dict[str, Any] = {
        "dataset": found,
        "facts": found.facts,
        "subtitle": sentences.of_dataset(found),
        "dataset_state": _state(found),
        "dataset_is_table": found.filename.lower().endswith(TABLES),
        **rights(request, found.team),
    }
    if found.facts is not None:
        shown |= {
            "roles": roles.rows(found.facts),
            "counts": roles.class_table(found.facts),
            "columns": found.facts.columns,
            "unlabelled": sentences.unlabelled_target(found.facts),
        }
    return render(request, "library/dataset.html", shown)


@team_required
@require_POST
def describe(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _dataset(request, pk)
    actions.describe(
        item=found, by=request.user, name=request.POST.get("name", ""), description=request.POST.get("description", "")
    )
    messages.success(request, "Saved.")
    return redirect(found)


@team_required
@require_POST
def choose_target(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _dataset(request, pk)
    actions.choose_target(dataset=found, by=request.user, target=request.POST.get("target", ""))
    return redirect(found)


@team_required
@require_POST
def verify_again(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _dataset(request, pk)
    actions.verify_again(item=found, by=request.user)
    return redirect(found)


@team_required
@require_POST
def delete(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _dataset(request, pk)
    actions.delete(item=found, by=request.user)
    messages.success(request, f"{found.name} was deleted.")
    return redirect("library:datasets")


def _dataset(request: HubRequest, pk: UUID) -> Dataset:
    return get_object_or_404(Dataset.objects.visible_to(request.user).select_related("team", "uploaded_by"), pk=pk)


def _state(found: Dataset) -> str:
    return "checking" if found.is_verifying else found.state
