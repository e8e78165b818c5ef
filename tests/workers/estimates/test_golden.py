"""Our figures against the golden example, the ladder of volumes, and what independent tools say of the same load."""

import pytest

from tests.workers.estimates import golden
from workers.estimate import Amount, Grade
from workers.serving.figures import figures
from workers.serving.shown import as_hours, headline
from workers.serving.worked_example import FP32, INT8, JOB, workload

CLOSE = 1e-3
SIDES = pytest.mark.parametrize(("position", "expected"), [(0, golden.FP32), (1, golden.INT8)], ids=["fp32", "int8"])


@pytest.fixture(scope="module")
def found():
    return figures(workload(), FP32, [INT8], jobs=[JOB])


def band(amount: Amount) -> tuple[float | None, ...]:
    return amount.low, amount.value, amount.high


def test_rates(found):
    assert found.load.workload.rate_per_s == pytest.approx(golden.MEAN_RATE, rel=CLOSE)
    assert found.load.workload.hourly_rates().max() == pytest.approx(golden.PEAK_RATE, rel=CLOSE)


@SIDES
def test_instances_and_waiting(found, position, expected):
    assert found.amount("instances-at-peak", position).value == expected.peak_instances
    assert found.amount("instances-mean", position).value == pytest.approx(expected.mean_instances)
    assert found.amount("latency-at-peak", position).value == pytest.approx(expected.p95_ms, rel=CLOSE)
    assert found.amount("headroom", position).value == pytest.approx(expected.headroom, rel=CLOSE)


@SIDES
def test_bills(found, position, expected):
    for slug, usd in (
        ("cost-static", expected.static), ("cost-autoscaled", expected.autoscaled),
        ("cost-serverless", expected.serverless), ("cost-per-million", expected.per_million),
    ):  # fmt: skip
        amount = found.amount(slug, position)
        assert amount.value == pytest.approx(usd, rel=CLOSE), slug
        assert amount.grade is Grade.TABLE


@SIDES
def test_energy_and_carbon_with_their_ranges(found, position, expected):
    for slug, triple in (
        ("energy", expected.kwh), ("energy-per-inference", expected.mwh_each), ("carbon-use", expected.use_kg),
        ("carbon-embodied", expected.embodied_kg), ("sci", expected.sci),
    ):  # fmt: skip
        assert band(found.amount(slug, position)) == pytest.approx(triple, rel=CLOSE), slug
    both = tuple(use + made for use, made in zip(expected.use_kg, expected.embodied_kg, strict=True))
    assert band(found.amount("carbon", position)) == pytest.approx(both, rel=CLOSE)


def test_watts(found):
    assert found.load.watts[0, :, 0] == pytest.approx(golden.WATTS_FP32, rel=CLOSE)
    assert found.load.watts[1, :, 0] == pytest.approx(golden.WATTS_INT8, rel=CLOSE)


def test_savings(found):
    assert found.saving_amount("cost-autoscaled", 1).value == pytest.approx(golden.SAVED_USD, rel=CLOSE)
    assert found.relative_saving_amount("cost-autoscaled", 1).value == pytest.approx(golden.SAVED_SHARE, rel=CLOSE)
    assert band(found.saving_amount("energy", 1)) == pytest.approx(golden.SAVED_KWH, rel=CLOSE)
    assert band(found.saving_amount("carbon", 1)) == pytest.approx(golden.SAVED_KG, rel=CLOSE)
    assert headline(found, 1) == "Saves 51.7 % of the bill: $465 a month."


def test_absolute_carbon_spans_3_1_times_the_relative_saving_half_a_point(found):
    absolute, relative = found.amount("carbon", 0), found.relative_saving_amount("carbon", 1)

    assert absolute.high / absolute.low == pytest.approx(3.1, abs=0.05)
    assert (relative.low, relative.high) == pytest.approx((0.563, 0.568), abs=5e-4)


def test_the_job_and_its_payback(found):
    assert found.amount("job-energy", 1).value == pytest.approx(golden.JOB_KWH, rel=CLOSE)
    assert found.amount("job-carbon", 1).value == pytest.approx(golden.JOB_KG, rel=CLOSE)
    assert found.amount("job-cost", 1).value == pytest.approx(golden.JOB_USD, rel=CLOSE)
    cost, carbon = found.amount("payback-cost", 1), found.amount("payback-carbon", 1)
    assert cost.value == pytest.approx(golden.PAYBACK_COST, rel=CLOSE)
    assert carbon.value == pytest.approx(golden.PAYBACK_CARBON, rel=CLOSE)
    assert as_hours(cost, found.load.workload).value == pytest.approx(3, abs=0.2)
    assert as_hours(carbon, found.load.workload).value == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize(("monthly", "share"), golden.LADDER.items())
def test_the_same_speed_up_saves_what_the_volume_allows(monthly, share):
    found = figures(workload(predictions_per_month=monthly), FP32, [INT8])

    assert found.relative_saving_amount("cost-autoscaled", 1).value == pytest.approx(share, abs=5e-4)


def test_boavizta_agrees_with_the_high_end(found):
    """Boavizta 2.5.0 on the same load: 20.45 W an instance for fp32; int8 2.9 % above ours."""
    assert 20.45 / found.load.watts[0, 2, 0] == pytest.approx(1.008, abs=1e-3)
    assert 18.735 / found.load.watts[1, 2, 0] == pytest.approx(1.029, abs=1e-3)


def test_cloud_carbon_footprint_is_the_low_end(found):
    """Its coefficients give 49.5 kWh of IT power a month."""
    assert found.amount("energy", 0).low / 1.08 == pytest.approx(49.5, rel=1e-3)


def test_codecarbons_grid_factor_is_a_little_below_the_central_one(found):
    """codecarbon 3.3.2 has 369.5 g/kWh for the USA."""
    assert 369.5 / found.load.machine.need("grid_g_per_kwh").value - 1 == pytest.approx(-0.037, abs=1e-3)


def test_the_two_accepted_tools_differ_2_2_times_so_the_band_is_no_narrower(found):
    low, _, high = found.load.watts[0, :, 0]

    assert 20.45 / low == pytest.approx(2.2, abs=0.02)
    assert high / low > 2.1
