"""The rules of honest figures: classes, authors, ranges, zero, never, not known, staleness, overrides."""

from datetime import date

import pytest
from pydantic import ValidationError

from workers.errors import YoursToFix
from workers.estimate import Amount, Grade, InputFact, worst
from workers.report import Ratio
from workers.serving.figures import figures
from workers.serving.service import Factor
from workers.serving.shown import as_hours, headline
from workers.serving.worked_example import FP32, INT8, JOB, owned_workload, typed_in, workload
from workers.serving.workload import Override

TODAY = date(2026, 11, 22)


def fact(grade: Grade | None = Grade.TABLE, **more) -> InputFact:
    given = {
        "name": "x",
        "title": "X",
        "value": 2,
        "low": 1,
        "high": 3,
        "unit": "W",
        "grade": grade,
        "source": "a table",
    }
    return InputFact(**{**given, **more})


# --- classes and authors


def test_a_figure_is_as_firm_as_its_least_firm_input():
    inputs = (fact(Grade.MEASURED), fact(Grade.ASSUMED), fact(Grade.TABLE), fact(None, author="Lena"))

    assert Amount.of(1, 1, 1, "W", method="m", inputs=inputs).grade is Grade.ASSUMED
    assert worst([None, Grade.MODELLED, Grade.MEASURED]) is Grade.MODELLED
    assert worst([None]) is None


def test_a_choice_lends_no_class():
    amount = Amount.of(1, 1, 1, "W", method="m", inputs=(fact(Grade.MEASURED), fact(None, author="Lena")))

    assert amount.grade is Grade.MEASURED
    assert [each.author for each in amount.choices()] == ["Lena"]


def test_an_input_without_class_and_author_is_refused():
    with pytest.raises(ValidationError, match="a class or an author"):
        fact(None)


def test_a_figure_cannot_claim_a_better_class_than_its_inputs():
    with pytest.raises(ValidationError, match="expected class C or worse"):
        Amount(value=1, low=1, high=1, unit="W", grade=Grade.MEASURED, method="m", inputs=(fact(Grade.TABLE),))


def test_a_value_outside_its_range_is_refused():
    with pytest.raises(ValidationError, match="low <= value <= high"):
        Amount.of(5, 1, 3, "W", method="m", inputs=(fact(),))


def test_not_known_says_why_and_has_no_value():
    amount = Amount.unknown("$/month", "No price is known.")

    assert (amount.value, amount.state, amount.reason) == (None, "unknown", "No price is known.")
    with pytest.raises(ValidationError, match="says why"):
        Amount(value=None, low=None, high=None, unit="$", grade=None, method="", state="unknown")


def test_dollars_are_class_c_and_the_paired_percentage_in_which_the_price_cancels_is_b():
    found = figures(workload(), FP32, [INT8])

    assert found.saving_amount("cost-autoscaled", 1).grade is Grade.TABLE
    share = found.relative_saving_amount("cost-autoscaled", 1)
    assert share.grade is Grade.MODELLED
    assert "price_usd_per_hour" not in {each.name for each in share.inputs}


@pytest.mark.parametrize("price", [0.01, 3.0])
def test_the_relative_saving_is_the_same_at_any_price(price):
    typed = (
        *typed_in(),
        Override(name="price_usd_per_hour", value=price, low=price / 2, high=price * 2, author="Lena"),
    )
    found = figures(workload(overrides=typed), FP32, [INT8])

    share = found.relative_saving_amount("cost-autoscaled", 1)

    assert (share.low, share.value, share.high) == pytest.approx((0.517241,) * 3, rel=1e-5)
    assert found.saving_amount("cost-autoscaled", 1).high == pytest.approx(2 * 3.75 * 730 * price)


def test_savings_are_paired_and_not_high_minus_low():
    found = figures(workload(), FP32, [FP32])

    saving = found.saving_amount("carbon", 1)

    assert found.amount("carbon", 0).high > 3 * found.amount("carbon", 0).low
    assert (saving.low, saving.value, saving.high) == (0, 0, 0)


