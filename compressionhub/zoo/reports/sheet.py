"""The sheet: what stands on the page, as text. HTML and PDF are drawn from the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from compressionhub.estimates import said
from compressionhub.ui import units
from compressionhub.ui.words import GRADES, VERDICTS
from compressionhub.zoo.reports.evidence import CarbonParts, Cell, Evidence, Ground, Row, Variant
from workers.estimate import Amount
from workers.serving.shown import NOTHING

BARS_WIDTH, BARS_LEFT = 380.0, 118.0
CHOICE = "choice"
METHOD = (
    "Whole instances, with the least that always run. A cloud bill contains its electricity; the two are not added. "
    "Savings come from paired inputs, so what stands on both sides drops out of their range. "
    "Carbon as in SCI, ISO/IEC 21031:2024: use and hardware, idle hardware included, offsets not counted. "
    "Accuracy, latency and file are measured; intervals are 95 %."
)
SOURCE_LETTERS = 150


@dataclass(frozen=True)
class Figure:
    """A text with its class, and the head of its column; ``grade`` is empty where none applies."""

    text: str
    grade: str = ""
    head: str = ""


@dataclass(frozen=True)
class Line:
    """A row of the figures."""

    title: str
    before: str
    after: str
    saved: str
    span: str
    grade: str
    share_grade: str


@dataclass(frozen=True)
class Compared:
    """A row of a comparison."""

    name: str
    baseline: str
    verdict: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Bar:
    """Carbon of one network in a box 660 wide: use, then hardware, and the whisker."""

    name: str
    css: str
    y: int
    use: float
    embodied: float
    low: float
    high: float
    said: str
    span: str

    @property
    def embodied_x(self) -> float:
        return BARS_LEFT + self.use + 2

    @property
    def text_x(self) -> float:
        return max(BARS_LEFT + self.use + self.embodied, self.high) + 8


@dataclass(frozen=True)
class Rest:
    """Something the figures rest on."""

    title: str
    source: str
    grade: str
    old: bool


@dataclass(frozen=True)
class Sheet:
    head: str
    title: str
    question: str
    setting: str
    answer: str
    big: str
    big_note: str
    big_grade: str
    says: tuple[str, ...]
    lines: tuple[Line, ...]
    heads: tuple[str, ...]
    compared: tuple[Compared, ...]
    bars: tuple[Bar, ...]
    rests: tuple[Rest, ...]
    formulas: tuple[tuple[str, str], ...]
    method: str
    approval: str
    stale: tuple[str, ...]
    foot: str
    classes: tuple[tuple[str, str], ...]


HEADS = ("Saves of the bill", "Bill now", "Bill after", "CO₂e saved", "p95 at peak", "Accuracy", "File")


def sheet_of(evidence: Evidence, sha256: str) -> Sheet:
    """The sheet of a report, from its evidence alone."""
    first = evidence.variants[0]
    single = not evidence.is_comparison
    big, note, big_grade = _big(first) if single else ("", "", "")
    return Sheet(
        head=f"{evidence.team} · CompressionHub report #{evidence.number}",
        title=evidence.title,
        question=evidence.question,
        setting=f"{evidence.workload}: {evidence.setting} Evidence of {units.day(evidence.made_at)}.",
        answer=evidence.answer,
        big=big,
        big_note=note,
        big_grade=big_grade,
        says=first.says if single else tuple(f"{one.name}: {one.says[1]}" for one in evidence.variants),
        lines=tuple(_line(row) for row in first.rows if _is_told(row)) if single else (),
        heads=() if single else HEADS,
        compared=() if single else tuple(_compared(one) for one in evidence.variants),
        bars=_bars(first.carbon) if single else (),
        rests=(*_measured(evidence), *_rests(_shown(evidence))),
        formulas=tuple((one.title, one.formula) for one in evidence.formulas),
        method=METHOD,
        approval=evidence.approval,
        stale=evidence.stale,
        foot=_foot(evidence, sha256),
        classes=tuple(GRADES.items()),
    )


def _foot(evidence: Evidence, sha256: str) -> str:
    tables = f" Tables version {evidence.tables_version}." if evidence.tables_version else ""
    when = f"{units.day(evidence.made_at)}, {evidence.made_at:%H:%M} UTC"
    return f"Made by {evidence.made_by}, {when}.{tables} sha256 of the evidence {sha256}."


def _big(variant: Variant) -> tuple[str, str, str]:
    """The figure that stands largest, what it is, and its class."""
    bill = variant.row("bill")
    if bill is None or bill.share is None or bill.saved is None or bill.share.value is None:
        return units.UNKNOWN, variant.unknown or (bill.after.reason if bill else "") or "what it saves of the bill", ""
    value, grade = bill.share.value, bill.share.grade or ""
    if abs(value) < NOTHING:
        return "$0", "saved: " + variant.headline[0].lower() + variant.headline[1:], grade
    word = "of the bill saved" if value > 0 else "added to the bill"
    shown = bill.saved.model_copy(update={"value": abs(bill.saved.value or 0.0)})
    return said.figure(abs(value), "share"), f"{word}: {text(shown)} a month", max(grade, bill.saved.grade or "")


def text(cell: Cell | None) -> str:
    """A cell as people read it."""
    return "–" if cell is None else _text(cell, bare=False)


def _text(cell: Cell, *, bare: bool) -> str:
    if cell.value is None:
        return said.NEVER if cell.state == "never" else units.UNKNOWN
    return _number(cell.value, cell.unit, bare=bare)


def _number(value: float, unit: str, *, bare: bool = False) -> str:
    match unit:
        case "share":
            return units.percent(value, 2)
        case "bytes":
            return units.file_size(value)
        case "points" | "% of the baseline":
            return f"{units.number(value, 2, signed=True)}{'' if bare else f' {unit}'}"
        case "times faster" | "times smaller":
            return units.times(value, 2 if unit == "times faster" else 1)
        case "":
            return units.significant(value)
    return said.figure(value, unit, bare=bare)


def _line(row: Row) -> Line:
    """Money, energy, carbon and waiting say what is saved; measured rows say how they differ."""
    share_grade = row.share.grade or "" if row.share else ""
    grade = max(one.grade or "" for one in (row.before, row.after, row.saved or row.after))
    return Line(
        title=row.title, before=text(row.before), after=text(row.after), saved=_saved(row), span=_span(row),
        grade=grade, share_grade=share_grade if share_grade != grade else "",
    )  # fmt: skip


def _is_told(row: Row) -> bool:
    """A payback of which nothing is known is said in a sentence and takes no line."""
    return not row.slug.startswith("payback") or row.before.is_known or row.after.state != "unknown"


def _saved(row: Row) -> str:
    if row.saved is not None and row.share is not None:
        share = f" ({said.figure(row.share.value, 'share')})" if row.share.is_known else ""
        return f"{text(row.saved)}{share}"
    if row.slug.startswith("payback"):
        return f"even after {text(row.share)}" if row.share and row.share.is_known else ""
    return _text(row.share, bare=False) if row.share else "–"


def _span(row: Row) -> str:
    """The range of the saving: of the share where the engine knows it, else of the amount."""
    cell = row.share if row.share and row.share.is_known else row.saved
    if cell is None or not cell.is_known:
        reason = row.after.reason or (cell.reason if cell else "")
        return reason
    if cell.low == cell.high:
        return row.limit or ("exact" if row.slug == "file" else "")
    unit = "share" if row.saved is not None and cell is row.share else cell.unit
    return f"{_ends(cell, unit)}{f', {row.limit}' if row.limit else ''}"


def _ends(cell: Cell, unit: str) -> str:
    if unit == "share":
        return said.span(_as_amount(cell))
    low = "no lower end" if cell.low is None else _number(cell.low, cell.unit, bare=True)
    high = "no upper end" if cell.high is None else _number(cell.high, cell.unit, bare=True)
    return f"{low} to {high}"


def _as_amount(cell: Cell) -> Amount:
    return Amount(value=cell.value, low=cell.low, high=cell.high, unit=cell.unit, method="")


def _compared(variant: Variant) -> Compared:
    bill, carbon, wait = (variant.row(slug) for slug in ("bill", "carbon", "latency-at-peak"))
    metric, file = variant.row("metric"), variant.row("file")
    figures = (
        _share(bill), _figure(bill, "before"), _figure(bill, "after"), _share(carbon), _figure(wait, "after"),
        _figure(metric, "share"), _figure(file, "after"),
    )  # fmt: skip
    return Compared(
        name=variant.name,
        baseline=f"{variant.model} v{variant.model_version}",
        verdict=VERDICTS[variant.verdict].text if variant.verdict in VERDICTS else variant.verdict,
        figures=tuple(replace(figure, head=head) for head, figure in zip(HEADS, figures, strict=True)),
    )


def _share(row: Row | None) -> Figure:
    """A share with its range under it."""
    if row is None or row.share is None or not row.share.is_known:
        return Figure(units.UNKNOWN)
    ends = f" ({_ends(row.share, 'share')})" if row.share.low != row.share.high else ""
    return Figure(f"{said.figure(row.share.value, 'share')}{ends}", row.share.grade or "")


def _figure(row: Row | None, side: Literal["before", "after", "share"]) -> Figure:
    cell: Cell | None = getattr(row, side, None)
    return Figure(text(cell), cell.grade or "") if cell is not None and cell.is_known else Figure(units.UNKNOWN)


def _bars(parts: Sequence[CarbonParts]) -> tuple[Bar, ...]:
    if not parts:
        return ()
    most = max(one.total.high or one.total.value or 0.0 for one in parts) or 1e-12
    return tuple(_bar(one, at, BARS_WIDTH / most) for at, one in enumerate(parts))


def _bar(part: CarbonParts, at: int, scale: float) -> Bar:
    total = part.total
    low, high = total.low or 0.0, total.high or total.value or 0.0
    name = part.name if len(part.name) < 17 else f"{part.name[:15]}…"
    return Bar(
        name=name, css="use" if at else "useb", y=8 + 44 * at, use=part.use * scale, embodied=part.embodied * scale,
        low=BARS_LEFT + low * scale, high=BARS_LEFT + high * scale, said=text(total),
        span=_ends(total, total.unit),
    )  # fmt: skip


def _measured(evidence: Evidence) -> tuple[Rest, ...]:
    """Where accuracy, latency and file were measured, once for all variants of one job and machine."""
    told = {row.after.source: one.name for one in evidence.variants if (row := one.row("metric"))}
    title = "Accuracy, latency, file"
    return tuple(
        Rest(f"{title}, {name}" if len(told) > 1 else title, source, "A", False) for source, name in told.items()
    )  # fmt: skip


def _shown(evidence: Evidence) -> Sequence[Ground]:
    """What the sheet's own figures rest on: a comparison has no line for what making a variant cost."""
    if not evidence.is_comparison:
        return evidence.grounds
    return [ground for ground in evidence.grounds if not ground.name.startswith("job_")]


