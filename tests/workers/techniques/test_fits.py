"""What each technique says of networks and devices, against what was measured on them."""

import pytest
from onnx import helper

from tests.workers.techniques.conftest import ARM, AVX2, VNNI, convolutional, gaussian, loaded, network
from workers import forecasts, formats
from workers.device import DeviceProfile, profile
from workers.facts import DatasetFacts, LayerFacts, ModelFacts, Role, RoleFacts, TargetFacts
from workers.techniques.dynamic_int8 import DynamicInt8
from workers.techniques.fp16 import Fp16
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.static_int8 import StaticInt8
from workers.techniques.tidy import Tidy

GPU = DeviceProfile(key="gpu", title="A graphics processor", provider="CUDAExecutionProvider")


def fully_connected(units: int) -> ModelFacts:
    make = gaussian(2)
    node = helper.make_node
    nodes = [node("Gemm", ["x", "a"], ["h"]), node("Gemm", ["h", "b"], ["i"]), node("Gemm", ["i", "c"], ["y"])]
    weights = {"a": make(64, units), "b": make(units, units), "c": make(units, 10)}
    return formats.facts(loaded(network(nodes, weights, ("N", 64), ("N", 10))).proto)


def data(*roles: Role) -> DatasetFacts:
    return DatasetFacts(
        format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="class"),
        roles={role: RoleFacts(rows=100, declared=True) for role in roles},
    )  # fmt: skip


def test_width_is_the_number_of_inputs_of_a_convolution():
    layers = (
        LayerFacts(name="a", op="Conv", params=1, macs=9 * 3 * 640, output_shape=(1, 10, 8, 8)),
        LayerFacts(name="b", op="Relu", macs=0, output_shape=(1, 10, 8, 8)),
    )
    facts = ModelFacts(
        size_bytes=1, zip_bytes=1, params=1, macs=17280, opset=17, inputs=(), outputs=(), layers=layers
    )  # fmt: skip

    assert forecasts.width(facts, {"Conv"}) == 27
    assert forecasts.width(facts, {"Gemm"}) == 0


@pytest.mark.parametrize(("channels", "word"), [(16, "smaller-only"), (64, "fits"), (128, "fits")])
def test_static_int8_fits_convolutions_that_are_wide_enough(channels, word):
    fit = StaticInt8().fits(formats.facts(convolutional(channels).proto), data(*Role), VNNI)

    assert fit.word == word
    assert bool(fit.expect) is (word == "fits")


@pytest.mark.parametrize(("units", "word"), [(128, "smaller-only"), (256, "smaller-only"), (1024, "fits")])
def test_int8_fits_fully_connected_networks_that_are_wide_enough(units, word):
    facts = fully_connected(units)

    assert StaticInt8().fits(facts, data(*Role), VNNI).word == word
    assert DynamicInt8().fits(facts, data(*Role), VNNI).word == word


@pytest.mark.parametrize("device", [AVX2, profile("rpi4")], ids=lambda device: device.key)
def test_static_int8_promises_no_speed_without_a_dot_product(device):
    fit = StaticInt8().fits(formats.facts(convolutional(128).proto), data(*Role), device)

    assert fit.word == "smaller-only"
    assert fit.expect == ""


def test_static_int8_needs_calibration_rows():
    facts = formats.facts(convolutional(64).proto)

    assert StaticInt8().fits(facts, data(Role.TRAIN, Role.TEST), VNNI).word == "does-not-fit"
    assert StaticInt8().fits(facts, None, VNNI).word == "fits"


def test_dynamic_int8_turns_convolutional_networks_down_with_the_reason():
    fit = DynamicInt8().fits(formats.facts(convolutional(64).proto), data(*Role), VNNI)

    assert fit.word == "little-gain"
    assert "2%" in fit.reason


def test_fp16_is_slower_on_a_processor_and_fits_a_graphics_processor():
    facts = formats.facts(convolutional(64).proto)

    words = [Fp16().fits(facts, None, device).word for device in (VNNI, ARM, GPU)]

    assert words == ["slower-here", "slower-here", "fits"]


def test_pruning_promises_a_smaller_zipped_file_only():
    assert MagnitudePruning().fits(formats.facts(convolutional(64).proto), None, VNNI).word == "smaller-only"


def test_tidy_tells_how_much_of_the_file_is_not_weights():
    small = formats.facts(convolutional(4).proto)
    large = formats.facts(convolutional(256).proto)

    assert Tidy().fits(small, None, VNNI).word == "fits"
    assert Tidy().fits(large, None, VNNI).word == "little-gain"


def test_techniques_turn_down_a_network_without_layers_they_know():
    node = helper.make_node("Relu", ["x"], ["y"], name="only")
    facts = formats.facts(loaded(network([node], {}, ("N", 4), ("N", 4))).proto)

    for technique in (StaticInt8(), DynamicInt8(), MagnitudePruning()):
        assert technique.fits(facts, data(*Role), VNNI).word == "does-not-fit"


def test_an_8_bit_file_is_forecast_from_its_weights_and_scales():
    facts = fully_connected(1024)
    weights = 64 * 1024 + 1024 * 1024 + 1024 * 10

    span = forecasts.int8_bytes(facts, {"Gemm"})

    assert span.value == pytest.approx(weights + 13 * (1024 + 1024 + 10), rel=0.01)
