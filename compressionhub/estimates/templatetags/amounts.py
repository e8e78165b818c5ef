"""Figures with their class and the reason why: no estimate is shown without."""

from __future__ import annotations

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from compressionhub.estimates import said
from compressionhub.ui.templatetags.hub import component
from workers.estimate import Amount, InputFact

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
def why_later(amount: Amount, *, key: str, title: str, url: str) -> SafeString:
    """The same for one of very many figures: what it rests on is asked for when somebody opens it."""
    return component("why_later", amount=amount, key=key, title=title, url=url)


def why_body(amount: Amount, *, title: str) -> SafeString:
    """What stands inside the popover."""
    return component("why_body", amount=amount, title=title, facts=_facts(amount))


def _facts(amount: Amount) -> list[tuple[InputFact, str]]:
    return [(fact, fact.stale(timezone.localdate())) for fact in amount.inputs]
