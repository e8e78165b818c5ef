"""Times measured on one host and carried to another machine: by the fits of both, or not at all."""

import pytest

from compressionhub.zoo import savings
from tests.compressionhub.zoo.timed_hosts import WORK, at, fit_of, told
from workers.device import profiles
from workers.emulation.layers import op_costs
from workers.estimate import Grade


def test_a_host_that_timed_itself_is_carried_to_a_fitted_machine_in_class_c(entry, workload):
    known = told(entry, fit=fit_of(1e11))

    before, after = savings.service_times(known, at(workload, "Standard_D4s_v6"))

    assert before.grade is after.grade is Grade.TABLE and before.workers == 4
    there = profiles()["x86-d64s-v6-1t"].fit
    costs, parts = op_costs("onnxruntime"), WORK[0]
    moved = 4 * (parts["weights"] + parts["act_in"] + parts["act_out"])

    def seconds(macs_per_s: float, bytes_per_s: float, layer_s: float) -> float:
        return costs.c3w * parts["macs"] / macs_per_s + moved / bytes_per_s + parts["count"] * layer_s

    ratio = seconds(there.effective_macs_per_s, there.effective_bytes_per_s, there.effective_layer_s)
    ratio /= seconds(1e11, 5e10, 5e-6)
    assert before.mean_s == pytest.approx(0.2e-3 * ratio, rel=1e-6)
    assert before.mean_s / after.mean_s == pytest.approx(2.0)
    assert before.shared == after.shared and before.shared.high >= 2
    assert "calibrated on ncnn" in before.source


def test_int8_is_not_carried_to_other_instructions_but_drawn_from_what_is_published(entry, workload):
    known = told(entry, isa=("avx2",), fit=fit_of(1e11))

    before, after = savings.service_times(known, at(workload, "Standard_D4s_v6"))

    assert before.mean_s / after.mean_s == pytest.approx(1.09)
    assert "1612" in after.source


def test_without_a_fit_of_either_side_nothing_is_said(entry, workload):
    for known, instance in ((told(entry), "Standard_D4s_v6"), (told(entry, fit=fit_of(1e11)), "Standard_D4as_v6")):
        found = savings.savings(known, at(workload, instance))
        assert not found.is_known and "upload a latency file" in found.unknown


def test_a_declared_profile_is_measured_there(entry, workload):
    known = told(entry, profile="c6i-xlarge-1t")

    before, _ = savings.service_times(known, workload.assumed)

    assert before.grade is Grade.MODELLED and before.mean_s == pytest.approx(0.2e-3)


def test_a_float_variant_is_carried_like_its_baseline_to_any_instructions(entry, workload):
    known = told(entry, isa=("avx2",), precision="float32", fit=fit_of(1e11))

    before, after = savings.service_times(known, at(workload, "Standard_D4s_v6"))

    assert before.mean_s / after.mean_s == pytest.approx(2.0)
