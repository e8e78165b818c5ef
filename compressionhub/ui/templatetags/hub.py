"""The components every page is built from.

Each tag is a typed function: a misspelt argument fails when the page is read.
"""
# ruff: noqa: A002 - tags take `id` because pages call it so

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from compressionhub.ui import markers, navigation, units
from compressionhub.ui.chart_heights import HEIGHTS
from compressionhub.ui.range_bar import RangeBar
from compressionhub.ui.words import GRADES, STATES, VERDICTS, Word
from workers.recipe import techniques
from workers.technique import Family, Technique

register = template.Library()
SPRITE = Path(__file__).resolve().parents[3] / "frontend" / "static" / "vendor" / "icons.svg"


def component(name: str, **context: Any) -> SafeString:
    return mark_safe(render_to_string(f"components/{name}.html", context).strip())


# --- icons and marks


@cache
def sprite_has(name: str) -> bool:
    return f'id="tabler-{name}"' in SPRITE.read_text()


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """An icon of the sprite. ``size`` is "" or "s" (small); with a ``label`` it speaks to screen readers.

    Raises:
        ValueError: if the sprite lacks it; name it in vendor.json and run ``python frontend/vendor.py``.
    """
    if not sprite_has(name):
        raise ValueError(
            f"expected an icon of the sprite, found {name!r}; add it to vendor.json and run frontend/vendor.py"
        )
    spoken = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    css = "i i-s" if size == "s" else "i"
    return format_html(
        '<svg class="{}" {}><use href="{}#tabler-{}"/></svg>', css, spoken, static("vendor/icons.svg"), name
    )


@register.simple_tag
def family_mark(family: str) -> SafeString:
    """The marker of a technique family; nothing for an empty family."""
    if not family:
        return mark_safe("")
    kind = Family(family)
    return format_html(
        '<svg class="mk fam-{}" viewBox="0 0 10 10" aria-hidden="true"><path d="{}"/></svg>',
        kind.value,
        markers.PATHS[kind],
    )


@register.simple_tag
def technique_chip(step: Technique | Mapping[str, Any] | Any) -> SafeString:
    """Marker, title and what differs from the defaults.

    Takes a technique, its stored form, its slug, a job's step or a report's step.
    """
    configured = as_technique(step)
    if configured is None:
        title = step if isinstance(step, str) else str(getattr(step, "title", step))
        return component("technique_chip", title=title, summary="", family="")
    summary = configured.summary()
    return component(
        "technique_chip",
        title=configured.about.title,
        family=configured.about.family,
        summary="" if summary == "defaults" else summary,
    )


def as_technique(step: Any) -> Technique | None:
    """Read a configured technique from what a page holds; None for what is none, like the evaluation."""
    if isinstance(step, Technique):
        return step
    if hasattr(step, "configured"):
        return as_technique(step.configured)
    if hasattr(step, "parameters"):
        values = {**step.parameters, "technique": step.technique}
    else:
        values = {"technique": step} if isinstance(step, str) else dict(step) if isinstance(step, Mapping) else {}
    kind = techniques().get(str(values.get("technique")))
    return kind.model_validate(values) if kind else None


@register.simple_tag
@cache
def grade(letter: str, word: bool = False) -> SafeString:
    """How firm a figure is, A to D. The word is spoken where it is not shown."""
    said = GRADES[letter]
    if word:
        return format_html('<span class="cls cls-{}"><b>{}</b>{}</span>', letter.lower(), letter, said)
    return format_html(
        '<span class="cls cls-{}" title="Class {}: {}"><b>{}</b><span class="visually-hidden">{}</span></span>',
        letter.lower(), letter, said, letter, said,
    )  # fmt: skip


# --- figures


@register.simple_tag
def range_bar(
    value: float | None = None, low: float | None = None, high: float | None = None, *,
    base: float | None = None, zero: float | None = None, limit: float | None = None,
    start: float | None = None, end: float | None = None, label: str = "", worse: bool = False,
) -> SafeString:  # fmt: skip
    """Value, interval, baseline, line of no change and limit on one axis. ``label`` says the same in words."""
    bar = RangeBar(
        value=value,
        low=low,
        high=high,
        base=base,
        zero=zero,
        limit=limit,
        start=start,
        end=end,
        label=label,
        worse=worse,
    )
    return component("range_bar", bar=bar)


