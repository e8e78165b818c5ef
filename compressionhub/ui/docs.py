"""One page per technique, made from its class: what it does, when it fits, its parameters, how to write it down."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import yaml
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from pydantic.fields import FieldInfo

from workers.errors import Frozen
from workers.recipe import techniques
from workers.technique import Technique, names_a_model

KINDS = {"boolean": "yes or no", "array": "a list of names", "integer": "a whole number", "string": "a text"}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


class Parameter(Frozen):
    """One parameter as the page tells it."""

    name: str
    title: str
    description: str
    default: str
    unit: str
    allowed: str


@login_required
def techniques_index(request: HttpRequest) -> HttpResponse:
    """Every technique, by family."""
    ordered = sorted(techniques().values(), key=lambda kind: (kind.about.family, kind.about.title))
    families = [
        (family.title(), list(kinds)) for family, kinds in groupby(ordered, key=lambda kind: str(kind.about.family))
    ]
    return render(
        request,
        "docs/techniques.html",
        {"families": [(name, [card(kind) for kind in kinds]) for name, kinds in families]},
    )


@login_required
def technique(request: HttpRequest, slug: str) -> HttpResponse:
    """One technique."""
    kind = techniques().get(slug)
    if kind is None:
        raise Http404
    return render(
        request, "docs/technique.html", {**card(kind), "parameters": parameters(kind), "example": example(kind)}
    )


def card(kind: type[Technique]) -> dict[str, Any]:
    """What lists and pages say of a technique."""
    return {
        "slug": kind.slug(),
        "about": kind.about,
        "sentence": kind.card(),
        "paragraphs": [part.replace("\n", " ") for part in kind.help_text().split("\n\n") if part.strip()],
        "needs": sorted(str(need) for need in kind.about.needs),
    }


def parameters(kind: type[Technique]) -> list[Parameter]:
    """The parameters in the order of the class; the slug is none of them."""
    return [_parameter(name, field, kind) for name, field in kind.model_fields.items() if name != "technique"]


def _parameter(name: str, field: FieldInfo, kind: type[Technique]) -> Parameter:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Parameter(
        name=name,
        title=field.title or name,
        description=field.description or "",
        default="required" if field.is_required() else _said(field.get_default(call_default_factory=True)),
        unit=str(extra.get("unit", "")),
        allowed=_allowed(field, kind.model_json_schema()["properties"][name]),
    )


def _allowed(field: FieldInfo, schema: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if names_a_model(field):
        return "the id of a model version; for the command line, a file"
    choices = schema.get("enum") or [choice["const"] for choice in schema.get("anyOf", []) if "const" in choice]
    if choices:
        return " or ".join(str(choice) for choice in choices)
    limits = [
        f"{word} {getattr(rule, key)}" for rule in field.metadata for key, word in LIMITS.items() if hasattr(rule, key)
    ]
    return " and ".join(limits) or KINDS.get(str(schema.get("type")), str(schema.get("type", "any")))


def _said(value: Any) -> str:
    """A default in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return str(getattr(value, "value", value)) or "none"


def example(kind: type[Technique]) -> str:
    """The technique as a step of a recipe file, with every default spelt out."""
    values = {"technique": kind.slug()}
    for name, field in kind.model_fields.items():
        if name != "technique" and not field.is_required():
            default = field.get_default(call_default_factory=True)
            values[name] = getattr(default, "value", default)
    return yaml.safe_dump({"steps": [values]}, sort_keys=False, allow_unicode=True)
