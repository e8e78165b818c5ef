"""Takes what the engine says of entries under a workload, and what was measured, into evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from django.utils import timezone

from compressionhub.estimates import said
from compressionhub.estimates.models import Workload
from compressionhub.jobs.gate import is_relative
from compressionhub.ui import units
from compressionhub.ui.templatetags.figures import is_share, metric_word
from compressionhub.zoo.models import Entry
from compressionhub.zoo.reports import sentences
from compressionhub.zoo.reports.evidence import CarbonParts, Cell, Evidence, Formula, Ground, Row, Variant
from compressionhub.zoo.savings import Savings, savings_or_why
from workers.estimate import Amount, InputFact, estimates

BILL, WAIT = "bill", "latency-at-peak"
TITLES = {BILL: "Bill a month", "energy": "Energy a month", "carbon": "CO₂e a month", WAIT: "p95 at peak"}
MEASURED: Final = "A"


def freeze(
    *, entries: Sequence[Entry], workload: Workload, question: str, by: str, number: int, approval: str
) -> Evidence:
    """The evidence of some entries under a workload, as of now.

    Args:
        entries: one, or several to be compared, each against its own baseline.
        question: what the report answers; a plain one is made up where it is empty.
        approval: what stands about a decision at this moment.
    """
    assumed, now = workload.assumed, timezone.now().replace(microsecond=0)
    found = [savings_or_why(entry, assumed) for entry in entries]
    variants = tuple(_variant(one) for one in found)
    facts = _facts(found)
    return Evidence(
        team=str(workload.team),
        number=number,
        title=sentences.title(variants),
        question=question or sentences.question(variants, workload.name),
        answer=sentences.answer(variants),
        workload=workload.name,
        setting=sentences.setting(assumed),
        made_by=by,
        made_at=now,
        variants=variants,
        grounds=tuple(_ground(fact, now.date()) for fact in facts),
        formulas=_formulas(variants),
        stale=tuple(dict.fromkeys(stale for fact in facts if (stale := fact.stale(now.date())))),
        tables_version=next((one.tables_version for one in found if one.is_known), ""),
        approval=approval,
    )


def _variant(found: Savings) -> Variant:
    entry, record = found.entry, found.entry.record
    estimated = _estimated(found) if found.is_known else ()
    return Variant(
        entry=str(entry.pk),
        name=entry.name,
        model=record.origin.model,
        model_version=record.origin.version,
        job=record.origin.job,
        verdict=entry.verdict,
        techniques=tuple(step.title for step in record.steps),
        gate=record.gate.summary,
        published=f"{units.day(entry.published_at)}{f' by {entry.published_by}' if entry.published_by else ''}",
        baseline_sha256=record.origin.baseline_sha256,
        bundle_sha256=record.bundle.sha256,
        headline=found.headline if found.is_known else f"What it saves is not known. {found.unknown}",
        says=sentences.says(found),
        rows=(*estimated, *_measured(entry)),
        carbon=_carbon(found),
        unknown=found.unknown,
    )


# --- what is estimated


def _amounts(found: Savings) -> Iterable[Amount]:
    """Every figure that stands on the report, but for the differences: they rest on the same."""
    if not found.is_known:
        return
    for pair in (found.bill, found.energy, found.carbon, found.wait):
        yield from (pair.before, pair.after)
    for _, _, cost, _, even, _ in found.paybacks:
        yield from (cost, even)


def _facts(found: Iterable[Savings]) -> list[InputFact]:
    """Every input of every figure once; those that a comparison repeats for its baseline stand there already."""
    facts = (fact for one in found for amount in _amounts(one) for fact in amount.inputs)
    return list(
        {(fact.name, fact.title, fact.value): fact for fact in facts if not fact.name.startswith("baseline_")}.values()
    )


def _estimated(found: Savings) -> tuple[Row, ...]:
    limit = found.assumed.workload.sla_p95_ms
    pairs = zip(TITLES.items(), (found.bill, found.energy, found.carbon, found.wait), strict=True)
    rows = [
        Row(
            slug=slug, title=title, before=_cell(pair.before), after=_cell(pair.after), saved=_cell(pair.saved),
            share=_cell(pair.share), limit=f"limit {units.milliseconds(limit)}" if limit and slug == WAIT else "",
        )
        for (slug, title), pair in pairs
    ]  # fmt: skip
    return (*rows, *_paybacks(found))


def _paybacks(found: Savings) -> Iterable[Row]:
    """What making the variant cost, and until when it is even: a cost before, an end after."""
    for title, key, cost, _, even, hours in found.paybacks:
        yield Row(
            slug=f"payback-{key}", title=f"Making it, {title if title.startswith('CO') else title.lower()}",
            before=_cell(cost), after=_cell(even), share=_cell(hours),
        )  # fmt: skip


def _cell(amount: Amount) -> Cell:
    return Cell(
        value=amount.value, low=amount.low, high=amount.high, unit=amount.unit,
        grade=amount.grade.value if amount.grade else None, source=_sources(amount.inputs), method=amount.method,
        state=amount.state, reason=amount.reason,
    )  # fmt: skip


def _sources(inputs: Iterable[InputFact]) -> str:
    """Every source that stands behind a figure, each once; choices with their author."""
    told = (f"{fact.title}: {said.rests_on(fact)}{_dated(fact)}" for fact in inputs)
    return " | ".join(dict.fromkeys(told))


def _dated(fact: InputFact) -> str:
    day = said.dated(fact)
    return f", {day}" if day else ""


def _ground(fact: InputFact, today: date) -> Ground:
    return Ground(
        name=fact.name, title=fact.title, value=fact.value, low=fact.low, high=fact.high, unit=fact.unit,
        said=said.input_value(fact), grade=fact.grade.value if fact.grade else None, author=fact.author,
        source=fact.source, as_of=fact.as_of, year=fact.year, region=fact.region, licence=fact.licence,
        stale=fact.stale(today), unverified=fact.unverified,
    )  # fmt: skip


def _carbon(found: Savings) -> tuple[CarbonParts, ...]:
    """Both networks' use and hardware; nothing where carbon is not known."""
    if not found.is_known:
        return ()
    parts = []
    for name, ask in (("baseline", found.before), (found.entry.name, found.after)):
        total, use, embodied = ask("carbon"), ask("carbon-use"), ask("carbon-embodied")
        if not total.is_known:
            return ()
        parts.append(
            CarbonParts(name=name, use=use.value or 0.0, embodied=embodied.value or 0.0, total=_cell(total))
        )  # fmt: skip
    return tuple(parts)


