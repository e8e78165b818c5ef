"""What holds for every estimate in the folder, without naming one."""

import inspect
import json

import pytest

from workers.estimate import Amount, Estimate, estimates
from workers.serving.estimate import ServingEstimate
from workers.serving.figures import figures
from workers.serving.worked_example import FP32, INT8, JOB, owned_workload, workload

ALL = pytest.mark.parametrize("kind", estimates().values(), ids=estimates().keys())


def test_the_estimates_of_the_product_are_there():
    named = {
        "cost-static",
        "cost-autoscaled",
        "cost-serverless",
        "cost-on-premises",
        "energy",
        "carbon",
        "carbon-market",
    }
    named |= {"sci", "storage", "transfer", "gpu-to-cpu", "latency-at-peak", "right-sizing", "battery", "job-energy"}

    assert named | {"payback-cost", "payback-carbon"} <= set(estimates())


@ALL
def test_it_says_what_it_is(kind: type[Estimate]):
    about = kind.about

    assert 2 < len(about.title) < 40 and about.unit
    assert ("\n" not in about.formula and any(sign in about.formula for sign in "*/-+")) or "(" in about.formula
    assert len(about.legend) > 10 and len(about.source) > 10
    assert any(character.isdigit() for character in about.example), "an example has a figure"
    assert kind.card().endswith(".")


@ALL
def test_its_file_is_called_like_its_slug(kind):
    assert inspect.getfile(kind).endswith(f"/{kind.slug().replace('-', '_')}.py")


@ALL
def test_its_example_is_a_figure_with_class_range_method_and_inputs(kind):
    amount = kind.example()

    assert amount.is_known, amount.reason
    assert amount.low <= amount.value <= amount.high
    assert amount.grade is not None and amount.method and amount.inputs
    assert all(each.grade is None or each.source for each in amount.inputs)


@ALL
def test_its_example_survives_json_with_the_word_class(kind):
    amount = kind.example()

    text = amount.model_dump_json()

    assert json.loads(text)["class"] == amount.grade.value
    assert "grade" not in json.loads(text)
    assert Amount.model_validate_json(text) == amount


@pytest.mark.parametrize("setting", [workload(), owned_workload()], ids=["rented", "owned"])
def test_columns_and_single_figures_agree(setting):
    found = figures(setting, FP32, [INT8, FP32], jobs=[JOB, None])

    for slug in found.slugs:
        column = found.column(slug)
        for position in range(3):
            amount = found.amount(slug, position)
            if amount.is_known:
                ends = (column.low[position], column.value[position], column.high[position])
                assert (amount.low, amount.value, amount.high) == ends
                assert amount.grade == column.grades[position], slug


def test_what_cancels_is_the_name_of_an_input():
    rented, owned = figures(workload(), FP32, [INT8]), figures(owned_workload(), FP32, [INT8])

    for slug, kind in estimates().items():
        if issubclass(kind, ServingEstimate):
            found = owned if slug == "cost-on-premises" else rented
            assert kind.about.cancels <= {each.name for each in found.amount(slug, 0).inputs}, slug
