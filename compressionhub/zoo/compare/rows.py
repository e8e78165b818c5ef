"""One variant as a row: what stands in its cells, the figures its bars and limits need, its words and its rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from compressionhub.estimates import said
from compressionhub.ui import units
from compressionhub.zoo.compare import changed, sentences
from compressionhub.zoo.compare.estimated import CARBON, P95, Estimated, Figure, not_known
from compressionhub.zoo.compare.evidence import MOST_KEPT, Evidence
from compressionhub.zoo.compare.limits import ranks
from workers.serving.shown import NOTHING

Text = tuple[str, str]
Spot = tuple[float | None, ...]
LAST = float("inf")


@dataclass(frozen=True)
class Row:
    """A variant on the page. ``texts`` are a figure and what stands small beside it, by column.

    ``spots`` are value, low, high and baseline of each bar; ``limited`` the figures that limits are held against;
    ``worse`` names the columns in which it is worse than its baseline;
    ``share`` what is saved of the bill, from 0 to 1; ``reason`` why money is not known, where it is not;
    ``approval`` the address of a request for approval that waits for a decision.
    """

    id: str
    name: str
    model: str
    url: str
    family: str
    verdict: str
    texts: dict[str, Text]
    spots: dict[str, Spot]
    limited: dict[str, float | None]
    grades: dict[str, str]
    worse: tuple[str, ...]
    share: float | None
    reason: str
    says: str
    beside: str
    changed: tuple[Text, ...] | None
    approval: str
    ranks: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return self.__dict__


def rows(
    found: Sequence[Evidence], estimated: Estimated | None, *, missing: str, approvals: Mapping[UUID, str]
) -> list[Row]:
    """All variants as rows.

    Args:
        missing: why nothing is estimated, where it is not.
        approvals: the addresses of the requests that wait for a decision, by entry.
    """
    figures = [_figures(estimated, at, missing) for at in range(len(found))]
    placed = ranks(
        {
            "saves": [_by_saving(estimated, at, one) for at, one in enumerate(found)],
            "safest": [(-one.change[0], -one.change[1]) for one in found],
            "fastest": [(-one.speedup, -one.change[0]) for one in found],
            "waits": [(_or_last(each["p95"].value), -one.speedup) for each, one in zip(figures, found, strict=True)],
            "smallest": [(float(one.size_after), -one.speedup) for one in found],
        }
    )
    return [
        _row(one, each, estimated, at, places, approvals.get(one.pk, ""))
        for at, (one, each, places) in enumerate(zip(found, figures, placed, strict=True))
    ]


def _slugs(estimated: Estimated) -> dict[str, str]:
    return {"p95": P95, "bill": estimated.bill_slug, "kg": CARBON}


def _figures(estimated: Estimated | None, at: int, missing: str) -> dict[str, Figure]:
    if estimated is None:
        return dict.fromkeys(("p95", "bill", "kg"), not_known(missing))
    return {key: estimated.of(slug, at) for key, slug in _slugs(estimated).items()}


def _by_saving(estimated: Estimated | None, at: int, one: Evidence) -> tuple[float, ...]:
    """The largest share saved first; where nothing is known of money, what runs fastest."""
    share = estimated.saved(at).share if estimated is not None else None
    return (LAST if share is None else -share, -one.speedup, -one.change[0])


def _or_last(value: float | None) -> float:
    return LAST if value is None else value


def _row(
    one: Evidence, figures: dict[str, Figure], estimated: Estimated | None, at: int,
    places: dict[str, int], approval: str,
) -> Row:  # fmt: skip
    share = estimated.saved(at).share if estimated is not None else None
    speed = one.speedups["1"]
    spots: dict[str, Spot] = {
        "change": (*one.change, None), "speed": (speed.value, speed.low, speed.high, None),
        **{key: (each.value, each.low, each.high, each.before) for key, each in figures.items()},
    }  # fmt: skip
    return Row(
        id=str(one.pk), name=one.name, model=f"{one.model} v{one.version}", url=one.url,
        family=one.family, verdict=one.verdict,
        texts={**_measured(one), **_estimated(figures, estimated, share)}, spots=spots,
        limited={"loss": -one.change[0], **{key: each.value for key, each in figures.items()}},
        grades=_grades(figures),
        worse=_worse(one, figures), share=share,
        reason=next((each.reason for each in figures.values() if each.reason), ""),
        says=sentences.choice(one, estimated, at), beside=sentences.beside(one), approval=approval,
        changed=changed.cells(one.changes),
        ranks=places,
    )  # fmt: skip


def _grades(figures: dict[str, Figure]) -> dict[str, str]:
    """The classes of what is estimated and known; the other columns are measured."""
    return {key: each.grade.value for key, each in figures.items() if each.grade is not None}


def _worse(one: Evidence, figures: dict[str, Figure]) -> tuple[str, ...]:
    slower = ("speed",) if one.batch_words.get("1") == "slower" else ()
    return (*slower, *(key for key, each in figures.items() if each.is_worse))


@lru_cache(maxsize=MOST_KEPT)
def _measured(one: Evidence) -> dict[str, Text]:
    change = units.number(one.change[0], 2, signed=True) + (" %" if one.is_relative else "")
    large = one.speedups.get("32")
    beside = ("" if one.past_tokens is None else "next token", f"{units.times(large.value)} at 32" if large else "")
    return {
        "change": (change, "" if one.distinguishable else "noise"),
        "speed": (units.times(one.speedup), " · ".join(each for each in beside if each)),
        "size": (units.file_size(one.size_after), f"{units.times(one.size_before / one.size_after, 1)} smaller"),
    }


def _estimated(figures: dict[str, Figure], estimated: Estimated | None, share: float | None) -> dict[str, Text]:
    money = estimated.currency if estimated else "$"
    return {
        "p95": (_text(figures["p95"], "ms"), ""),
        "bill": (_text(figures["bill"], money), _saving(share)),
        "kg": (_text(figures["kg"], "kg CO2e"), _span(figures["kg"])),
    }


def _text(figure: Figure, unit: str) -> str:
    return units.UNKNOWN if figure.value is None else said.figure(figure.value, unit)


def _saving(share: float | None) -> str:
    if share is None:
        return ""
    return "no change" if abs(share) < NOTHING else f"{units.number(-100 * share, 1, signed=True)} %"


def _span(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    if figure.value is not None and abs(figure.value) < 0.01:  # said.figure writes such a weight in grams
        return f"{units.significant(figure.low * 1000, 2)}–{units.significant(figure.high * 1000, 2)} g"
    return f"{units.significant(figure.low, 2)}–{units.significant(figure.high, 2)}"


def baseline(found: Sequence[Evidence], estimated: Estimated | None) -> Row | None:
    """The one baseline of all variants, as it was measured with the newest of them; None if there are several."""
    if not found or len({(one.model, one.version, one.baseline_sha256) for one in found}) > 1:
        return None
    at, newest = max(enumerate(found), key=lambda each: each[1].published_at)
    figures = _figures(estimated, at, "")
    before = {key: Figure(each.before, None, None, None, each.grade) for key, each in figures.items()}
    times = "baseline, as measured in the newest job" if len(found) > 1 else "baseline, measured in the same job"
    texts = {
        "change": (newest.metric_before, ""), "speed": ("1.00×", ""), "size": (units.file_size(newest.size_before), ""),
        **_estimated(before, estimated, None),
    }  # fmt: skip
    return Row(
        id=str(newest.pk), name=f"{newest.model} v{newest.version}", model=times, url="", family="", verdict="",
        texts=texts, spots={}, limited={}, grades=_grades(before), worse=(), share=None, reason="", says="", beside="",
        changed=None, approval="",
    )  # fmt: skip
