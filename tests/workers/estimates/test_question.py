"""The estimates from a shell: a question as JSON, every figure back with its class and inputs."""

import json

import pytest

from tests.workers.estimates import golden
from workers import question
from workers.__main__ import main
from workers.serving.worked_example import figures

CLOSE = 1e-3


def in_figures() -> dict[str, object]:
    """The golden example as its source tells it: a machine in figures that no table holds."""
    return {
        "predictions_per_month": 1e9, "hours_per_month": 730, "peak_factor": 3.0, "target_utilisation": 0.6,
        "ha_floor": 2, "sla_p95_s": 0.1, "pue_low_central_high": [1.08, 1.15, 1.2],
        "grid_g_per_kwh_low_central_high": [323.05, 383.55, 418.0],
        "instance": {
            "name": "invented.size", "region": "us-east-1", "usd_per_hour": 0.17, "vcpu": 4, "workers": 4,
            "memory_gb": 8, "watts_per_vcpu_idle_full": [0.7668, 3.7582], "ram_w_per_gb": 0.1175,
            "host": {"threads": 128, "sockets": 2, "tdp_w": 300}, "other_parts_factor": 1.33,
            "embodied_kg_per_instance_month_low_central_high": [0.228, 0.39, 0.6284],
        },
        "serverless": {"usd_per_gb_s": 1.66667e-05, "usd_per_request": 2e-07, "memory_mb": 1769},
        "variants": {
            "fp32": {"service_s": 0.04, "service_p95_s": 0.046, "cs2": 0.05},
            "int8": {"service_s": 0.016, "service_p95_s": 0.019, "cs2": 0.05},
        },
        "compression_job": {"gpu_hours": 2.0, "watts": 300.0, "usd_per_hour": 1.006},
    }  # fmt: skip


@pytest.fixture
def ask(tmp_path, capsys):
    def answer(asked: object) -> tuple[int, dict[str, object], str]:
        path = tmp_path / "w.json"
        path.write_text(asked if isinstance(asked, str) else json.dumps(asked))
        status = main(["estimate", "--workload", str(path), "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out) if status == 0 else {}, said.err

    return answer


def band(amount):
    return amount["low"], amount["value"], amount["high"]


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "under inputs"])
def test_the_golden_example_comes_back_from_the_shell(ask, wrapped):
    status, said, _ = ask({"inputs": in_figures(), "expected": {}} if wrapped else in_figures())

    assert status == 0
    for name, expected in (("fp32", golden.FP32), ("int8", golden.INT8)):
        figure = said["figures"][name]
        assert band(figure["energy"]) == pytest.approx(expected.kwh, rel=CLOSE)
        assert band(figure["sci"]) == pytest.approx(expected.sci, rel=CLOSE)
        assert band(figure["carbon-embodied"]) == pytest.approx(expected.embodied_kg, rel=CLOSE)
        assert figure["cost-autoscaled"]["value"] == pytest.approx(expected.autoscaled, rel=CLOSE)
        assert figure["cost-serverless"]["value"] == pytest.approx(expected.serverless, rel=CLOSE)
        assert figure["latency-at-peak"]["value"] == pytest.approx(expected.p95_ms, rel=CLOSE)
    saved = said["savings"]["int8"]
    assert saved["cost-autoscaled"]["relative"]["value"] == pytest.approx(golden.SAVED_SHARE, rel=CLOSE)
    assert saved["payback-carbon-hours"]["value"] == pytest.approx(golden.PAYBACK_CARBON * 730 / 1e9, rel=CLOSE)
    assert said["figures"]["int8"]["payback-cost"]["value"] == pytest.approx(golden.PAYBACK_COST, rel=CLOSE)


def test_every_figure_says_what_it_rests_on(ask):
    _, said, _ = ask(in_figures())

    bill = said["figures"]["fp32"]["cost-static"]
    assert bill["class"] == "D" and bill["method"] == "N_peak * p * T"
    assert {"price_usd_per_hour", "predictions_per_month"} <= {each["name"] for each in bill["inputs"]}
    assert said["figures"]["fp32"]["storage"]["state"] == "unknown"


