"""Figures with their class and the reason why: no estimate is shown without."""

from __future__ import annotations

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from compressionhub.estimates import said
from compressionhub.ui.templatetags import hub
from compressionhub.ui.templatetags.hub import component
from workers.estimate import Amount, Grade, InputFact

register = template.Library()


@register.filter
def said_value(amount: Amount) -> str:
    return said.value(amount)


@register.filter
def said_bare(amount: Amount) -> str:
    return said.bare(amount)


@register.filter
def said_span(amount: Amount) -> str:
    return said.span(amount)


@register.filter
def input_value(fact: InputFact) -> str:
    return said.input_value(fact)


@register.filter
def rests_on(fact: InputFact) -> str:
    return said.rests_on(fact)


@register.filter
def dated(fact: InputFact) -> str:
    return said.dated(fact)


@register.filter
def stale(thing: Amount | InputFact) -> tuple[str, ...]:
    """What is too old in a figure or an input, a sentence each."""
    found = thing.stale(timezone.localdate())
    return found if isinstance(found, tuple) else (found,) if found else ()


@register.simple_tag
def why(amount: Amount, *, key: str, title: str, word: bool = False) -> SafeString:
    """The class of a figure; pressing it shows formula, inputs, sources and dates. ``key`` is unique on the page."""
    return component("why", amount=amount, key=key, title=title, word=word, facts=_facts(amount))


@register.simple_tag
def asked_why(grade: Grade | str | None, *, asks: str, title: str, changes: bool = False) -> SafeString:
    """The class of one of very many figures; pressing it asks what the figure rests on (``why.js``).

    The address is that of the row (``data-why-at``) and ``asks``. A script may put in another class where it
    ``changes``. The page holds one ``asked_pop`` for all of them.
    """
    letter = grade.value if isinstance(grade, Grade) else grade
    badge = hub.grade(letter) if letter else hub.icon("help-circle", "s")
    return format_html(
        '<button class="why" type="button" popovertarget="asked-pop" data-asks="{}"><span{}>{}</span>'
        '<span class="visually-hidden">, why: {}</span></button>',
        asks, mark_safe(" data-grade") if changes else "", badge, title,
    )  # fmt: skip


@register.simple_tag
def asked_figure(amount: Amount, *, asks: str, title: str) -> SafeString:
    """A figure of a table with its class and its range; what it rests on is asked for."""
    span = said.span(amount)
    return format_html(
        "{} {}{}", said.value(amount), asked_why(amount.grade, asks=asks, title=title),
        format_html('<span class="sub">{}</span>', span) if span else "",
    )  # fmt: skip


@register.simple_tag
def asked_pop() -> SafeString:
    """The popover in which the answer stands."""
    return component("asked_pop")


def why_body(amount: Amount, *, title: str) -> SafeString:
    """What stands inside the popover."""
    return component("why_body", amount=amount, title=title, facts=_facts(amount))


def _facts(amount: Amount) -> list[tuple[InputFact, str]]:
    return [(fact, fact.stale(timezone.localdate())) for fact in amount.inputs]
