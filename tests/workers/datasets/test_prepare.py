"""What the network is fed: shape, layout, scale and type against NumPy written out."""

import numpy as np
import pytest

from workers.contract import InputSpec
from workers.datasets.prepare import prepare
from workers.errors import YoursToFix


def spec(shape, **said):
    return InputSpec(name="x", shape=shape, **said)


@pytest.mark.parametrize(
    ("sample", "wanted", "layout"),
    [
        ((64,), (1, 8, 8), "CHW"),
        ((8, 8), (1, 8, 8), "CHW"),
        ((8, 8, 1), (1, 8, 8), "CHW"),
        ((8, 8), (8, 8, 1), "HWC"),
        ((1, 8, 8), (8, 8), "HW"),
        ((64,), (8, 8), "HW"),
        ((8, 8), (64,), "vector"),
        ((1, 8, 8), (64,), "vector"),
        ((), (1,), "vector"),
        ((8, 8), (1, -1, -1), "CHW"),
        ((5, 6), (-1, 6), "other"),
    ],
)
def test_shapes_adapt_where_there_is_only_one_way(sample, wanted, layout):
    raw = np.random.default_rng(0).normal(size=(3, *sample)).astype(np.float32)

    fed = prepare(raw, spec(wanted, layout=layout))

    assert fed.shape == (3, *(found if want == -1 else want for want, found in zip(wanted, fed.shape[1:], strict=True)))
    assert np.array_equal(fed.reshape(3, -1), raw.reshape(3, -1))


@pytest.mark.parametrize(("layout", "order"), [("CHW", (0, 3, 1, 2)), ("HWC", (0, 2, 3, 1))])
def test_channels_move_to_where_the_network_wants_them(layout, order):
    raw = np.random.default_rng(0).normal(size=(2, 5, 6, 3) if layout == "CHW" else (2, 3, 5, 6)).astype(np.float32)

    fed = prepare(raw, spec((3, 5, 6) if layout == "CHW" else (5, 6, 3), layout=layout))

    assert np.array_equal(fed, raw.transpose(order))


@pytest.mark.parametrize(
    ("sample", "wanted", "layout"),
    [
        ((3072,), (3, 32, 32), "CHW"),  # channels first or last?
        ((3, 32, 32), (3072,), "vector"),
        ((28, 28), (1, 32, 32), "CHW"),
        ((4, 9), (6, 6), "HW"),
        ((6, 12), (12, 6), "other"),
        ((65,), (64,), "vector"),
        ((8, 8, 3), (1, 8, 8), "CHW"),
    ],
)
def test_shapes_with_no_or_several_ways_are_refused_with_both_shapes(sample, wanted, layout):
    with pytest.raises(YoursToFix) as caught:
        prepare(np.zeros((2, *sample), np.float32), spec(wanted, layout=layout))

    assert caught.value.code == "data.shape"
    assert str(sample).replace(",)", ")") in caught.value.message
    assert str(wanted).replace(",)", ")") in caught.value.message


def test_bytes_are_scaled_then_shifted_then_divided_per_channel():
    raw = np.random.default_rng(0).integers(0, 256, size=(4, 6, 5, 3), dtype=np.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)

    fed = prepare(raw, spec((3, 6, 5), layout="CHW", channels="RGB", scale=1 / 255, mean=mean, std=std))

    expected = np.empty((4, 3, 6, 5))
    for n, h, w, c in np.ndindex(raw.shape):
        expected[n, c, h, w] = (raw[n, h, w, c] / 255 - mean[c]) / std[c]
    assert fed.dtype == np.float32
    assert np.allclose(fed, expected, atol=1e-6)


def test_a_network_that_wants_blue_first_gets_its_channels_reversed():
    raw = np.random.default_rng(0).integers(0, 256, size=(2, 4, 4, 3), dtype=np.uint8)

    fed = prepare(raw, spec((4, 4, 3), layout="HWC", channels="BGR", dtype="uint8"))

    assert np.array_equal(fed, raw[..., ::-1])


def test_columns_have_their_own_mean():
    raw = np.arange(6, dtype=np.float64).reshape(2, 3)

    fed = prepare(raw, spec((3,), layout="vector", mean=(0, 1, 2), std=(1, 1, 2)))

    assert np.allclose(fed, [[0, 0, 0], [3, 3, 1.5]])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", "bool"])
def test_the_type_is_that_of_the_contract(dtype):
    assert prepare(np.array([[0.0, 1.0]]), spec((2,), dtype=dtype)).dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("raw", "said", "code"),
    [
        ([[0.5, 1.0]], {"dtype": "int64"}, "data.not-whole"),
        ([[300.0, 1.0]], {"dtype": "uint8"}, "data.not-whole"),
        ([[-1.0, 1.0]], {"dtype": "uint8"}, "data.not-whole"),
        ([[0.0, 1.0]], {"mean": (1, 2, 3)}, "data.mean-length"),
        ([[0.0, 1.0]], {"std": (0.0,)}, "data.std"),
        ([[0.0, 1.0]], {"dtype": "string"}, "data.input-type"),
    ],
)
def test_values_that_do_not_suit_the_contract_are_refused(raw, said, code):
    with pytest.raises(YoursToFix) as caught:
        prepare(np.array(raw), spec((2,), **said))

    assert caught.value.code == code
