import math

import pytest

from tests.workers.emulation.synthetic import PER_BYTE, PER_LAYER, PER_MAC, a_fit, a_profile, network
from workers import device
from workers.emulation import Ask, HostTime, Layer, predict, predicted_ratio
from workers.emulation.layers import op_costs
from workers.emulation.predictor import Anchor, quantile
from workers.errors import YoursToFix


def band(ask: Ask, profile: device.DeviceProfile):
    found = predict(ask, profile).latency_ms
    assert found is not None
    return found


def test_the_time_is_products_plus_bytes_plus_layers():
    expected_s = 20e6 * PER_MAC + 4 * (250e3 + 125e3 + 125e3) * PER_BYTE + PER_LAYER

    assert band(Ask(layers=network()), a_profile(a_fit())).value == pytest.approx(1e3 * expected_s)


@pytest.mark.parametrize("kind", ["c3w", "cx", "dw", "fc", "gemm"])
def test_a_product_costs_what_its_kind_of_layer_costs(kind):
    profile = a_profile(a_fit())

    more = band(Ask(layers=network(kind=kind)), profile).value - band(Ask(layers=network()), profile).value

    cost = getattr(op_costs("cpu"), kind)
    assert more == pytest.approx(1e3 * (cost - 1) * 20e6 * PER_MAC)


def test_layers_given_as_a_sum_take_as_long_as_one_by_one():
    one = network()[0]
    sums = {name: 3 * getattr(one, name) for name in ("macs", "weights", "act_in", "act_out")}
    profile = a_profile(a_fit())

    together = band(Ask(layers=(Layer(kind="c1", count=3, **sums),)), profile)

    assert together.value == pytest.approx(band(Ask(layers=(one, one, one)), profile).value)


def test_a_profile_without_a_fit_predicts_nothing_and_says_what_would_help():
    found = predict(Ask(layers=network()), a_profile(None))

    assert found.latency_ms is None
    assert "upload a latency file" in found.why


def test_a_narrow_band_is_kept_at_fifteen_percent():
    found = band(Ask(layers=network()), a_profile(a_fit(log_residuals=(0.0,) * 12)))

    assert found.low / found.value == pytest.approx(0.85)
    assert found.high / found.value == pytest.approx(1.15)


def test_a_weak_fit_is_class_d_and_its_band_at_least_half():
    found = band(Ask(layers=network()), a_profile(a_fit(grade="D")))

    assert (found.grade, found.low / found.value, found.high / found.value) == ("D", pytest.approx(0.5), 1.5)


def test_the_band_follows_the_residuals_of_unseen_networks():
    residuals = tuple(-0.4 + 0.04 * i for i in range(21))

    found = band(Ask(layers=network()), a_profile(a_fit(log_residuals=residuals)))

    assert math.log(found.low / found.value) == pytest.approx(-0.396)
    assert math.log(found.high / found.value) == pytest.approx(0.396)


def test_another_runtime_widens_the_band_by_half_and_names_the_calibrated_one():
    profile = a_profile(a_fit(), runtime="onnxruntime")

    found = predict(Ask(layers=network()), profile)

    assert found.latency_ms.high / found.latency_ms.value == pytest.approx(1.15**1.5)
    assert any("calibrated on ncnn" in note and "×1.5" in note for note in found.notes)
    assert band(Ask(layers=network(), runtime="ncnn"), profile).high < found.latency_ms.high


def test_a_kind_of_layer_that_no_calibration_network_had_doubles_the_band_with_the_reason():
    found = predict(Ask(layers=network(kind="gemm")), a_profile(a_fit()))

    assert found.latency_ms.high / found.latency_ms.value == pytest.approx(1.15**2)
    assert any("×2" in note and "matrix products" in note for note in found.notes)


def test_both_reasons_to_widen_count():
    found = band(Ask(layers=network(kind="gemm")), a_profile(a_fit(), runtime="onnxruntime"))

    assert found.high / found.value == pytest.approx(1.15**3)


@pytest.fixture
def host(monkeypatch):
    def make(threads: int, fit: bool = True) -> device.DeviceProfile:
        made = a_profile(a_fit(threads=threads) if fit else None).model_copy(update={"key": "host", "title": "A host"})
        monkeypatch.setattr(device, "profile", lambda key: made)
        return made

    return make


