"""Low rank: exact where a layer is of low rank, never larger, and exported as plain layers."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.workers.techniques.conftest import gaussian, loaded, network, rows, run
from tests.workers.techniques.lessons import agreement, classroom, discerning
from tests.workers.techniques.transformers import bench_for, bert
from workers import formats
from workers.errors import YoursToFix
from workers.events import Log
from workers.techniques.fine_tune import FineTune
from workers.techniques.low_rank import LowRank


def low_rank_network(seed=3):
    """A strided convolution of ranks (6, 5) with unequal padding, a 1x1 one of rank 4, a Gemm of rank 3."""
    make = gaussian(seed)
    node = helper.make_node
    kernel = np.einsum("or,rsyx,is->oiyx", make(32, 6), make(6, 5, 3, 3), make(24, 5)).astype(np.float32)
    nodes = [
        node("Conv", ["x", "w0"], ["a"], name="zero", pads=[1, 1, 1, 1]),
        node("Conv", ["a", "w1", "b1"], ["b"], name="one", pads=[0, 1, 1, 0], strides=[2, 2]),
        node("Relu", ["b"], ["r"]),
        node("Conv", ["r", "w2", "b2"], ["c"], name="two"),
        node("GlobalAveragePool", ["c"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["y"], name="head", transB=1),
    ]
    weights = {
        "w0": make(24, 3, 3, 3, scale=0.2), "w1": 0.05 * kernel, "b1": make(32),
        "w2": 0.2 * (make(40, 4) @ make(4, 32))[..., None, None], "b2": make(40),
        "w3": 0.2 * make(20, 3) @ make(3, 40), "b3": make(20),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", 20)))


@pytest.fixture
def model():
    return low_rank_network()


def test_layers_of_low_rank_are_split_without_any_loss(model, tmp_path):
    bench = classroom(model, tmp_path, rows=8)

    thin = LowRank(rule="energy", keep=0.999999).apply(model, bench)

    before, after = formats.facts(model.proto), formats.facts(thin.proto)
    x = rows(5, 3, 12, 12)
    assert np.allclose(run(thin.proto, x), run(model.proto, x), atol=1e-3, rtol=1e-3)
    kernel = 24 * 5 + 5 * 6 * 9 + 6 * 32
    others = 4 * (40 + 32) + 3 * (20 + 40)
    assert after.params == before.params - 32 * 24 * 9 - 40 * 32 - 20 * 40 + kernel + others
    assert after.macs < before.macs


def test_each_layer_keeps_about_the_share_of_its_numbers(tmp_path):
    model = discerning(32)

    thin = LowRank(keep=0.4).apply(model, classroom(model, tmp_path, rows=8))

    sizes = {tuple(t.dims)[1:]: np.prod(t.dims) for t in thin.proto.graph.initializer if len(t.dims) == 4}
    split = sum(np.prod(t.dims) for t in thin.proto.graph.initializer if len(t.dims) == 4) - 32 * 3 * 9
    assert 0.3 < split / (32 * 32 * 9) <= 0.4 and len(sizes) > 2


def test_where_nothing_pays_it_says_so(tmp_path):
    model = discerning(32)

    with pytest.raises(YoursToFix, match="smaller in parts"):
        LowRank(rule="energy", keep=0.9999).apply(model, classroom(model, tmp_path, rows=8))


def test_layers_left_alone_stay(model, tmp_path):
    thin = LowRank(rule="energy", keep=0.99, excluded=("one",)).apply(model, classroom(model, tmp_path, rows=8))

    assert any(tuple(tensor.dims) == (32, 24, 3, 3) for tensor in thin.proto.graph.initializer)


def test_a_product_is_left_alone_by_its_own_name(mlp, tmp_path):
    bench = classroom(mlp, tmp_path, shape=(64,), rows=8)

    with pytest.raises(YoursToFix, match="smaller in parts"):
        LowRank(keep=0.5, excluded=("first",)).apply(mlp, bench)
    assert formats.facts(LowRank(keep=0.5).apply(mlp, bench).proto).params < 0.6 * formats.facts(mlp.proto).params


def test_the_thin_network_trains_on(tmp_path):
    model = discerning(32)
    bench = classroom(model, tmp_path, rows=512)
    thin = LowRank(keep=0.25).apply(model, bench)

    tuned = FineTune(epochs=5, learning_rate=0.005).apply(thin, bench)

    assert agreement(tuned, model, bench) > agreement(thin, model, bench) + 0.05


def sum_of_products(seed=3):
    """The network above, its strided 3x3 kernel a sum of 5 products."""
    model, make = low_rank_network(seed), gaussian(seed + 1)
    kernel = np.einsum("or,ir,ryx->oiyx", make(32, 5), make(24, 5), make(5, 3, 3)).astype(np.float32)
    tensor = next(tensor for tensor in model.proto.graph.initializer if tensor.name == "w1")
    tensor.CopyFrom(numpy_helper.from_array(0.1 * kernel, "w1"))
    return model


def test_a_kernel_that_is_a_sum_of_products_becomes_pictures_without_loss(tmp_path):
    model = sum_of_products()

    thin = LowRank(rule="energy", keep=0.9999, kernels="cp").apply(model, classroom(model, tmp_path, rows=8))

    x = rows(5, 3, 12, 12)
    assert np.allclose(run(thin.proto, x), run(model.proto, x), atol=0.05 * np.abs(run(model.proto, x)).max())
    assert (5, 1, 3, 3) in {tuple(tensor.dims) for tensor in thin.proto.graph.initializer}


def test_a_sum_of_products_takes_the_share_of_the_numbers_asked_for(tmp_path):
    model = discerning(32)

    thin = LowRank(keep=0.3, kernels="cp").apply(model, classroom(model, tmp_path, rows=8))

    split = sum(np.prod(t.dims) for t in thin.proto.graph.initializer if len(t.dims) == 4) - 32 * 3 * 9
    assert 0.2 < split / (32 * 32 * 9) <= 0.3


def test_variational_bayes_finds_the_ranks_below_the_noise(tmp_path):
    model, events = low_rank_network(), []
    for tensor in model.proto.graph.initializer:
        if tensor.name in ("w1", "w2"):
            values = numpy_helper.to_array(tensor)
            noise = 0.02 * values.std() * gaussian(9)(*values.shape)
            tensor.CopyFrom(numpy_helper.from_array(values + noise.astype(np.float32), tensor.name))

    LowRank(rule="vbmf").apply(model, classroom(model, tmp_path, rows=8, emit=events.append))

    said = " ".join(event.text for event in events if isinstance(event, Log))
    assert "one: rank 6 and 5" in said and "two: rank 4" in said


def test_a_look_at_activations_loses_less_on_them(mlp, tmp_path):
    bench = classroom(mlp, tmp_path, shape=(64,), rows=128)
    bench.data.values *= np.geomspace(0.01, 3, 64).astype(np.float32)
    x = bench.data.values[128:]

    blind, seeing = (LowRank(keep=0.4, activations=look).apply(mlp, bench) for look in (False, True))

    exact = run(mlp.proto, x)
    assert np.abs(run(seeing.proto, x) - exact).mean() < 0.8 * np.abs(run(blind.proto, x) - exact).mean()
    assert formats.facts(seeing.proto).params == formats.facts(blind.proto).params


@pytest.mark.parametrize("step", [LowRank(keep=0.3, kernels="cp"), LowRank(keep=0.3, activations=True)])
def test_two_runs_give_one_file(step, model, tmp_path):
    once, again = (step.apply(model, classroom(model, tmp_path, rows=64)).proto for _ in range(2))

    assert once.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_an_embedding_becomes_a_narrower_table_and_a_matrix(tmp_path):
    model = bert()
    table = max((t for t in model.proto.graph.initializer if len(t.dims) == 2), key=lambda t: t.dims[0] == 50)
    make = gaussian(5)
    table.CopyFrom(numpy_helper.from_array(make(50, 4) @ make(4, 32), table.name))
    bench = bench_for(model, tmp_path, rows=32)

    thin = LowRank(rule="energy", keep=0.99999, embeddings=True).apply(model, bench)

    feed = (np.arange(14).reshape(2, 7), np.ones((2, 7), np.int64))
    assert (50, 4) in {tuple(tensor.dims) for tensor in thin.proto.graph.initializer}
    assert np.allclose(run(thin.proto, *feed), run(model.proto, *feed), atol=1e-4)
    with pytest.raises(YoursToFix, match="smaller in parts"):
        LowRank(rule="energy", keep=0.99999).apply(model, bench)


@pytest.mark.parametrize("kernels", ["tucker", "cp"])
def test_convolutions_over_time_are_split_as_those_over_pictures_are(kernels, tmp_path):
    make = gaussian(4)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="one", pads=[2, 0], strides=[2]),
        helper.make_node("Conv", ["a", "w2"], ["y"], name="two"),
    ]
    kernel = 0.1 * np.einsum("or,ir,rk->oik", make(32, 4), make(24, 4), make(4, 5)).astype(np.float32)
    weights = {"w1": kernel, "b1": make(32), "w2": 0.2 * (make(40, 4) @ make(4, 32))[..., None]}
    model = loaded(network(nodes, weights, ("N", 24, 30), ("N", 40, "t")))
    step = LowRank(rule="energy", keep=0.999999, kernels=kernels)

    thin = step.apply(model, classroom(model, tmp_path, shape=(24, 30), rows=8, labelled=False))

    x = rows(3, 24, 30)
    assert np.allclose(run(thin.proto, x), run(model.proto, x), atol=1e-2, rtol=1e-3)
    assert formats.facts(thin.proto).params < 0.4 * formats.facts(model.proto).params