@register.simple_tag
def tile(
    *, label: str, value: str, unit: str = "", rng: str = "", note: str = "", grade: str = "",
    bar: str = "", delta: str = "", word: bool = False,
) -> SafeString:  # fmt: skip
    """One figure with its class, range, bar and note. ``bar`` and ``delta`` are what those tags returned (``as``)."""
    return component(
        "tile", label=label, value=value, unit=unit, rng=rng, note=note, grade=grade, bar=bar, delta=delta, word=word
    )


@register.simple_tag
def delta(
    value: float | None, low: float | None = None, high: float | None = None, *,
    unit: str = "points", better: str = "up", distinguishable: bool | None = None, limit: float | None = None,
    up: str = "", down: str = "", places: int = 2,
) -> SafeString:  # fmt: skip
    """A signed difference with its interval.

    ``unit`` is "points" (a difference of shares), "times" (a ratio, 1 is no change) or a unit written
    after a plain number. Better and distinguishable is teal; worse than ``limit`` is red; the rest is ink.
    ``up`` and ``down`` are words after a ratio above or below one, for example ``faster`` and ``slower``;
    ``places`` are its decimals, one for sizes.
    """
    if value is None or not units.is_known(value):
        return format_html('<span class="delta nul">{}</span>', units.UNKNOWN)
    neutral = 1.0 if unit == "times" else 0.0
    if distinguishable is None:
        distinguishable = low is None or high is None or not low <= neutral <= high
    gain = (value - neutral) * (1 if better == "up" else -1)
    beyond = limit is not None and (value < limit if better == "up" else value > limit)
    css = "no" if beyond else "ok" if distinguishable and gain > 0 else "nul"
    return component(
        "delta", css=css, said=_said(value, unit, up if value >= 1 else down, places),
        interval=_interval(low, high, unit),
        noise=not distinguishable and not beyond,
    )  # fmt: skip


def _said(value: float, unit: str, word: str, places: int) -> str:
    if unit == "points":
        return units.points(value)
    if unit == "times":
        return f"{units.times(value, places)} {word}".strip()
    return f"{units.number(value, _places(value), signed=True)} {unit}".strip()


def _places(value: float) -> int:
    return 2 if abs(value) < 10 else 0


