"""Models and their versions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.models import Team
from compressionhub.accounts.permissions import MAY, Role, Verb, require, role_of
from compressionhub.errors import HubError
from compressionhub.library import actions, fitting, layers, lineage, panels, sentences
from compressionhub.library.contract_form import ContractForm
from compressionhub.library.models import Dataset, FileKind, ModelVersion, TrainedModel, Upload
from compressionhub.ui.ids import as_uuid

# The way out for every other format is written on the upload page and in the message that refuses it.
MODEL_ENDINGS = ".onnx,.zip,.gguf,.pt2"


def rights(request: HubRequest, team: Team | None = None) -> dict[str, bool]:
    """Which buttons are worth showing on a page of this team's; the actions check again."""
    role = role_of(request.user, team) if team else Role(request.membership.role)
    mine = MAY[role] if role else frozenset()
    return {
        "may_upload": Verb.UPLOAD in mine,
        "may_edit": Verb.EDIT_LIBRARY in mine,
        "may_submit": Verb.SUBMIT_JOB in mine,
        "may_delete": Verb.DELETE in mine,
    }


@team_required
def models(request: HubRequest) -> HttpResponse:
    found = TrainedModel.objects.visible_to(request.user).filter(team=request.team).with_versions()
    unfinished = Upload.objects.of(request.user).filter(team=request.team, kind=FileKind.MODEL, arrived_at=None)
    rows = [(model, model.latest) for model in found]
    waiting = any(version is not None and version.is_verifying for _, version in rows)
    shown = {"rows": rows, "unfinished": unfinished, "waiting": waiting, **rights(request)}
    return render(request, "library/models.html", shown)


@team_required
def upload(request: HubRequest, pk: UUID | None = None) -> HttpResponse:
    """Where a file is dropped: a new model, or a new version of one."""
    model = _model(request, pk) if pk else None
    require(request.user, Verb.UPLOAD, model.team if model else request.team)
    return render(request, "library/upload.html", upload_page(request, FileKind.MODEL, MODEL_ENDINGS, model=model))


def upload_page(
    request: HubRequest, kind: FileKind, endings: str, *, model: TrainedModel | None = None
) -> dict[str, Any]:
    """What the upload page needs, for models and datasets alike."""
    team = model.team if model else request.team
    used = actions.used_bytes(team)
    return {
        "kind": kind.value,
        "endings": endings,
        "model": model,
        "most_bytes": settings.UPLOAD_BYTES,
        "left_bytes": max(0, settings.QUOTA_BYTES - used),
        "quota_bytes": settings.QUOTA_BYTES,
        "hours": settings.UPLOAD_HOURS,
        "unfinished": Upload.objects.of(request.user).filter(team=team, kind=kind, arrived_at=None),
    }


@team_required
def model(request: HubRequest, pk: UUID) -> HttpResponse:
    """The newest version of a model."""
    found = _model(request, pk)
    latest = found.latest
    return render(request, "library/model.html", version_page(request, found, latest))


