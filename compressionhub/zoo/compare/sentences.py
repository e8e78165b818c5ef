"""What is said of a variant in plain words, from figures that others measured or estimated."""

from __future__ import annotations

from functools import lru_cache

from compressionhub.estimates import said
from compressionhub.ui import units
from compressionhub.zoo.compare.estimated import P95, Estimated, Figure
from compressionhub.zoo.compare.evidence import MOST_KEPT, Evidence
from workers.serving.shown import NOTHING


def choice(one: Evidence, found: Estimated | None, at: int) -> str:
    """The gain and the loss in one breath, as it goes on after "it": what it saves, what it costs, what waits."""
    gain = _bill(found, at) if found is not None else ""
    wait = _wait(found.of(P95, at)) if found is not None else ""
    told = f"{gain or _speed(one)}. {accuracy(one)}"
    return f"{told}; {wait}." if wait else f"{told}."


@lru_cache(maxsize=MOST_KEPT)
def beside(one: Evidence) -> str:
    """What else is to be known: where it is slower and why, what its gate says, what only the file gains."""
    return " ".join(each for each in (_slower(one), _smaller(one), _gate(one)) if each)


@lru_cache(maxsize=MOST_KEPT)
def accuracy(one: Evidence) -> str:
    """``Top-1 accuracy −0.42 points (0.13 to 0.71), more than noise``."""
    middle, worst, best = one.change
    if not one.is_labelled:
        return (
            f"{units.number(100 + middle, 2)} % of the answers stay the same ({units.span(100 + worst, 100 + best, 2)})"
        )
    if one.is_relative:
        way = "worse" if middle < 0 else "better"
        told = f"{one.metric} {units.number(abs(middle), 2)} % {way}"
    else:
        told = f"{one.metric} {units.number(middle, 2, signed=True)} points"
    if not one.distinguishable:
        return f"{told}, within noise ({units.count(one.rows)} samples)"
    if min(worst, best) < 0 < max(worst, best):
        ends = units.span(worst, best, 2, signed=True)
    else:
        ends = units.span(min(abs(worst), abs(best)), max(abs(worst), abs(best)), 2)
    return f"{told} ({ends}), more than noise"


def _speed(one: Evidence) -> str:
    does = "runs" if one.past_tokens is None else "writes the next token"
    return f"{does} {units.times(one.speedup)} as fast at batch 1"


def _bill(found: Estimated, at: int) -> str:
    saved = found.saved(at)
    if saved.share is None or saved.amount is None:
        return ""
    if abs(saved.share) < NOTHING:
        floor = f" ({found.assumed.workload.ha_floor} instances, the least you keep, carry both)"
        return f"saves nothing of the bill{floor if found.on_the_floor(at) else ''}"
    told = f"{units.percent(abs(saved.share), 1)} {'of' if saved.share > 0 else 'to'} the bill"
    return f"{'saves' if saved.share > 0 else 'adds'} {told} ({said.figure(abs(saved.amount), found.currency)} a month)"


def _wait(p95: Figure) -> str:
    if p95.value is None or p95.before is None:
        return ""
    before, after = said.figure(p95.before, "ms", bare=True), said.figure(p95.value, "ms")
    if before == after.removesuffix(" ms"):
        return f"p95 at peak stays at {after}"
    return f"p95 at peak {'falls' if p95.value < p95.before else 'rises'} from {before} to {after}"


def _slower(one: Evidence) -> str:
    """``Slower at batch 32 (0.88×): this CPU widens float16 before computing.``"""
    slow = [batch for batch, word in one.batch_words.items() if word == "slower" and batch in one.speedups]
    if not slow:
        return ""
    where = " and ".join(f"{batch} ({units.times(one.speedups[batch].value)})" for batch in slow)
    because = f"{one.because.rstrip('.')}" if one.because else "the reason is not known"
    return f"Slower at batch {where}: {because[0].lower() + because[1:]}."


def _smaller(one: Evidence) -> str:
    if one.verdict == "smaller-only":
        ratio = units.times(one.size_before / one.size_after, 1)
        why = f" {one.because}" if one.because else ""
        return f"Smaller only: the file shrinks {ratio}, but it runs no faster.{why}"
    if one.verdict == "no-gain" and one.zip_after < 0.95 * one.zip_before:
        return (
            f"Smaller to ship only: {units.file_size(one.zip_after)} zipped, {units.file_size(one.zip_before)} before."
        )
    return "No gain in speed or size." if one.verdict == "no-gain" else ""


def _gate(one: Evidence) -> str:
    if -one.change[1] <= one.gate or -one.change[0] > one.gate:
        return ""
    end = units.number(one.change[1], 2, signed=True)
    return f"Its interval reaches {end} and crosses its gate of {one.gate:g} {one.unit}: other test data might fail it."