def _interval(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return ""
    if unit == "points":
        return units.span(low * 100, high * 100, 2, signed=True)
    return units.span(low, high, 2 if unit == "times" else None)


# --- words with an icon


def _pill(word: Word) -> SafeString:
    return component("pill", word=word)


@register.simple_tag
def verdict_pill(word: str | None) -> SafeString:
    """faster, smaller only, slower or no gain; None where the host was too noisy to tell."""
    return _pill(VERDICTS[word])


@register.simple_tag
def state_pill(state: str) -> SafeString:
    """The state of a job, step, upload, node or entry. An unlisted state is shown as it is."""
    key = str(state)
    return _pill(STATES.get(key, Word(key.replace("-", " ").replace("_", " "), "circle", "")))


@register.simple_tag
def pill(text: str, tone: str = "", icon: str = "") -> SafeString:
    """A free pill. ``tone``: "" neutral, "ok" teal, "mid" amber, "no" red."""
    return _pill(Word(text, icon, tone))


@register.simple_tag
def problem_box(problem: Any, id: str = "") -> SafeString:
    """What went wrong and what helps, where it happened.

    Takes a Problem, an error or its mapping; draws nothing for None.
    """
    if not problem:
        return mark_safe("")
    known = (
        problem
        if isinstance(problem, Mapping)
        else {name: getattr(problem, name, "") for name in ("message", "hint", "code")}
    )
    message = known.get("message") or known.get("title") or str(problem)
    return component(
        "problem_box",
        message=message,
        hint=known.get("hint") or known.get("detail") or "",
        code=known.get("code") or "",
        id=id,
    )


# --- blocks


@register.simple_block_tag
def page_header(
    content: str, *, title: str, subtitle: str = "", crumb: str = "", crumb_url: str = "", here: str = "",
    state: str = "", verdict: str = "", pill: str = "", sub_id: str = "",
) -> SafeString:  # fmt: skip
    """The head of a page: crumb, title with pill, one sentence, at most three actions inside the block.

    ``here`` is the last crumb; ``subtitle`` may hold markup when it is safe.
    """
    return component(
        "page_header", actions=content, title=title, subtitle=subtitle, crumb=crumb, crumb_url=crumb_url, here=here,
        state=state, verdict=verdict, pill=pill, sub_id=sub_id,
    )  # fmt: skip


@register.simple_block_tag
def card(
    content: str, *, title: str = "", end: str = "", id: str = "", foot: str = "", flush: bool = False, css: str = ""
) -> SafeString:
    """A box with a heading.

    ``end`` stands small at its right; ``flush`` is for tables that reach the edges.
    """
    return component("card", content=content, title=title, end=end, id=id, foot=foot, flush=flush, css=css)


@register.simple_block_tag
def empty(
    content: str, *, icon: str, title: str, text: str = "", note: str = "", boxed: bool = True, heading: int = 2,
) -> SafeString:  # fmt: skip
    """Nothing here yet: what it is good for, and one action inside the block. ``heading`` is 1 for a whole page."""
    return component(
        "empty", actions=content, icon=icon, title=title, text=text, note=note, boxed=boxed, heading=heading
    )


@register.simple_block_tag
def verdict_banner(
    content: str,
    *,
    title: str,
    text: str = "",
    word: str | None = None,
    tone: str = "",
    icon: str = "",
    tight: bool = False,
) -> SafeString:
    """The verdict in one sentence with its reason; the next actions stand inside the block.

    ``word`` picks icon and tone; a banner about something else names its own.
    """
    kind = VERDICTS[word] if not icon else Word("", icon, tone)
    return component(
        "verdict_banner", actions=content, title=title, text=text, icon=kind.icon, tone=tone or kind.tone, tight=tight
    )


@register.simple_block_tag
def note(content: str, *, tone: str = "", icon: str = "info-circle", role: str = "") -> SafeString:
    """A quiet remark inside a card; ``tone`` "mid" or "no" makes it louder."""
    return component("note", content=content, tone=tone, icon=icon, role=role)


# --- charts


@register.simple_tag
def chart(*, id: str, option: Mapping[str, Any], label: str, height: int = 260) -> SafeString:
    """A chart: an ECharts option as JSON, drawn by charts.js. ``label`` says in words what it shows.

    The JSON is hidden text and no script block, because htmx takes every script out of what it swaps in.
    """
    if height not in HEIGHTS:
        raise ValueError(f"expected a chart height out of {sorted(HEIGHTS)}, found {height}")
    return component("chart", id=id, option=json.dumps(option), label=label, height=height)


# --- navigation


@register.simple_tag(takes_context=True)
def pager(
    context: Context, number: int, pages: int, *, back: str = "Newer", on: str = "Older", place: str = ""
) -> SafeString:
    """Which page of a long list this is, with the ways to its neighbours; nothing where there is one page alone.

    Filters and order of the address stay as they are. ``place`` is the id to which the neighbours scroll.
    """
    if pages <= 1:
        return mark_safe("")
    asked = context["request"].GET.copy()

    def address(other: int) -> str:
        asked["page"] = str(other)
        return f"?{asked.urlencode()}{f'#{place}' if place else ''}" if 1 <= other <= pages else ""

    return component(
        "pager", number=number, pages=pages, earlier=address(number - 1), later=address(number + 1), back=back, on=on
    )


@register.simple_tag(takes_context=True)
def side_bar(context: Context) -> SafeString:
    """The places of a signed-in person, their team, and their account."""
    request, places = context["request"], _shown_to(context)
    return render_to_string("components/side_bar.html", {"places": places, "groups": _grouped(places)}, request)


@register.simple_tag(takes_context=True)
def phone_bar(context: Context) -> SafeString:
    """Five places at the bottom of a phone, and *More* for the rest."""
    request, places = context["request"], _shown_to(context)
    front = [place for place in places if place.phone][:5]
    return render_to_string(
        "components/phone_bar.html", {"front": front, "rest": [p for p in places if p not in front]}, request
    )


def _shown_to(context: Context) -> list[navigation.Shown]:
    """Both bars show the same, and most places count rows: they are asked once a request."""
    request = context["request"]
    if not hasattr(request, "places"):
        request.places = navigation.shown(request)
    found: list[navigation.Shown] = request.places
    return found


def _grouped(places: Iterable[navigation.Shown]) -> dict[str, list[navigation.Shown]]:
    groups: dict[str, list[navigation.Shown]] = {}
    for place in places:
        groups.setdefault(place.group, []).append(place)
    return groups