def test_what_a_prediction_is_off_by_for_both_drops_out_of_the_saving():
    there = Ratio(value=1.5, low=0.9, high=2.4)
    before, after = (each.predicted_on("c7g", there, source="predictor", workers=4) for each in (FP32, INT8))
    found = figures(workload(predictions_per_month=1e11, sla_p95_ms=None, instance="c7g.xlarge"), before, [after])

    bill, share = found.amount("cost-autoscaled", 0), found.relative_saving_amount("cost-autoscaled", 1)

    assert bill.high > 2 * bill.low
    assert share.low == pytest.approx(0.6, abs=0.002) and share.high == pytest.approx(0.6, abs=0.002)
    assert share.grade is Grade.TABLE


def test_what_a_variant_is_off_by_alone_widens_its_saving():
    unsure = INT8.model_copy(update={"own": Factor(low=0.5, high=2)})
    found = figures(workload(predictions_per_month=1e11, sla_p95_ms=None), FP32, [unsure])

    share = found.relative_saving_amount("cost-autoscaled", 1)

    assert (share.low, share.value, share.high) == pytest.approx((0.2, 0.6, 0.8), abs=0.01)


def test_a_baseline_and_its_variants_come_about_in_one_way():
    elsewhere = INT8.model_copy(update={"device": "rpi5"})

    with pytest.raises(YoursToFix, match="came about in one way"):
        figures(workload(), FP32, [elsewhere])


# --- zero and never


def test_saving_nothing_is_zero_dollars_and_pays_back_never():
    found = figures(workload(predictions_per_month=5e7), FP32, [INT8], jobs=[JOB])

    saving, payback = found.saving_amount("cost-autoscaled", 1), found.amount("payback-cost", 1)

    assert (saving.state, saving.value, saving.low, saving.high) == ("known", 0, 0, 0)
    assert (payback.state, payback.value) == ("never", None)
    assert as_hours(payback, found.load.workload).is_never
    assert headline(found, 1) == "Saves nothing of the bill: 2 instances, the least you keep, carry both."


def test_a_variant_that_costs_more_never_pays_back_and_says_so():
    found = figures(workload(), INT8, [FP32], jobs=[JOB])

    assert found.amount("payback-carbon", 1).is_never
    assert found.saving_amount("cost-autoscaled", 1).value == pytest.approx(-465.375)
    assert headline(found, 1) == "Adds 107.1 % to the bill: $465 a month."


def test_a_payback_that_may_never_come_has_no_upper_end():
    unsure = INT8.model_copy(update={"own": Factor(low=0.9, high=3)})
    found = figures(workload(sla_p95_ms=None), FP32, [unsure], jobs=[JOB])

    payback = found.amount("payback-cost", 1)

    assert payback.is_known and payback.low < payback.value and payback.high is None


def test_a_free_job_is_paid_back_at_once():
    free = JOB.model_copy(update={"usd_per_hour": 0.0})

    assert figures(workload(), FP32, [INT8], jobs=[free]).amount("payback-cost", 1).value == 0


# --- not known


def test_a_limit_no_longer_than_one_request_cannot_be_met_and_nothing_is_priced():
    found = figures(workload(sla_p95_ms=46), FP32, [INT8])

    for slug in ("instances-at-peak", "latency-at-peak", "cost-autoscaled", "energy", "carbon"):
        assert "no number of instances meets it" in found.amount(slug, 0).reason, slug
        assert found.amount(slug, 1).is_known, slug
    found = figures(workload(sla_p95_ms=46), FP32, [INT8], jobs=[JOB])
    for amount in (found.saving_amount("cost-autoscaled", 1), found.amount("payback-cost", 1)):
        assert amount.reason.startswith("Baseline: One request alone takes 46 ms")


def test_a_limit_that_the_high_end_cannot_meet_leaves_the_bill_open_ended():
    unsure = FP32.model_copy(update={"own": Factor(low=0.9, high=1.2)})

    bill = figures(workload(sla_p95_ms=50), unsure, []).amount("cost-autoscaled", 0)

    assert bill.is_known and bill.high is None and "high end" in bill.reason


