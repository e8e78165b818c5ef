"""SmoothQuant: nothing changes in float, and 8 bits lose less where channels are uneven."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.workers.techniques.conftest import VNNI, gaussian, loaded, network, rows, run
from workers import formats
from workers.errors import YoursToFix
from workers.facts import Role
from workers.techniques.smooth_quant import SmoothQuant
from workers.techniques.static_int8 import StaticInt8

WIDTH, LOUD = 32, (3, 17, 20)


def uneven(make, *shape):
    """Gains of about one, but three channels a hundred times as large."""
    gain = 1 + make(*shape, scale=0.1)
    gain[list(LOUD)] *= 100
    return gain.astype(np.float32)


def feed_forward(residual: bool, gemm: bool = False):
    """Layer norm, two matrix products with a ReLU between, and a shortcut: around the norm, or from behind it."""
    make = gaussian(8)
    shape = ("N", WIDTH) if gemm else ("N", 6, WIDTH)
    product = (
        [helper.make_node("Gemm", ["n", "w1", "b1"], ["h"], name="up", transB=1)]
        if gemm
        else [helper.make_node("MatMul", ["n", "w1"], ["m"], name="up"), helper.make_node("Add", ["m", "b1"], ["h"])]
    )
    nodes = [
        helper.make_node("LayerNormalization", ["x", "g", "o"], ["n"], name="norm"),
        *product,
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["d"], name="down"),
        helper.make_node("Add", ["d", "n" if residual else "x"], ["y"], name="skip"),
    ]
    up = make(WIDTH, 64, scale=0.2)
    up[list(LOUD)] /= 100  # what is loud is read softly
    weights = {
        "g": uneven(make, WIDTH), "o": make(WIDTH, scale=0.1), "w1": up.T.copy() if gemm else up, "b1": make(64),
        "w2": make(64, WIDTH, scale=0.2),
    }  # fmt: skip
    return loaded(network(nodes, weights, shape, shape))


def written_out():
    """The same with the normalization in small steps, as older exporters write it."""
    make = gaussian(8)
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        node("Sub", ["x", "mean"], ["c"]),
        node("Mul", ["c", "c"], ["cc"]),
        node("ReduceMean", ["cc"], ["var"], axes=[-1]),
        node("Add", ["var", "eps"], ["ve"]),
        node("Sqrt", ["ve"], ["sd"]),
        node("Div", ["c", "sd"], ["z"]),
        node("Mul", ["z", "g"], ["zg"], name="gain"),
        node("Add", ["zg", "o"], ["n"], name="offset"),
        node("MatMul", ["n", "w1"], ["h"], name="one"),
        node("MatMul", ["n", "w2"], ["k"], name="two"),
        node("Add", ["h", "k"], ["y"], name="sum"),
    ]
    weights = {"g": uneven(make, WIDTH), "o": make(WIDTH), "w1": make(WIDTH, 8), "w2": make(WIDTH, 8)}
    weights["eps"] = np.array([1e-5], np.float32)
    return loaded(network(nodes, weights, ("N", 6, WIDTH), ("N", 6, 8)))


MODELS = {
    "around the norm": (lambda: feed_forward(residual=False), (6, WIDTH)),
    "from behind the norm": (lambda: feed_forward(residual=True), (6, WIDTH)),
    "gemm": (lambda: feed_forward(residual=False, gemm=True), (WIDTH,)),
    "written out": (written_out, (6, WIDTH)),
}
EVERY = pytest.mark.parametrize(("make", "shape"), MODELS.values(), ids=MODELS.keys())


def weights(model) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}


@EVERY
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_nothing_changes_in_float(make, shape, make_bench, strength):
    model, x = make(), rows(20, *shape)

    smooth = SmoothQuant(strength=strength).apply(model, make_bench(shape))

    exact = run(model.proto, x)
    assert np.abs(run(smooth.proto, x) - exact).max() < 1e-5 * np.abs(exact).max()
    assert smooth.proto.SerializeToString() != model.proto.SerializeToString()


@EVERY
def test_int8_loses_less_behind_it(make, shape, make_bench):
    model, bench = make(), make_bench(shape)
    x = bench.data.values[bench.data.order[Role.VALIDATION]]
    exact = run(model.proto, x)

    plain = StaticInt8().apply(model, bench)
    smooth = StaticInt8().apply(SmoothQuant().apply(model, bench), bench)

    def off(result):
        return float(np.square(run(result.proto, x) - exact).mean())

    assert off(smooth) < 0.7 * off(plain)


def test_channels_become_even(make_bench):
    model = feed_forward(residual=False)

    smooth = weights(SmoothQuant().apply(model, make_bench((6, WIDTH))))

    gain = next(value for name, value in smooth.items() if name.startswith("norm::1"))
    assert np.abs(weights(model)["g"]).max() / np.median(np.abs(weights(model)["g"])) > 50
    assert np.abs(gain).max() / np.median(np.abs(gain)) < 3


def test_products_that_read_the_same_value_share_its_numbers(make_bench):
    smooth = weights(SmoothQuant().apply(written_out(), make_bench((6, WIDTH))))

    before = weights(written_out())
    ratio = [smooth[f"{name}::1::smooth"] / before[weight] for name, weight in (("one", "w1"), ("two", "w2"))]
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-5)


def test_an_excluded_product_keeps_its_weights(make_bench):
    model = written_out()
    x = rows(5, 6, WIDTH)

    smooth = SmoothQuant(excluded=("two",)).apply(model, make_bench((6, WIDTH)))

    np.testing.assert_array_equal(weights(smooth)["w2"], weights(model)["w2"])
    assert np.abs(run(smooth.proto, x) - run(model.proto, x)).max() < 1e-5 * np.abs(run(model.proto, x)).max()


def test_a_convolutional_network_comes_back_as_it_was_with_a_note(cnn, bench):
    smooth = SmoothQuant().apply(cnn, bench)

    assert smooth.proto.SerializeToString() == cnn.proto.SerializeToString()
    assert "changed nothing" in smooth.notes[0]


def test_it_fits_networks_with_norms_only(cnn):
    assert SmoothQuant().fits(formats.facts(cnn.proto), None, VNNI).word == "does-not-fit"
    assert SmoothQuant().fits(formats.facts(feed_forward(residual=True).proto), None, VNNI).word == "fits"
    assert SmoothQuant().fits(formats.facts(written_out().proto), None, VNNI).word == "fits"


def test_a_quantized_network_is_refused(cnn, bench):
    with pytest.raises(YoursToFix, match="already quantized"):
        SmoothQuant().apply(StaticInt8().apply(cnn, bench), bench)