def test_a_machine_of_the_tables_needs_no_figures(ask):
    _, said, _ = ask(question.example())

    ours = figures()
    assert said["figures"]["int8"]["carbon"]["value"] == pytest.approx(ours.amount("carbon", 1).value)
    assert said["figures"]["int8"]["cost-static"]["class"] == "C"
    assert said["tables_version"] == ours.tables_version


def test_no_saving_is_zero_and_its_payback_is_never(ask):
    _, said, _ = ask({**in_figures(), "predictions_per_month": 5e7})

    assert said["savings"]["int8"]["cost-autoscaled"]["saving"]["value"] == 0
    assert said["figures"]["int8"]["payback-cost"]["state"] == "never"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"peak_factor": 0.5}, "greater than or equal to 1"),
        ({"surprise": 1}, "surprise"),
        ({"variants": {}}, "variants"),
        ({"predictions_per_month": 1e999}, "predictions_per_month"),
        ({"hours_per_month": 720}, "a part of the method"),
        ({"pue_low_central_high": [1.2, 1.1, 1.3]}, "low, central, high"),
        ({"instance": {"name": "nowhere.large"}}, "nowhere.large"),
        ({"requests_per_day": 5}, "either requests a day or predictions a month"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(ask, change, found):
    status, _, said = ask({**in_figures(), **change})

    assert status == 2 and found in said and "Expected" in said


def test_no_json_is_refused(ask):
    status, _, said = ask("not json")

    assert status == 2 and "Expected a workload as JSON" in said


def test_a_battery_lasts_as_the_published_example_says(ask):
    keyword = {"capacity_wh": 0.675, "base_w": 0.5e-3, "rate_per_s": 1, "before_j": 664e-6, "after_j": 332e-6}

    _, said, _ = ask({**in_figures(), "battery": keyword})

    life = said["battery"]
    assert (life["before"]["value"], life["after"]["value"]) == pytest.approx((464, 649), abs=0.5)
    assert life["gain"]["value"] == pytest.approx(0.40, abs=0.005) and life["off"]["value"] == pytest.approx(1080)


def test_the_right_instance_is_chosen_among_candidates(ask):
    asked = json.loads(question.example())
    int8 = asked["variants"]["int8"]
    _, said, _ = ask({**asked, "candidates": {"c6i.xlarge": int8, "c6i.8xlarge": int8, "c7i.xlarge": None}})

    assert said["sizing"]["chosen"]["instance"] == "c6i.xlarge"
    reasons = {each["instance"]: each["reason"] for each in said["sizing"]["others"]}
    assert "more than c6i.xlarge" in reasons["c6i.8xlarge"] and "Not measured" in reasons["c7i.xlarge"]


def test_machines_of_ones_own_are_billed_by_hardware_power_and_operations(ask):
    watts = {name: {"low": value, "value": value, "high": value} for name, value in (("idle_w", 80), ("active_w", 200))}
    owned = {
        "title": "server", "workers": 4, "memory_gb": 64, **watts, "hardware_usd": 6000, "life_years": 5,
        "used_share": 0.5, "operations_usd_per_month": 400, "grid_zone": "DEU",
    }  # fmt: skip
    _, said, _ = ask(
        {**in_figures(), "billing": "on-premises", "on_premises": owned, "overrides": {"usd_per_kwh": 0.2},
         "pue_low_central_high": [1.5, 1.5, 1.5]}
    )  # fmt: skip

    power = (80 + 120 * 0.524852) * 7.25 * 730 / 1000 * 1.5 * 0.2
    bill = said["figures"]["fp32"]["cost-on-premises"]["value"]
    assert bill == pytest.approx(6000 / (5 * 8760 * 0.5) * 7.25 * 730 + power + 400, rel=CLOSE)