@pytest.mark.parametrize("region", ["eu-central-1", "", "francecentral"])
def test_a_region_without_a_price_asks_and_no_other_stands_in(region):
    bill = figures(workload(region=region), FP32, []).amount("cost-autoscaled", 0)

    assert bill.value is None
    assert "no other region's is taken instead" in bill.reason


def test_a_typed_in_price_answers_for_such_a_region():
    typed = (Override(name="price_usd_per_hour", value=0.2, author="Lena", source="offer of 2026-11-02"),)

    bill = figures(workload(region="eu-central-1", overrides=typed), FP32, []).amount("cost-autoscaled", 0)

    assert bill.value == pytest.approx(0.2 * 7.25 * 730)


def test_there_is_no_default_price_of_electricity():
    without = owned_workload().model_copy(update={"overrides": ()})

    assert "type in $/kWh" in figures(without, FP32, []).amount("cost-on-premises", 0).reason


def test_cloud_and_premises_are_never_in_one_bill():
    rented, owned = figures(workload(), FP32, []), figures(owned_workload(), FP32, [])

    assert not rented.amount("cost-on-premises", 0).is_known
    assert not owned.amount("cost-autoscaled", 0).is_known


def test_a_cloud_bill_does_not_move_with_the_price_of_electricity():
    typed = (*typed_in(), Override(name="usd_per_kwh", value=9, author="Lena"))

    assert figures(workload(overrides=typed), FP32, []).amount("cost-autoscaled", 0).value == pytest.approx(899.725)


def test_an_owned_machine_costs_hardware_electricity_and_operations():
    found = figures(owned_workload(), FP32, [])
    machines, kwh = found.amount("instances-mean", 0).value, found.amount("energy", 0).value

    by_hand = machines * 730 * 6000 / (5 * 8760 * 0.5) + kwh * 0.20 + 400

    assert found.amount("cost-on-premises", 0).value == pytest.approx(by_hand)


def test_without_traffic_the_floor_is_billed_and_nothing_is_said_per_prediction():
    found = figures(workload(predictions_per_month=0), FP32, [INT8], jobs=[JOB])

    assert found.amount("cost-autoscaled", 0).value == pytest.approx(2 * 0.17 * 730)
    assert "Without traffic" in found.amount("sci", 0).reason
    assert "Without traffic" in found.amount("payback-cost", 1).reason


def test_without_traffic_and_floor_nothing_runs():
    found = figures(workload(predictions_per_month=0, ha_floor=0), FP32, [INT8])

    assert found.amount("cost-autoscaled", 0).value == 0
    assert found.amount("energy", 0).value == 0
    assert "zero" in found.relative_saving_amount("cost-autoscaled", 1).reason


# --- carbon


def test_market_based_carbon_is_a_line_of_its_own_and_needs_a_contract():
    without = figures(workload(overrides=()), FP32, [])
    found = figures(workload(), FP32, [])

    assert not without.amount("carbon-market", 0).is_known
    assert without.amount("carbon", 0) == found.amount("carbon", 0)
    assert found.amount("carbon-market", 0).value == pytest.approx(83.8152 * 50 / 1000 + 2.8275, rel=1e-3)


def test_what_functions_draw_is_an_assumption_and_said_to_be():
    energy = figures(workload(billing="serverless"), FP32, []).amount("energy", 0)

    assert energy.grade is Grade.ASSUMED
    assert any("no provider publishes" in each.source for each in energy.inputs)


def test_instances_that_never_stop_are_powered_all_day():
    scaled, static = (figures(workload(billing=way), FP32, []) for way in ("autoscaled", "static"))

    assert static.amount("carbon-embodied", 0).value == pytest.approx(
        20 / 7.25 * scaled.amount("carbon-embodied", 0).value
    )
    assert static.amount("energy", 0).value > scaled.amount("energy", 0).value


def test_idle_hardware_is_counted():
    """Twice the floor without traffic is twice the energy and carbon."""
    two, four = (figures(workload(predictions_per_month=1, ha_floor=count), FP32, []) for count in (2, 4))

    assert four.amount("energy", 0).value == pytest.approx(2 * two.amount("energy", 0).value, rel=1e-3)
    assert four.amount("carbon-embodied", 0).value == pytest.approx(2 * two.amount("carbon-embodied", 0).value)
