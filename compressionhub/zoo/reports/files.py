"""A report as CSV, XLSX, JSON and PDF. What somebody typed is data in all of them, never a formula or a command."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from compressionhub.zoo.reports.cells import HEADS, Value, lines
from compressionhub.zoo.reports.models import Report
from compressionhub.zoo.reports.sheet import sheet_of

if TYPE_CHECKING:
    import typst
    from xlsxwriter.worksheet import Worksheet

TEMPLATE = settings.BASE_DIR / "frontend" / "print" / "report.typ"
# A spreadsheet starts a formula at these, at the beginning of a cell and after what it skips there. Where the list
# separator is a semicolon, a program splits there even inside our quotes, so a beginning is looked for after each.
STARTS = "=+-@"
_BEGINNING = re.compile(r"(^|;)((?:[^\w;]|_)*)")


def csv_of(report: Report) -> bytes:
    """One line per figure. The mark at the front tells spreadsheets that it is UTF-8."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(HEADS)
    for line in lines(report.evidence):
        writer.writerow([harmless(value) for value in line.values])
    return b"\xef\xbb\xbf" + written.getvalue().encode()


def harmless(value: Value) -> Value:
    """A text that no spreadsheet takes for a formula; a number as it is.

    An apostrophe goes before whatever begins with a sign that starts one, also after white space, quotes and
    other marks, and in its full-width form.
    """
    if not isinstance(value, str):
        return "" if value is None else value
    return _BEGINNING.sub(_apostrophe, value)


def _apostrophe(found: re.Match[str]) -> str:
    separator, marks = found.groups()
    plain = unicodedata.normalize("NFKC", marks)
    may_start = marks[:1] in ("\t", "\r", "\n") or any(sign in plain for sign in STARTS)
    return f"{separator}'{marks}" if marks and may_start else found.group(0)


def xlsx_of(report: Report) -> bytes:
    """Two sheets: what the report says, and its figures. Texts are stored as texts, whatever they begin with."""
    import xlsxwriter

    made = io.BytesIO()
    options = {
        "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        "nan_inf_to_errors": False,
    }  # fmt: skip
    with xlsxwriter.Workbook(made, options) as book:
        heads = book.add_format({"bold": True, "bottom": 1})
        says = book.add_worksheet("Report")
        says.set_column(0, 0, 18)
        says.set_column(1, 1, 110)
        for at, (name, text) in enumerate(_facts(report)):
            says.write_string(at, 0, name, heads)
            says.write_string(at, 1, text)
        figures = book.add_worksheet("Figures")
        figures.set_column(0, 2, 24)
        figures.set_column(3, 7, 12)
        figures.set_column(8, 9, 80)
        figures.freeze_panes(1, 0)
        for at, head in enumerate(HEADS):
            figures.write_string(0, at, head, heads)
        for at, line in enumerate(lines(report.evidence), start=1):
            _write(figures, at, line.values)
    return made.getvalue()


def _write(sheet: Worksheet, at: int, values: tuple[Value, ...]) -> None:
    for column, value in enumerate(values):
        if isinstance(value, str):
            sheet.write_string(at, column, value)
        elif value is not None:
            sheet.write_number(at, column, value)


def _facts(report: Report) -> list[tuple[str, str]]:
    evidence = report.evidence
    return [
        ("Report", f"#{evidence.number}, {evidence.team}"), ("Title", evidence.title), ("Question", evidence.question),
        ("Answer", evidence.answer), *(("", said) for one in evidence.variants for said in one.says),
        ("Workload", f"{evidence.workload}: {evidence.setting}"), ("Approval", evidence.approval),
        ("Made by", evidence.made_by), ("Made at", evidence.made_at.isoformat()),
        ("Tables version", evidence.tables_version), ("sha256", report.sha256),
        *((f"How: {one.title}", one.formula) for one in evidence.formulas),
    ]  # fmt: skip


def json_of(report: Report) -> bytes:
    """The evidence with its hash; ``evidence`` is what was hashed, its keys sorted and without spaces."""
    whole = {"report": report.number, "sha256": report.sha256, "evidence": json.loads(report.evidence_text)}
    return json.dumps(whole, ensure_ascii=False, indent=1).encode()


def pdf_of(report: Report) -> bytes:
    """One A4 page. The sheet goes to the template as JSON, so nothing in it is read as typst."""
    import typst

    sheet: dict[str, Any] = asdict(sheet_of(report.evidence, report.sha256))
    made = typst.compile(
        str(TEMPLATE), root=str(TEMPLATE.parent), font_paths=_fonts(), ignore_system_fonts=True,
        sys_inputs={"sheet": json.dumps(sheet, ensure_ascii=False)}, timestamp=int(report.made_at.timestamp()),
    )  # fmt: skip
    assert isinstance(made, bytes), "a PDF without an output path comes as bytes"
    return made


@cache
def _fonts() -> typst.Fonts:
    import typst

    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(TEMPLATE.parent)])


KINDS: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "pdf": ("application/pdf", pdf_of),
    "csv": ("text/csv; charset=utf-8", csv_of),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx_of),
    "json": ("application/json", json_of),
}
