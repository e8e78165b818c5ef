"""New job: one page from model to submitted job. Every edit posts the form and gets the draft back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import HubError
from compressionhub.fleet.devices import offered_by_kind
from compressionhub.jobs import actions
from compressionhub.jobs.compose import draft as drafts
from compressionhub.jobs.compose.checks import checks
from compressionhub.jobs.compose.draft import Draft
from compressionhub.jobs.compose.inputs import datasets, one_of, usual_data, versions
from compressionhub.jobs.compose.outlook import choices, device_of, outlook
from compressionhub.jobs.compose.students import students
from compressionhub.jobs.harmed import recipe_without
from compressionhub.jobs.models import Job, SavedRecipe
from compressionhub.jobs.states import Kind
from compressionhub.ui import params_form
from workers.errors import YoursToFix
from workers.recipe import Recipe, parse
from workers.starters import Starter, starters

MOST_RECIPE_BYTES = 100_000


@team_required
@require_http_methods(["GET", "POST"])
def new(request: HubRequest) -> HttpResponse:
    """The page, an edit of its draft, or its submission."""
    require(request.user, Verb.SUBMIT_JOB, request.team)
    if request.method == "GET":
        return _page(request, _from_query(request))
    found = _from_form(request)
    order = request.POST.get("do", "")
    if order == "submit":
        return _submit(request, found)
    try:
        return _page(request, _edited(request, found, order))
    except (HubError, YoursToFix) as error:
        return _page(request, found, problem=error)


def _submit(request: HubRequest, found: Draft) -> HttpResponse:
    recipe, gate, seed = found.recipe, found.gate_value, found.seed_value
    if found.faults or recipe is None or gate is None or seed is None or found.version is None or found.dataset is None:
        return _page(request, found, faults=found.faults)
    try:
        job = actions.submit(
            by=request.user, team=request.team, version=found.version, dataset=found.dataset, recipe=recipe,
            device=found.device, seed=seed, gate=gate,
        )  # fmt: skip
    except (HubError, YoursToFix) as error:
        return _page(request, found, problem=error)
    return HttpResponseClientRedirect(job.get_absolute_url()) if request.htmx else redirect(job)


def _edited(request: HubRequest, found: Draft, order: str) -> Draft:
    """Orders that need the request: loading and saving recipes; the rest are edits of the draft."""
    if order == "load":
        return drafts.with_recipe(found, _loaded(request))
    if order == "save":
        _save(request, found)
        return found
    return drafts.edited(found, order, _recipes(request, found))


def _loaded(request: HubRequest) -> Recipe:
    upload = request.FILES.get("recipe_file")
    text = request.POST.get("recipe_text", "")
    if upload is not None and not text.strip():
        text = upload.read(MOST_RECIPE_BYTES).decode("utf-8", errors="replace")
    return parse(text[:MOST_RECIPE_BYTES])


def _save(request: HubRequest, found: Draft) -> None:
    if found.recipe is None:
        raise YoursToFix(
            "Expected a recipe without faults.", hint="Add a step, or correct the marked fields, and save again."
        )
    saved = actions.save_recipe(team=request.team, name=found.name, recipe=found.recipe, by=request.user)
    messages.success(request, f"Recipe saved as {saved.name}.")


def _recipes(request: HubRequest, found: Draft) -> dict[str, Recipe]:
    """What one click can put in place: the starters, and the team's saved recipes by id."""
    saved = SavedRecipe.objects.visible_to(request.user).filter(team=request.team)
    return {**{one.key: one.recipe for one in _starters(found)}, **{str(one.pk): one.value for one in saved}}


def _starters(found: Draft) -> list[Starter]:
    facts = found.version.facts if found.version else None
    data = found.dataset.facts if found.dataset else None
    return list(starters(facts, data, device_of(found))) if facts else []


# --- where a draft comes from


def _from_query(request: HubRequest) -> Draft:
    """A fresh draft: from a job (``from``), for a model version (``version``), with a technique (``technique``)."""
    asked = request.GET
    source = one_of(Job.objects.visible_to(request.user).filter(team=request.team), asked.get("from"))
    if source is not None:
        return _from_job(source)
    return drafts.edited(_fresh(request), f"add:{asked.get('technique', '')}", {})


def _fresh(request: HubRequest) -> Draft:
    """No steps yet; the model and data the address names, else the usual ones."""
    asked = request.GET
    version = one_of(versions(request), asked.get("version")) or versions(request).filter(parent=None).first()
    return Draft(
        version=version, dataset=one_of(datasets(request), asked.get("dataset")) or usual_data(request, version)
    )


def _from_job(job: Job) -> Draft:
    asked = job.copy_of if job.kind == Kind.SENSITIVITY else job
    recipe, gate = recipe_without(job) or job.recipe_value, asked.gate_value if asked else None
    return Draft(
        version=job.model_version,
        dataset=job.dataset,
        steps=drafts.steps_of(recipe) if recipe else (),
        name=recipe.name if recipe else "",
        device=job.device,
        seed=str(job.seed),
        **({"gate": params_form.filled(gate, "gate-")} if gate else {}),
    )


def _from_form(request: HubRequest) -> Draft:
    sent = request.POST
    if "version" not in sent:  # a recipe sent from another page: the inputs are still to be chosen
        return _fresh(request)
    return drafts.read(
        sent.dict(), sent.getlist("step"),
        version=one_of(versions(request), sent.get("version")), dataset=one_of(datasets(request), sent.get("dataset")),
    )  # fmt: skip


# --- drawing


def _page(
    request: HubRequest, found: Draft, *, faults: list[str] | None = None, problem: Exception | None = None
) -> HttpResponse:
    facts = found.version.facts if found.version else None
    data = found.dataset.facts if found.dataset else None
    broken = drafts.chain_fault(found.steps, data) if data else None
    values = {
        "draft": found,
        "versions": versions(request),
        "datasets": datasets(request),
        "checks": checks(found.version, found.dataset),
        "device": device_of(found),
        "devices": offered_by_kind(),
        "choices": choices(facts, data, device_of(found)),
        "starters": _starters(found),
        "saved": SavedRecipe.objects.visible_to(request.user).filter(team=request.team),
        "outlook": outlook(found),
        "students": students(found, versions(request)),
        "broken": {broken[0]: broken[1]} if broken else {},
        "faults": faults or [],
        "problem": problem,
    }
    page = "jobs/new.html#draft" if request.htmx and not request.htmx.boosted else "jobs/new.html"
    return render(request, page, values)