def _rests(grounds: Sequence[Ground]) -> tuple[Rest, ...]:
    """Data by title, with the sources; then what each person has chosen, in one row each."""
    data: dict[str, list[Ground]] = {}
    choices: dict[str, list[Ground]] = {}
    for ground in grounds:
        kept = choices if ground.grade is None else data
        kept.setdefault(ground.author if ground.grade is None else ground.title, []).append(ground)
    chosen = (Rest(f"Chosen by {who}", "; ".join(map(_said, all_of)), CHOICE, False) for who, all_of in choices.items())
    return (*(_rest(all_of) for all_of in data.values()), *chosen)


def _rest(grounds: Sequence[Ground]) -> Rest:
    """Inputs of one title, such as the service time before and after."""
    first = grounds[0]
    marks = [mark for mark, holds in (("unverified", first.unverified), ("old", bool(first.stale))) if holds]
    sources = "; ".join(dict.fromkeys(source for ground in grounds if (source := _shortened(_source(ground)))))
    return Rest(
        title=f"{first.title}: {', '.join(dict.fromkeys(ground.said for ground in grounds))}",
        source=f"{sources} ({', '.join(marks)})" if marks else sources,
        grade=max(ground.grade or "" for ground in grounds),
        old=bool(first.stale),
    )


def _said(ground: Ground) -> str:
    return f"{ground.title.lower() if ground.title[1:2].islower() else ground.title} {ground.said}"


def _source(ground: Ground) -> str:
    """Where an input is from and of when: the date first, so that it stays where the rest is cut."""
    dated = units.day(ground.as_of) if ground.as_of else str(ground.year or "")
    typed = f"typed in by {ground.author}" if ground.author else ""
    source = "" if typed and ground.source == "typed in" else ground.source
    return "; ".join(part for part in (dated, typed, source, ground.region, ground.licence) if part)


def _shortened(text: str) -> str:
    """One page holds no essays: the tables that go with a report have every source in full."""
    return text if len(text) <= SOURCE_LETTERS else f"{text[:SOURCE_LETTERS].rsplit(' ', 1)[0]} …"
