"""A report as a table: one line per figure, each with value, low, high, unit, class and source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

from compressionhub.zoo.reports.evidence import Cell, Evidence, Ground

Value = float | str | None


@dataclass(frozen=True)
class CellLine:
    """One line of an export. Texts are what people typed; numbers are numbers; None is not known or not there."""

    variant: str
    figure: str
    of: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    klass: str
    source: str
    note: str

    @property
    def values(self) -> tuple[Value, ...]:
        return astuple(self)


HEADS = tuple("class" if field.name == "klass" else field.name for field in fields(CellLine))
OF = (("before", "baseline"), ("after", "variant"), ("saved", "saved"), ("share", "difference"))
PAYBACK_OF = (("before", "cost of the job"), ("after", "even after, predictions"), ("share", "even after, time"))


def lines(evidence: Evidence) -> Iterator[CellLine]:
    """Every figure of every variant, then everything they rest on."""
    for variant in evidence.variants:
        for row in variant.rows:
            for name, of in PAYBACK_OF if row.slug.startswith("payback") else OF:
                if (cell := getattr(row, name)) is not None:
                    yield _cell(variant.name, row.title, of, cell)
    for ground in evidence.grounds:
        yield _ground(ground)


def _cell(variant: str, figure: str, of: str, cell: Cell) -> CellLine:
    note = cell.reason if cell.state == "known" else f"{cell.state}: {cell.reason}".rstrip(": ")
    return CellLine(
        variant=variant, figure=figure, of=of, value=cell.value, low=cell.low, high=cell.high, unit=cell.unit,
        klass=cell.grade or "", source=cell.source, note=note,
    )  # fmt: skip


def _ground(ground: Ground) -> CellLine:
    dated = ground.as_of.isoformat() if ground.as_of else str(ground.year or "")
    told = (ground.source, ground.region, ground.licence, dated, f"author {ground.author}" if ground.author else "")
    return CellLine(
        variant="", figure=ground.title, of="input" if ground.grade else "choice", value=ground.value, low=ground.low,
        high=ground.high, unit=ground.unit, klass=ground.grade or "", source="; ".join(each for each in told if each),
        note=ground.stale,
    )  # fmt: skip
