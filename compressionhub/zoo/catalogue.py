"""The list of the zoo: filters, facets, order and the best trade-offs, from one read of what a person may see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict

from compressionhub.zoo.models import Entry

PAGE = 25
ORDERS: dict[str, tuple[str, Callable[[Entry], Any]]] = {
    "newest": ("newest first", lambda entry: -entry.published_at.timestamp()),
    "fastest": ("largest speed-up first", lambda entry: -entry.speedup),
    "smallest": ("largest size ratio first", lambda entry: -entry.size_ratio),
    "most-accurate": ("smallest drop first", lambda entry: entry.drop_points),
}
VERDICTS = ("faster", "smaller-only", "slower", "no-gain")
FACETS: dict[str, tuple[str, Callable[[Entry], Sequence[str]]]] = {
    "verdict": ("Verdict", lambda entry: [entry.verdict]),
    "technique": ("Technique", lambda entry: entry.families),
    "task": ("Task", lambda entry: [entry.task]),
    "device": ("Device", lambda entry: [entry.device]),
    "gate": ("Gate", lambda entry: ["at risk" if entry.record.gate_result.at_risk else "whole interval passes"]),
}


@dataclass(frozen=True)
class Choice:
    """One box of a facet. ``count`` is how many entries it would leave with the other facets as they are."""

    value: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Facet:
    key: str
    title: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Catalogue:
    """What the list page shows."""

    total: int
    facets: tuple[Facet, ...]
    search: str
    order: str
    page: int
    pages: int
    found: int
    front: tuple[Entry, ...]
    matching: tuple[Entry, ...]
    shown: tuple[Entry, ...]
    nearest_miss: str

    @property
    def order_says(self) -> str:
        return ORDERS[self.order][0]

    @property
    def is_filtered(self) -> bool:
        return bool(self.search) or any(choice.chosen for facet in self.facets for choice in facet.choices)


def browse(entries: Sequence[Entry], asked: QueryDict) -> Catalogue:
    """Filter, count and order.

    Args:
        entries: all that the viewer may see and that is listed.
        asked: ``q``, one value or more per facet, ``order``, ``page``; anything unknown is ignored.
    """
    wanted = {key: set(asked.getlist(key)) for key in FACETS}
    search = asked.get("q", "").strip()[:100]
    searched = [entry for entry in entries if _matches(entry, search)]
    found = [entry for entry in searched if _passes(entry, wanted)]
    order = asked.get("order", "newest") if asked.get("order") in ORDERS else "newest"
    found.sort(key=ORDERS[order][1])
    page = Paginator(found, PAGE).get_page(asked.get("page"))
    return Catalogue(
        total=len(entries),
        facets=tuple(_facet(key, searched, wanted) for key in FACETS),
        search=search,
        order=order,
        page=page.number,
        pages=page.paginator.num_pages,
        found=len(found),
        front=best_trade_offs(found),
        matching=tuple(found),
        shown=tuple(page.object_list),
        nearest_miss=_nearest_miss(searched, wanted) if not found else "",
    )


def best_trade_offs(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The Pareto front: nobody else is at least as fast and loses no more. By speed-up, rising."""
    front: list[Entry] = []
    for entry in sorted(entries, key=lambda one: (-one.speedup, one.drop_points)):
        if not front or entry.drop_points < front[-1].drop_points:
            front.append(entry)
    return tuple(reversed(front))


def _matches(entry: Entry, search: str) -> bool:
    origin = entry.record.origin
    text = " ".join([entry.name, entry.summary, origin.model, *(step.title for step in entry.record.steps)]).lower()
    return all(word in text for word in search.lower().split())


def _passes(entry: Entry, wanted: dict[str, set[str]], leaving_out: str = "") -> bool:
    return all(
        not values or key == leaving_out or values & set(FACETS[key][1](entry)) for key, values in wanted.items()
    )


def _facet(key: str, entries: Sequence[Entry], wanted: dict[str, set[str]]) -> Facet:
    title, values_of = FACETS[key]
    counts = Counter(
        value for entry in entries if _passes(entry, wanted, leaving_out=key) for value in values_of(entry)
    )
    known = {value for entry in entries for value in values_of(entry)} | (wanted[key] if wanted[key] else set())
    rank = {value: position for position, value in enumerate(VERDICTS)}
    ordered = sorted(known, key=lambda value: (rank.get(value, 99), value))
    return Facet(
        key=key, title=title, choices=tuple(Choice(value, counts[value], value in wanted[key]) for value in ordered)
    )


def _nearest_miss(entries: Sequence[Entry], wanted: dict[str, set[str]]) -> str:
    """Which single facet keeps everything out."""
    for key, values in wanted.items():
        left = sum(_passes(entry, wanted, leaving_out=key) for entry in entries)
        if values and left:
            word = "variant" if left == 1 else "variants"
            return f"{left} {word} would match without the filter on {FACETS[key][0].lower()}."
    return ""
