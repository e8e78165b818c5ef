"""A newer table that somebody hands in: what it changes, and what is refused with its line."""

from datetime import date

import pytest

from workers.errors import YoursToFix
from workers.serving.newer_tables import newer
from workers.serving.table_rows import KINDS
from workers.serving.tables import tables

TODAY = date(2026, 11, 28)
MINE = "aws,us-east-1,c6i.xlarge,{price},on-demand Linux,{day},offer 12,own\n"


def prices(*lines: str) -> bytes:
    """The packaged prices with some lines in place of c6i.xlarge's."""
    kept = [line for line in tables().texts["prices"].splitlines(keepends=True) if ",c6i.xlarge," not in line]
    return "".join([*kept, *lines]).encode()


def test_the_difference_names_the_cells_that_change():
    made, told = newer(tables(), "prices", prices(MINE.format(price=0.2, day="2026-11-01")), today=TODAY)

    assert (told.added, told.removed, told.changed) == (0, 0, 1)
    assert told.same == len(tables().prices) - 1
    assert {(change.row, change.column, change.before, change.after) for change in told.changes} >= {
        ("aws, us-east-1, c6i.xlarge", "usd_per_hour", "0.17", "0.2"),
        ("aws, us-east-1, c6i.xlarge", "as_of", "2026-07-20", "2026-11-01"),
    }
    assert made.prices["aws", "us-east-1", "c6i.xlarge"].usd_per_hour == 0.2
    assert tables().prices["aws", "us-east-1", "c6i.xlarge"].usd_per_hour == 0.17


def test_rows_that_come_and_go_are_told():
    line = MINE.format(price=1, day="2026-11-01").replace("us-east-1", "moon-1")

    _, told = newer(tables(), "prices", prices(line), today=TODAY)

    assert (told.added, told.removed, told.changed) == (1, 1, 0)
    assert [change.row for change in told.changes] == ["aws, moon-1, c6i.xlarge", "aws, us-east-1, c6i.xlarge"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_can_be_handed_in_again_and_changes_nothing(kind):
    with pytest.raises(YoursToFix, match="changes something"):
        newer(tables(), kind, tables().texts[kind].encode(), today=TODAY)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (MINE.format(price=0.2, day="2026-11-29"), "still to come"),
        (MINE.format(price=0.2, day=""), "as_of"),
        (MINE.format(price=0.2, day="2026-11-01").replace("offer 12", "=HYPERLINK(1)"), "take for a formula"),
        (MINE.format(price=0.2, day="2026-11-01").replace("offer 12", "x" * 3000), "3000 characters"),
        (MINE.format(price=-1, day="2026-11-01"), "usd_per_hour"),
    ],
)
def test_a_changed_row_needs_a_date_a_source_and_plain_text(line, said):
    last = len(prices(line).splitlines())

    with pytest.raises(YoursToFix, match=f"line {last}: .*{said}"):
        newer(tables(), "prices", prices(line), today=TODAY)


def test_an_undated_row_of_old_may_stay_but_not_change():
    text = tables().texts["grid"]
    row = next(line for line in text.splitlines() if line.startswith("BRA,"))
    changed = text.replace(row, row.replace("106.06", "90"))

    with pytest.raises(YoursToFix, match="year: no date"):
        newer(tables(), "grid", changed.encode(), today=TODAY)
    dated = row.replace("106.06", "90").replace("latest in package (year not stated per row)", "2025")
    made, told = newer(tables(), "grid", text.replace(row, dated).encode(), today=TODAY)
    assert made.grid["BRA"].gco2e_per_kwh == 90 and told.changed == 1


def test_an_instance_with_a_processor_of_no_table_is_refused():
    line = "aws,z9.large,2,4,quantum,,0,,sheet,fact\n"

    with pytest.raises(YoursToFix, match="quantum"):
        newer(tables(), "instances", (tables().texts["instances"] + line).encode(), today=TODAY)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "none at 0"), (b"a,b\n1,2\0", "a NUL"), (b"x" * (3 << 20), "3,145,728 bytes"), (b"", "no rows")],
)
def test_what_is_no_table_is_refused(content, said):
    with pytest.raises(YoursToFix, match=said):
        newer(tables(), "prices", content, today=TODAY)


def test_a_table_saved_by_a_spreadsheet_is_read():
    content = b"\xef\xbb\xbf" + prices(MINE.format(price=0.2, day="2026-11-01")).replace(b"\n", b"\r\n")

    _, told = newer(tables(), "prices", content, today=TODAY)

    assert told.changed == 1