@team_required
def version(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    found = _version(request, pk, number)
    return render(request, "library/model.html", version_page(request, found.model, found))


def version_page(request: HubRequest, found: TrainedModel, shown: ModelVersion | None) -> dict[str, Any]:
    """What the page of a version shows, as far as its file has been understood."""
    page: dict[str, Any] = {
        "model": found,
        "version": shown,
        "versions": list(found.versions.order_by("-number")),
        "subtitle": sentences.of_model(found, shown),
        "version_pill": _pill(shown),
        **rights(request, found.team),
    }
    return page if shown is None or not shown.is_ready else page | _understood(request, shown)


def _pill(shown: ModelVersion | None) -> str:
    return f"v{shown.number} · {'variant' if shown.parent_id else 'baseline'}" if shown else ""


def _understood(request: HubRequest, shown: ModelVersion) -> dict[str, Any]:
    """The rest of the page, once there are facts."""
    facts = shown.facts
    if facts is None:
        return {}
    datasets = list(Dataset.objects.visible_to(request.user).filter(team=shown.team).ready())
    dataset = _chosen(request, shown, datasets)
    bars, tree = len(layers.shown(facts)), lineage.tree(shown, request.user)
    return {
        "facts": facts,
        "contract": shown.contract,
        "tried": shown.tried,
        "measured": shown.measured,
        "datasets": datasets,
        "dataset": dataset,
        "techniques": fitting.rows(shown, dataset),
        "tree": tree,
        "panels": panels.shown(request, shown),
        "bars": bars,
        "chart": layers.chart(facts),
        "chart_height": layers.chart_height(facts),
        "chart_says": layers.sentence(facts),
        "techniques_end": sentences.techniques(dataset),
        "lineage_end": sentences.lineage(tree),
        "contract_end": sentences.contract(shown),
        **sentences.tiles(shown, facts),
        **sentences.layers(facts, bars),
    }


def _chosen(request: HubRequest, shown: ModelVersion, datasets: list[Dataset]) -> Dataset | None:
    """The dataset of the address, else the one last tried, else any."""
    asked = next((one for one in datasets if str(one.pk) == request.GET.get("dataset")), None)
    return asked or shown.tried_on or next(iter(datasets), None)


@team_required
@require_POST
def describe(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _model(request, pk)
    actions.describe(
        item=found, by=request.user, name=request.POST.get("name", ""), description=request.POST.get("description", "")
    )
    messages.success(request, "Saved.")
    return redirect(found)


@team_required
@require_POST
def delete_model(request: HubRequest, pk: UUID) -> HttpResponse:
    found = _model(request, pk)
    actions.delete(item=found, by=request.user)
    messages.success(request, f"{found.name} was deleted.")
    return redirect("library:models")


@team_required
@require_POST
def delete_version(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    found = _version(request, pk, number)
    actions.delete(item=found, by=request.user)
    messages.success(request, f"Version {number} was deleted.")
    return redirect(found.model)


@team_required
@require_POST
def verify_again(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    found = _version(request, pk, number)
    actions.verify_again(item=found, by=request.user)
    return redirect(found)


@team_required
def contract(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    """The form of the input contract."""
    found = _version(request, pk, number)
    require(request.user, Verb.EDIT_LIBRARY, found.team)
    if found.contract is None:
        return redirect(found)
    form = ContractForm(found.contract, request.POST if request.method == "POST" else None)
    if form.is_valid() and _saved(request, found, form):
        messages.success(request, "Contract saved. Try it on ten samples before you confirm it.")
        return redirect(f"{found.get_absolute_url()}#contract")
    shown = {"form": form, "version": found, "facts": found.facts}
    return render(request, "library/contract.html", shown, status=422 if form.is_bound else 200)


def _saved(request: HubRequest, found: ModelVersion, form: ContractForm) -> bool:
    try:
        actions.edit_contract(version=found, by=request.user, contract=form.as_contract)
    except HubError as error:
        form.add_error(None, f"{error.message} {error.hint}")
        return False
    return True


@team_required
@require_POST
def try_it(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    """Ask for ten samples; the page waits for the answer."""
    found = _version(request, pk, number)
    key = as_uuid(request.POST.get("dataset", ""))
    if key is None:
        messages.error(request, "Choose a dataset to try the model on.")
        return redirect(f"{found.get_absolute_url()}#contract")
    dataset = get_object_or_404(Dataset.objects.visible_to(request.user), pk=key)
    actions.try_contract(version=found, dataset=dataset, by=request.user)
    return redirect(f"{found.get_absolute_url()}#contract")


@team_required
@require_POST
def confirm(request: HubRequest, pk: UUID, number: int) -> HttpResponse:
    found = _version(request, pk, number)
    actions.confirm_contract(version=found, by=request.user)
    messages.success(request, "Contract confirmed: jobs may use this version.")
    return redirect(f"{found.get_absolute_url()}#contract")


def _model(request: HubRequest, pk: UUID) -> TrainedModel:
    return get_object_or_404(TrainedModel.objects.visible_to(request.user).select_related("team", "created_by"), pk=pk)


def _version(request: HubRequest, pk: UUID, number: int) -> ModelVersion:
    found = ModelVersion.objects.visible_to(request.user).select_related(
        "model__team", "uploaded_by", "tried_on", "measured_on"
    )
    return get_object_or_404(found, model=pk, number=number)
