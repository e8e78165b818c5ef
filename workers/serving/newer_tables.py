"""A newer table that somebody hands in: checked more strictly than a packaged one, and told as a difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from workers.errors import Frozen, YoursToFix
from workers.serving.table_rows import FORMULA_STARTS, LONGEST_CELL, MOST_BYTES, TABLES, Kind, TableRow, keyed, rows
from workers.serving.tables import Tables


class Change(Frozen):
    """One cell that differs; ``before`` is empty for a new row, ``after`` for one that is gone."""

    row: str
    column: str
    before: str
    after: str


class Difference(Frozen):
    """What a newer table changes. ``changes`` holds the cells of rows that stay, and a line for every other row."""

    added: int
    removed: int
    changed: int
    same: int
    changes: tuple[Change, ...]

    @property
    def is_nothing(self) -> bool:
        return not (self.added or self.removed or self.changed)

    @property
    def sentence(self) -> str:
        return f"{self.added} rows new, {self.removed} gone, {self.changed} changed, {self.same} as they were."


def newer(old: Tables, kind: Kind, content: bytes, *, today: date) -> tuple[Tables, Difference]:
    """The tables with one replaced, and what that changes.

    Every row that is not as it was needs a source, a licence and, in tables of dated figures, a date that is not in the
    future. Cells that a spreadsheet would take for a formula are refused.

    Raises:
        YoursToFix: naming the line, or if nothing changes.
    """
    text, about = _text(content), TABLES[kind]
    before = keyed(rows(old.texts[kind], about.row), about.row)

    def check(row: TableRow) -> str:
        return "" if before.get(row.key) == row else _wrong_with(row, about.dated, today)

    after = rows(text, about.row, check=check)
    made, told = old.replaced(kind, text), difference(before, keyed(after, about.row))
    if told.is_nothing:
        raise YoursToFix(
            f"Expected a table that changes something, found the {about.title.lower()} as they are.",
            hint="Change a row, and its date and source with it.", code="tables.same",
        )  # fmt: skip
    return made, told


def difference(before: Mapping[tuple[str, ...], TableRow], after: Mapping[tuple[str, ...], TableRow]) -> Difference:
    """Rows by key, cell by cell."""
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    kept = sorted(before.keys() & after.keys())
    cells = [change for key in kept for change in _cells(key, before[key], after[key])]
    rows_changed = len({change.row for change in cells})
    news = [Change(row=_name(key), column="row", before="", after=_main(after[key])) for key in added]
    gone = [Change(row=_name(key), column="row", before=_main(before[key]), after="") for key in removed]
    return Difference(
        added=len(added), removed=len(removed), changed=rows_changed, same=len(kept) - rows_changed,
        changes=(*cells, *news, *gone),
    )  # fmt: skip


def _cells(key: tuple[str, ...], before: TableRow, after: TableRow) -> Iterator[Change]:
    for column in type(after).model_fields:
        was, now = getattr(before, column), getattr(after, column)
        if was != now:
            yield Change(row=_name(key), column=column, before=_said(was), after=_said(now))


def _name(key: tuple[str, ...]) -> str:
    return ", ".join(key)


def _main(row: TableRow) -> str:
    """The figures of a row."""
    named = {name: value for name, value in row if isinstance(value, float)}
    return ", ".join(f"{name} {value:g}" for name, value in named.items()) or "one row"


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise _refused(f"{len(content):,} bytes", hint=f"Keep it below {MOST_BYTES >> 20} MiB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise _refused(f"a byte that is none at {fault.start}", hint="Save the file as CSV UTF-8.") from None
    if "\0" in text:
        raise _refused("a NUL", hint="Save the file as CSV UTF-8.")
    return text.replace("\r\n", "\n")


def _refused(found: str, *, hint: str) -> YoursToFix:
    return YoursToFix(f"Expected a CSV file in UTF-8, found {found}.", hint=hint, code="tables.invalid")


def _wrong_with(row: TableRow, dated: str, today: date) -> str:
    for name, value in row:
        if isinstance(value, str) and len(value) > LONGEST_CELL:
            return f"{name}: {len(value)} characters, at most {LONGEST_CELL}"
        if isinstance(value, str) and value.startswith(FORMULA_STARTS):
            return f"{name}: {value[:20]!r}, which a spreadsheet would take for a formula"
    return _undated(row, dated, today) if dated else ""


def _undated(row: TableRow, dated: str, today: date) -> str:
    when = getattr(row, dated)
    if when is None:
        return f"{dated}: no date; say of when the figure is"
    late = when > today if isinstance(when, date) else when > today.year
    return f"{dated}: {when}, which is still to come" if late else ""