def moved_by(times: float, host: device.DeviceProfile) -> float:
    """By what a prediction elsewhere is moved when a host takes so many times as long as predicted for it."""
    there, asked = a_profile(a_fit(effective_macs_per_s=5e9)), network()
    ask = Ask(layers=asked, host=HostTime(device="host", p50_ms=times * band(Ask(layers=asked), host).value))
    return band(ask, there).value / band(Ask(layers=asked), there).value


@pytest.mark.parametrize("times", [0.9, 1.05])
def test_a_network_a_little_off_on_a_host_is_expected_four_tenths_as_far_off_elsewhere(host, times):
    assert moved_by(times, host(1)) == pytest.approx(times**0.4, rel=0.01)


def test_a_network_far_off_on_a_host_is_rather_that_hosts_affair(host):
    assert 1.05 < moved_by(1.5, host(8)) < moved_by(10, host(8)) < math.exp(0.4 * 0.3) < 1.13
    assert moved_by(1 / 10, host(8)) == pytest.approx(1 / moved_by(10, host(8)))


def test_the_band_moves_with_the_time_on_a_host(host):
    plain = band(Ask(layers=network()), host(1)).value

    found = band(Ask(layers=network(), host=HostTime(device="host", p50_ms=2 * plain)), a_profile(a_fit()))

    assert found.low / found.value == pytest.approx(0.85)
    assert found.high / found.value == pytest.approx(1.15)


def test_a_host_without_a_fit_changes_nothing_and_is_said_to_be_left_out(host):
    host(1, fit=False)
    profile = a_profile(a_fit())

    found = predict(Ask(layers=network(), host=HostTime(device="host", p50_ms=5)), profile)

    assert found.latency_ms.value == band(Ask(layers=network()), profile).value
    assert any("left out" in note for note in found.notes)


def test_an_unknown_host_is_refused():
    with pytest.raises(YoursToFix, match="device profile"):
        predict(Ask(layers=network(), host=HostTime(device="nowhere", p50_ms=5)), a_profile(a_fit()))


def anchor(**changes) -> Anchor:
    return Anchor.model_validate({"layers": network(), "p50_ms": 7.0, "runtime": "ncnn"} | changes)


@pytest.mark.parametrize(
    ("runtime", "number", "exponent"),
    [("onnxruntime", 1, 0.8), ("onnxruntime", 3, 3 / 3.25), ("ncnn", 1, 0.1), ("ncnn", 9, 0.5)],
)
def test_times_of_the_device_move_predictions_most_where_its_runtime_was_never_fitted(runtime, number, exponent):
    profile = a_profile(a_fit(), runtime=runtime)
    plain = band(Ask(layers=network()), profile)
    others = [network(macs=60e6 + i) for i in range(number)]
    taken = tuple(
        anchor(layers=one, p50_ms=3 * band(Ask(layers=one), profile).value, runtime=runtime) for one in others
    )

    found = band(Ask(layers=network(), anchors=taken), profile)

    assert found.value == pytest.approx(plain.value * 3**exponent)
    assert found.grade == "C"


def test_a_time_in_another_number_format_moves_a_prediction_half_the_way():
    profile = a_profile(a_fit(), runtime="onnxruntime")
    plain = band(Ask(layers=network()), profile)
    other = network(macs=60e6)
    in_int8 = 4 * band(Ask(layers=other, precision="int8"), profile).value
    taken = anchor(layers=other, p50_ms=in_int8, runtime="onnxruntime", precision="int8")

    found = band(Ask(layers=network(), anchors=(taken,)), profile)

    assert found.value == pytest.approx(2 * plain.value)


def test_a_time_under_the_runtime_asked_about_needs_no_wider_band():
    profile = a_profile(a_fit(), runtime="onnxruntime")
    plain = band(Ask(layers=network()), profile)

    found = band(Ask(layers=network(), anchors=(anchor(layers=network(macs=60e6), runtime="onnxruntime"),)), profile)

    assert found.high / found.value == pytest.approx((plain.high / plain.value) ** (1 / 1.5))


