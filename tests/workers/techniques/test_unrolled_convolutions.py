"""Unrolled convolutions against onnxruntime's own convolution."""

import numpy as np
import pytest
from onnx import helper

from tests.workers.techniques.conftest import convolutional, gaussian, loaded, network, rows, run
from workers import formats
from workers.errors import YoursToFix
from workers.techniques.dynamic_int8 import DynamicInt8
from workers.techniques.static_int8 import StaticInt8
from workers.techniques.tidy import Tidy
from workers.techniques.unrolled_convolutions import UnrolledConvolutions

node = helper.make_node


def ops(proto):
    return [item.op_type for item in proto.graph.node]


def sequence(length, taps, *, channels=5, out=7, bias=True, **attributes):
    """One convolution over a sequence."""
    make = gaussian(21)
    weights = {"w": make(out, channels // attributes.get("group", 1), taps)} | ({"b": make(out)} if bias else {})
    nodes = [node("Conv", ["x", *weights], ["y"], name="conv", **attributes)]
    return loaded(network(nodes, weights, ("N", channels, length), ("N", out, "P")))


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize(
    "model",
    [
        sequence(6, 3),
        sequence(6, 3, pads=[1, 1], strides=[2]),
        sequence(9, 4, strides=[2]),  # blocks of two, and an entry that no window reaches
        sequence(8, 4, strides=[4], pads=[0, 3]),
        sequence(12, 3, dilations=[2], pads=[2, 1], strides=[2]),
        sequence(640, 256, strides=[128], channels=1, out=9, bias=False),
        sequence(1, 3, pads=[1, 1]),
        sequence(1, 5, pads=[4, 4], dilations=[2]),
        sequence(1, 3, pads=[2, 2]),
        sequence(1, 2, pads=[1, 2], dilations=[2]),  # the one entry lies between two taps
        sequence(1, 2, pads=[3, 0], strides=[9]),  # no tap meets the one entry
        sequence(4, 1),
        sequence(2, 3, pads=[1, 1], strides=[2]),
        sequence(3, 5, pads=[3, 3]),
    ],
)
def test_a_product_answers_as_the_convolution_did(bench, model, batch):
    channels, length = (dim.dim_value for dim in model.proto.graph.input[0].type.tensor_type.shape.dim[1:])
    x = rows(batch, channels, length)

    result = UnrolledConvolutions().apply(model, bench).proto

    assert "Conv" not in ops(result) and "MatMul" in ops(result)
    np.testing.assert_allclose(run(result, x), run(model.proto, x), rtol=1e-4, atol=1e-5)


def detector():
    """Frames of sound: a windowed transform, its magnitude, and three convolutions down to one position."""
    make = gaussian(22)
    conv = {"kernel_shape": [3], "pads": [1, 1]}
    nodes = [
        node("Conv", ["x", "basis"], ["c"], name="transform", strides=[16]),
        node("Split", ["c", "halves"], ["re", "im"], axis=1),
        node("Pow", ["re", "two"], ["re2"]),
        node("Pow", ["im", "two"], ["im2"]),
        node("Add", ["re2", "im2"], ["power"]),
        node("Sqrt", ["power"], ["magnitude"]),
        node("Conv", ["magnitude", "w1", "b1"], ["c1"], **conv),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], strides=[4], **conv),
        node("Relu", ["c2"], ["r2"]),
        node("Conv", ["r2", "w3", "b3"], ["c3"], **conv),
        node("Relu", ["c3"], ["r3"]),
        node("Flatten", ["r3"], ["y"]),
    ]
    weights = {
        "basis": make(18, 1, 32), "halves": np.array([9, 9]), "two": np.array(2, np.float32),
        "w1": make(8, 9, 3, scale=0.1), "b1": make(8), "w2": make(6, 8, 3, scale=0.2), "b2": make(6),
        "w3": make(4, 6, 3, scale=0.2), "b3": make(4),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 1, 80), ("N", 4)))


def test_no_transpose_is_left_between_products_and_what_works_entry_by_entry(bench):
    model, x = detector(), rows(7, 1, 80)

    result = Tidy().apply(UnrolledConvolutions().apply(model, bench), bench).proto

    assert "Transpose" not in ops(result) and ops(result).count("MatMul") == 4
    np.testing.assert_allclose(run(result, x), run(model.proto, x), rtol=1e-4, atol=1e-5)


def test_a_network_in_an_old_operator_set_is_raised(bench):
    model, x = sequence(6, 3, pads=[1, 1]), rows(2, 5, 6)
    model.proto.opset_import[0].version = 9

    result = UnrolledConvolutions().apply(model, bench).proto

    np.testing.assert_allclose(run(result, x), run(model.proto, x), rtol=1e-4, atol=1e-5)


def test_taps_that_only_meet_padding_go(bench):
    model = sequence(1, 3, channels=64, out=64, pads=[1, 1])

    result = UnrolledConvolutions().apply(model, bench).proto

    assert result.ByteSize() < 0.4 * model.proto.ByteSize()


def test_the_products_go_into_8_bits_where_convolutions_would_not(make_bench):
    model, x = detector(), rows(30, 1, 80)
    bench = make_bench((1, 80))

    result = DynamicInt8().apply(UnrolledConvolutions().apply(model, bench), bench).proto

    before, after = run(model.proto, x), run(result, x)
    assert ops(result).count("MatMulInteger") == 4
    assert np.abs(after - before).max() < 0.05 * np.ptp(before)
    with pytest.raises(YoursToFix, match="none to quantize"):
        DynamicInt8().apply(model, bench)


@pytest.mark.parametrize(
    "model",
    [convolutional(16), sequence(30, 3), sequence("L", 3), sequence(6, 3, channels=6, out=6, group=2)],
    ids=["pictures", "long", "of any length", "groups"],
)
def test_other_convolutions_are_refused_with_what_would_help(bench, model):
    with pytest.raises(YoursToFix, match="found none") as caught:
        UnrolledConvolutions().apply(model, bench)

    assert "Fix sizes" in str(caught.value.hint)


def test_a_quantized_network_is_refused(bench):
    quantized = StaticInt8().apply(convolutional(16), bench)

    with pytest.raises(YoursToFix, match="already quantized"):
        UnrolledConvolutions().apply(quantized, bench)


@pytest.mark.parametrize(
    ("model", "word"), [(convolutional(16), "does-not-fit"), (sequence(30, 3), "little-gain"), (detector(), "fits")]
)
def test_it_fits_networks_with_short_sequences(bench, model, word):
    assert UnrolledConvolutions().fits(formats.facts(model.proto), None, bench.device).word == word