def _formulas(variants: Sequence[Variant]) -> tuple[Formula, ...]:
    """The formulas of the estimated figures, each once."""
    known = estimates()
    found: dict[str, str] = {}
    for row in (row for one in variants for row in one.rows if row.slug in known or row.slug == BILL):
        if row.after.method:
            found.setdefault(row.title, row.after.method)
    return tuple(Formula(title=title, formula=formula) for title, formula in found.items())


# --- what was measured


def _measured(entry: Entry) -> tuple[Row, ...]:
    """Accuracy, latency and file, from the entry's own record."""
    record = entry.record
    report, source = record.report, _where(entry)

    def cell(value: float, unit: str, low: float | None = None, high: float | None = None) -> Cell:
        ends = (value if low is None else low, value if high is None else high)
        return Cell(value=value, low=ends[0], high=ends[1], unit=unit, grade=MEASURED, source=source)

    speed = record.speedup
    before, after = report.baseline, report.result
    return (
        _metric(entry, source),
        Row(
            slug="latency-p50", title=f"{units.timed('1', after.past_tokens)}, p50",
            before=cell(before.latency["1"].p50_ms, "ms"), after=cell(after.latency["1"].p50_ms, "ms"),
            share=cell(speed.value, "times faster", speed.low, speed.high),
        ),
        Row(
            slug="file", title="File", before=cell(before.size_bytes, "bytes"), after=cell(after.size_bytes, "bytes"),
            share=cell(record.size_ratio, "times smaller"),
        ),
    )  # fmt: skip


def _metric(entry: Entry, source: str) -> Row:
    """The metric the gate looked at: a share from 0 to 1 with its change in points, or its own unit."""
    record = entry.record
    name = record.headline
    unit = "share" if is_share(name) else ""
    middle, worst, best = record.change

    def cell(value: float, low: float, high: float, unit: str) -> Cell:
        low, high = min(low, value), max(high, value)
        return Cell(value=value, low=low, high=high, unit=unit, grade=MEASURED, source=source)

    before, after = record.report.baseline.metrics[name], record.report.result.metrics[name]
    return Row(
        slug="metric", title=metric_word(name),
        before=cell(before.value, before.low, before.high, unit), after=cell(after.value, after.low, after.high, unit),
        share=cell(middle, worst, best, "% of the baseline" if is_relative(name) else "points"),
    )  # fmt: skip


def _where(entry: Entry) -> str:
    record = entry.record
    environment, rows = record.report.environment, record.origin.test_rows
    day = f", {units.day(environment.started_on)}" if environment.started_on else ""
    on = f"{record.origin.dataset}, {units.count(rows)} test rows" if rows else record.origin.dataset
    return f"measured in turns with its baseline, job #{record.origin.job}{day}, {environment.cpu}; {on}"