@pytest.mark.parametrize("fit", [a_fit(), None])
def test_the_time_of_the_very_file_is_the_answer_also_where_nothing_is_fitted(fit):
    own = anchor(sha256="ab", low_ms=6.8, high_ms=7.3, source="a latency file of Ann's")
    other = anchor(layers=network(macs=60e6), p50_ms=100.0)

    found = predict(Ask(layers=network(), anchors=(other, own), sha256="ab"), a_profile(fit))

    assert (found.latency_ms.value, found.latency_ms.low, found.latency_ms.high) == (7.0, 6.8, 7.3)
    assert (found.latency_ms.grade, found.source) == ("A", "a latency file of Ann's")
    assert "measured there" in found.sentence


def test_the_same_layers_with_other_weights_are_modelled_not_measured():
    found = band(Ask(layers=network(), anchors=(anchor(sha256="ab"),), sha256="cd"), a_profile(a_fit()))

    assert (found.value, found.grade) == (7.0, "B")
    assert (found.low, found.high) == (pytest.approx(7 * 0.85), pytest.approx(7 * 1.15))


def test_a_float_time_is_not_that_of_the_same_layers_in_8_bits():
    profile = a_profile(a_fit())

    found = band(Ask(layers=network(), precision="int8", anchors=(anchor(),)), profile)

    assert found.grade == "C"
    assert found.value != 7.0


def test_other_networks_stay_unpredicted_where_nothing_is_fitted():
    found = predict(Ask(layers=network(), anchors=(anchor(layers=network(macs=60e6)),)), a_profile(None))

    assert found.latency_ms is None
    assert "upload a latency file" in found.why


def test_an_anchor_of_another_runtime_is_not_taken():
    profile = a_profile(a_fit())
    foreign = Anchor(layers=network(), p50_ms=100.0, runtime="tflite")

    assert band(Ask(layers=network(), anchors=(foreign,)), profile) == band(Ask(layers=network()), profile)


def test_int8_is_the_float_time_divided_by_the_published_speedup_which_goes_both_ways():
    profile = a_profile(a_fit())
    as_float = band(Ask(layers=network()), profile)

    as_int8 = band(Ask(layers=network(), precision="int8"), profile)

    assert as_int8.value == pytest.approx(as_float.value / 1.2)
    assert as_int8.low < as_float.value / 1.6
    assert as_int8.high > as_float.value / 0.9


def test_int8_without_published_pairs_is_not_predicted():
    found = predict(Ask(layers=network(), precision="int8"), a_profile(a_fit(int8_speedups=(1.2,))))

    assert found.latency_ms is None
    assert "int8" in found.why


def test_no_work_is_no_time():
    nothing = network(macs=0, weights=0, act_in=0, act_out=0)

    assert predict(Ask(layers=nothing), a_profile(a_fit(effective_layer_s=0.0))).latency_ms is None


def test_the_ratio_of_two_devices_has_the_bands_of_both():
    here = a_profile(a_fit())
    there = a_profile(a_fit(effective_macs_per_s=10e9, effective_bytes_per_s=4e9, effective_layer_s=60e-6))

    ratio = predicted_ratio(network(), here, there).ratio

    assert ratio.value == pytest.approx(2)
    assert math.log(ratio.high / 2) == pytest.approx(math.hypot(math.log(1.15), math.log(1 / 0.85)))
    assert predicted_ratio(network(), a_profile(None), there) is None


def test_a_quantile_of_few_values_does_not_lie_inside_them():
    dozen = [float(i) for i in range(12)]

    assert (quantile(dozen, 0.05), quantile(dozen, 0.5), quantile(dozen, 0.95)) == (0.0, 5.5, 11.0)
    assert quantile([3.0], 0.05) == 3.0


def test_a_ratio_of_fits_from_two_runtimes_is_at_least_a_factor_of_two_wide():
    here = a_profile(a_fit(runtime="onnxruntime"))
    there = a_profile(a_fit(effective_macs_per_s=10e9))

    found = predicted_ratio(network(), here, there)

    assert found.ratio.high / found.ratio.value >= 2 and found.ratio.value / found.ratio.low >= 2
    assert any("×2" in said for said in found.notes)


def test_a_ratio_is_as_firm_as_the_weaker_of_its_fits():
    found = predicted_ratio(network(), a_profile(a_fit(grade="D")), a_profile(a_fit()))

    assert found.grade == "D"
