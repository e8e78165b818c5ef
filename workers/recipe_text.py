"""Reads YAML that a stranger wrote: plain values only, within bounds that no recipe comes near."""

from typing import Any

import yaml

from workers.errors import YoursToFix

MOST_LETTERS = 100_000
DEEPEST = 20


class _Refused(yaml.YAMLError):
    """Well-formed, but nothing a recipe needs."""


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, which let a page of text stand for gigabytes, and nesting that would exhaust the stack."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _Refused("an alias; write the value out")
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels of nesting")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def read(text: str) -> Any:
    """The value that a YAML or JSON text stands for.

    Raises:
        YoursToFix: if it is too long, neither, or uses what a recipe does not need.
    """
    if len(text) > MOST_LETTERS:
        raise _unreadable(f"a text of {len(text)} letters")
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        raise _unreadable(f"text that is neither: {str(error).splitlines()[0]}") from None
    except (ValueError, LookupError, AttributeError, TypeError):  # what PyYAML lets through for values like 2001-13-40
        raise _unreadable("a value that is no number, date or word") from None


def _unreadable(found: str) -> YoursToFix:
    return YoursToFix(
        f"Expected a recipe in YAML or JSON, found {found}.",
        hint="steps: [{technique: static-int8}]",
        code="recipe.unreadable",
    )
