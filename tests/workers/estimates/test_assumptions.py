"""What somebody assumed, typed in or chose, how old it may be, and what the job itself took."""

from datetime import date

import pytest
from pydantic import ValidationError

from workers.estimate import Amount, Grade, InputFact
from workers.serving.figures import figures
from workers.serving.jobs import JobRun, Metered
from workers.serving.service import Factor
from workers.serving.shown import headline, in_currency
from workers.serving.worked_example import FP32, INT8, JOB, owned_workload, typed_in, workload
from workers.serving.workload import DAYS, Currency, Override, Workload

TODAY = date(2026, 11, 22)


def fact(**more) -> InputFact:
    band = {"value": 2, "low": 1, "high": 3}
    return InputFact(
        **{"name": "x", "title": "X", "unit": "W", "grade": Grade.TABLE, "source": "a table", **band, **more}
    )


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


def test_an_override_ages_like_what_it_replaces():
    old = date(2023, 5, 1)

    for name in ("price_usd_per_hour", "grid_g_per_kwh", "usd_per_kwh"):
        assert Override(name=name, value=1, author="Lena", as_of=old).fact().stale(TODAY), name
    assert Override(name="pue", value=1.3, author="Lena", as_of=old).fact().stale(TODAY) == ""


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
