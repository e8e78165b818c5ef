"""The packaged rows against the whole tables they were taken from, where ``REFERENCE_DATA`` names their folder."""

import csv
import json
import os
from pathlib import Path

import pytest

from workers.errors import YoursToFix
from workers.serving.figures import figures
from workers.serving.tables import FOLDER, tables
from workers.serving.worked_example import FP32, INT8, JOB, workload

REFERENCE = os.environ.get("REFERENCE_DATA", "")
pytestmark = pytest.mark.skipif(
    not (REFERENCE and (Path(REFERENCE) / "prices.csv").is_file()),
    reason="REFERENCE_DATA names no folder of reference tables: the packaged rows are NOT checked against them",
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(("ours", "theirs"), [("prices.csv", "prices.csv"), ("grid_*.csv", "grid.csv")])
def test_every_packaged_row_stands_in_the_reference_as_it_is(ours, theirs):
    reference = {tuple(row.values()) for row in rows(Path(REFERENCE) / theirs)}

    packaged = [tuple(row.values()) for path in FOLDER.glob(ours) for row in rows(path)]

    assert packaged and [row for row in packaged if row not in reference] == []


def test_the_whole_price_table_can_be_uploaded():
    found = tables().replaced("prices", (Path(REFERENCE) / "prices.csv").read_text())

    assert len(found.prices) > 900
    assert figures(workload(), FP32, [], data=found).amount("cost-static", 0).value == pytest.approx(2482)


def test_the_whole_grid_table_is_refused_because_two_sources_claim_the_same_zones():
    with pytest.raises(YoursToFix, match="doubled"):
        tables().replaced("grid", (Path(REFERENCE) / "grid.csv").read_text())


def test_the_reference_example_is_reproduced_to_a_thousandth():
    expected = json.loads((Path(REFERENCE) / "golden-example.json").read_text())["expected"]
    found = figures(workload(), FP32, [INT8], jobs=[JOB])
    bills = {"bill_static": "cost-static", "bill_autoscaled": "cost-autoscaled", "bill_serverless": "cost-serverless"}
    bands = {
        "kwh_month": "energy",
        "kg_operational": "carbon-use",
        "kg_embodied": "carbon-embodied",
        "sci_g_per_1000": "sci",
    }

    for position, name in enumerate(("fp32", "int8")):
        for key, slug in bills.items():
            assert found.amount(slug, position).value == pytest.approx(expected[name][key], rel=1e-3)
        for key, slug in bands.items():
            amount = found.amount(slug, position)
            assert [amount.low, amount.value, amount.high] == pytest.approx(expected[name][key], rel=1e-3)
