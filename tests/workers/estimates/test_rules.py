"""The rules of honest figures: classes, authors, ranges, zero, never, not known, staleness, overrides."""

from datetime import date

import pytest
from pydantic import ValidationError

from workers.errors import YoursToFix
from workers.estimate import Amount, Grade, InputFact, worst
from workers.report import Ratio
from workers.serving.figures import figures
from workers.serving.jobs import JobRun, Metered
from workers.serving.service import Factor
from workers.serving.shown import as_hours, headline, in_currency
from workers.serving.worked_example import FP32, INT8, JOB, owned_workload, typed_in, workload
from workers.serving.workload import DAYS, Currency, Override, Workload

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
    assert "46 ms" in found.saving_amount("cost-autoscaled", 1).reason


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


def test_idle_hardware_is_counted():
    """Twice the floor without traffic is twice the energy and carbon."""
    two, four = (figures(workload(predictions_per_month=1, ha_floor=count), FP32, []) for count in (2, 4))

    assert four.amount("energy", 0).value == pytest.approx(2 * two.amount("energy", 0).value, rel=1e-3)
    assert four.amount("carbon-embodied", 0).value == pytest.approx(2 * two.amount("carbon-embodied", 0).value)


# --- staleness


@pytest.mark.parametrize(("day", "stale"), [(date(2027, 1, 16), False), (date(2027, 1, 17), True)])
def test_a_price_is_stale_after_180_days(day, stale):
    bill = figures(workload(), FP32, []).amount("cost-autoscaled", 0)  # of 2026-07-20

    assert bool(bill.stale(day)) is stale


@pytest.mark.parametrize(("year", "stale"), [(2025, False), (2024, False), (2023, True), (2009, True)])
def test_a_grid_factor_is_stale_over_two_calendar_years(year, stale):
    assert bool(fact(ages="grid", year=year).stale(TODAY)) is stale


def test_a_source_without_date_is_badged():
    assert "states no year" in fact(ages="grid").stale(TODAY)
    assert "states no date" in fact(ages="price").stale(TODAY)
    assert fact(ages="no", as_of=date(1999, 1, 1)).stale(TODAY) == ""


# --- overrides, choices, currency


def test_an_override_is_a_named_input_with_its_author():
    typed = (Override(name="pue", value=1.3, author="Lena Okafor", as_of=TODAY),)

    energy = figures(workload(overrides=typed), FP32, []).amount("energy", 0)

    (pue,) = energy.overrides()
    assert (pue.name, pue.author, pue.value, pue.grade) == ("pue", "Lena Okafor", 1.3, Grade.ASSUMED)
    assert energy.value == pytest.approx(83.8152 * 1.3 / 1.15, rel=1e-3)
    assert energy.grade is Grade.ASSUMED


def test_an_override_with_a_source_is_class_c():
    assert Override(name="pue", value=1.3, author="Lena", source="meter room report").fact().grade is Grade.TABLE


def test_an_override_that_cannot_be_is_refused():
    for wrong in ({"name": "pue", "value": 0.9}, {"name": "usd_per_kwh", "value": 1, "low": 2}):
        with pytest.raises(ValidationError):
            Override(author="Lena", **wrong)
    with pytest.raises(ValidationError, match="typed in twice"):
        workload(overrides=(*typed_in(), *typed_in()))


def test_every_choice_has_its_author():
    given = workload(author="Ravi", authors={"ha_floor": "Lena"})

    choices = {each.name: each.author for each in figures(given, FP32, []).amount("cost-autoscaled", 0).choices()}

    assert choices["ha_floor"] == "Lena"
    assert choices["peak_factor"] == choices["predictions_per_month"] == choices["sla_p95_ms"] == "Ravi"


def test_requests_a_day_are_a_month_by_730_hours():
    given = workload(predictions_per_month=None, requests_per_day=1000)

    assert given.monthly == pytest.approx(1000 * 730 / 24) == 1000 * DAYS


@pytest.mark.parametrize(
    "wrong",
    [
        {"predictions_per_month": None}, {"requests_per_day": 5}, {"predictions_per_month": -1},
        {"predictions_per_month": float("inf")}, {"target_utilisation": 1}, {"peak_factor": 0.5},
        {"shape": (1.0,) * 23}, {"shape": (1.0,) * 24}, {"author": ""}, {"billing": "on-premises"}, {"ha_floor": -1},
    ],
    ids=str,
)  # fmt: skip
def test_a_workload_that_cannot_be_computed_is_refused(wrong):
    with pytest.raises(ValidationError):
        workload(**wrong)


def test_a_workload_survives_json():
    assert Workload.model_validate_json(owned_workload().model_dump_json()) == owned_workload()


def test_another_currency_is_a_dated_input_with_an_author_and_leaves_other_units_alone():
    euro = Currency(code="EUR", per_usd=0.9, as_of=date(2026, 1, 2), author="Lena")
    found = figures(workload(currency=euro), FP32, [INT8])
    bill, energy = found.amount("cost-autoscaled", 0), found.amount("energy", 0)

    shown = in_currency(bill, euro)

    assert (shown.value, shown.unit) == (pytest.approx(0.9 * 899.725), "EUR/month")
    assert shown.inputs[-1].author == "Lena" and len(shown.stale(TODAY)) == 1
    assert shown == Amount.model_validate_json(shown.model_dump_json())
    assert in_currency(energy, euro) == energy and in_currency(bill, None) == bill
    assert headline(found, 1) == "Saves 51.7 % of the bill: 419 EUR a month."


# --- the job itself


def test_a_metered_job_is_class_a_gross_with_its_net_beside():
    metered = Metered(gross_kwh=0.5, net_kwh=0.3, meter="RAPL")
    energy = JobRun(title="job #7", hours=1, metered=metered).energy_fact()

    assert (energy.value, energy.grade) == (0.5, Grade.MEASURED)
    assert "0.3 kWh" in energy.source and "RAPL" in energy.source
    with pytest.raises(ValidationError, match="net <= gross"):
        Metered(gross_kwh=0.3, net_kwh=0.5, meter="RAPL")


def test_a_job_without_a_meter_is_class_c_and_without_watts_not_known():
    assert JOB.energy_fact().grade is Grade.TABLE
    found = figures(workload(), FP32, [INT8], jobs=[JobRun(title="job #8", hours=1)])

    assert "without a meter" in found.amount("payback-carbon", 1).reason
    assert "Type in $/h" in found.amount("payback-cost", 1).reason


def test_a_variant_without_a_job_on_record_has_no_payback():
    found = figures(workload(), FP32, [INT8, INT8], jobs=[None, JOB])

    assert found.amount("payback-cost", 1).reason == "No job is on record that made it."
    assert found.amount("payback-cost", 2).is_known


def test_a_measured_pair_keeps_the_interval_of_its_speed_up():
    measured = FP32.model_copy(update={"own": Factor(low=2.5 / 2.56, high=2.5 / 2.44)})

    assert (measured.fact().low, measured.fact().high) == pytest.approx((0.04 * 2.5 / 2.56, 0.04 * 2.5 / 2.44))
