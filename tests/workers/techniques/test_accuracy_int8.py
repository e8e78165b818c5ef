"""Accuracy-controlled INT8 on networks with one layer that cannot bear 8 bits."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.workers.techniques.conftest import CONTRACT, Rows, gaussian, loaded, network, run
from workers.contract import Task
from workers.errors import Stopped, YoursToFix
from workers.events import Point
from workers.facts import Role
from workers.graph import ablation, calibration, int8, surgery
from workers.graph.operators import QUANTIZED
from workers.techniques.accuracy_int8 import AccuracyInt8, _up_to_the_last
from workers.techniques.static_int8 import StaticInt8
from workers.workbench import Batch

OUTLIER = 3000.0


def chain(fragile: bool):
    """Three layers; where fragile, each column of the middle one has a huge weight, on a unit that is always 0."""
    make = gaussian(5)
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h1"], name="one"),
        helper.make_node("Relu", ["h1"], ["r1"], name="one/relu"),
        helper.make_node("Gemm", ["r1", "w2", "b2"], ["h2"], name="two"),
        helper.make_node("Relu", ["h2"], ["r2"], name="two/relu"),
        helper.make_node("Gemm", ["r2", "w3", "b3"], ["y"], name="three"),
    ]
    weights = {"w1": make(32, 64, scale=0.2), "w2": make(64, 64, scale=0.2), "w3": make(64, 10, scale=0.2)}
    weights |= {"b1": make(64), "b2": make(64), "b3": make(10)}
    if fragile:
        weights["w2"][0] = OUTLIER
        weights["w1"][:, 0] = weights["b1"][0] = 0
    return loaded(network(nodes, weights, ("N", 32), ("N", 10)))


def break_columns(proto: onnx.ModelProto, name: str) -> None:
    """Give each column a huge weight, and its opposite in the next row: they hardly matter, but their size does."""
    tensor = {one.name: one for one in proto.graph.initializer}[name]
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0] = 0.1 * OUTLIER
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))


class Labelled(Rows):
    """Rows labelled with what a network says of them."""

    def __init__(self, proto: onnx.ModelProto, rows: int = 400) -> None:
        super().__init__((32,), rows)
        self.labels = run(proto, self.values).argmax(1)

    def batches(self, role, *, size, limit=None):
        for batch in super().batches(role, size=size, limit=limit):
            yield Batch(batch.inputs, self.labels[batch.rows], batch.rows)


@pytest.fixture
def bench_for(make_bench):
    def make(model, **options):
        bench = make_bench((32,), **options)
        bench.data = Labelled(model.proto)
        return bench

    return make


def points_lost(model, result, data) -> float:
    """By hand: the share of validation rows whose label is no longer said, in points."""
    rows = data.order[Role.VALIDATION]
    said = run(result.proto, data.values[rows]).argmax(1)
    return 100 * float(np.mean(said != data.labels[rows]))


def float_layers(proto) -> set[str]:
    """Layers that read a float weight."""
    weights = (one for one in proto.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
    matrices = {one.name for one in weights if len(one.dims) > 1}
    return {node.name for node in proto.graph.node if matrices.intersection(node.input)}


def test_only_the_layer_that_suffers_goes_back_to_float(bench_for):
    model = chain(fragile=True)
    bench = bench_for(model)

    plain = StaticInt8().apply(model, bench)
    result = AccuracyInt8(max_drop=4, calibration="min-max").apply(model, bench)

    assert points_lost(model, plain, bench.data) > 10
    assert points_lost(model, result, bench.data) <= 4
    assert float_layers(result.proto) == {"two"}
    assert "1 of 3 layers stay in float" in result.notes[-1] and ": two." in result.notes[-1]


def test_a_network_that_bears_8_bits_is_quantized_whole(bench_for):
    model = chain(fragile=False)
    bench = bench_for(model)

    result = AccuracyInt8(max_drop=2).apply(model, bench)

    assert points_lost(model, result, bench.data) <= 2
    assert float_layers(result.proto) == set()


def test_a_limit_that_cannot_be_kept_is_an_error_that_names_the_best(bench_for):
    model = chain(fragile=True)
    for name in ("w1", "w3"):  # now no layer at all bears 8 bits
        break_columns(model.proto, name)

    with pytest.raises(YoursToFix, match=r"best reached .* is \d+\.\d+, with \d of 3 layers in float") as caught:
        AccuracyInt8(max_drop=0, calibration="min-max").apply(model, bench_for(model))

    assert caught.value.code == "technique.drop-not-reached"


def test_the_curve_of_points_over_layers_in_float_is_shown(bench_for):
    seen = []
    model = chain(fragile=True)

    AccuracyInt8(max_drop=4, calibration="min-max").apply(model, bench_for(model, emit=seen.append))

    curve = [event for event in seen if isinstance(event, Point) and event.series == "Points lost by layers in float"]
    assert curve[0].x == 0 and curve[0].y > 10
    assert any(point.x == 1 and point.y <= 4 for point in curve)


def test_progress_never_falls(bench_for):
    seen = []
    model = chain(fragile=True)

    AccuracyInt8(max_drop=4).apply(model, bench_for(model, emit=seen.append))

    shares = [event.done / event.total for event in seen if event.type == "progress"]
    assert shares == sorted(shares) and shares[-1] == 1


def test_a_stop_is_honoured(bench_for):
    model = chain(fragile=False)

    with pytest.raises(Stopped):
        AccuracyInt8().apply(model, bench_for(model, should_stop=lambda: True))


def test_without_labels_answers_that_change_are_counted(make_bench):
    model = chain(fragile=True)
    bench = make_bench((32,))
    bench.data = Labelled(model.proto)
    bench.data.batches = lambda role, *, size, limit=None: (
        Batch(batch.inputs, None, batch.rows) for batch in Labelled.batches(bench.data, role, size=size, limit=limit)
    )

    result = AccuracyInt8(max_drop=4, calibration="min-max").apply(model, bench)

    assert points_lost(model, result, bench.data) <= 4
    assert float_layers(result.proto) == {"two"}


def test_products_of_activations_do_not_count_as_layers_in_8_bits(make_bench):
    make, node = gaussian(13), helper.make_node
    nodes = [
        node("MatMul", ["x", "wq"], ["q"], name="q"),
        node("MatMul", ["x", "wk"], ["k"], name="k"),
        node("Transpose", ["k"], ["kt"], name="turn", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["y"], name="scores"),
    ]
    weights = {"wq": make(32, 32), "wk": make(32, 32)}
    model = loaded(network(nodes, weights, ("N", 8, 32), ("N", 8, 8)))
    bench = make_bench((8, 32))
    bench.contract = CONTRACT.model_copy(update={"task": Task.EMBEDDING})
    bench.data.batches = lambda role, *, size, limit=None: (
        Batch(batch.inputs, None, batch.rows) for batch in Rows.batches(bench.data, role, size=size, limit=limit)
    )

    with pytest.raises(YoursToFix) as caught:
        AccuracyInt8(max_drop=0, calibration="min-max").apply(model, bench)

    assert caught.value.code == "technique.drop-not-reached"


@pytest.mark.parametrize(("weighted", "left"), [("ac", "abc"), ("b", "ab"), ("", ""), ("d", "abcd")])
def test_a_ranking_ends_with_its_last_layer_with_weights(weighted, left):
    ranking = tuple(ablation.Unit(name, (name,)) for name in "abcd")

    kept = _up_to_the_last(ranking, frozenset(weighted))

    assert "".join(unit.name for unit in kept) == left


def test_layers_left_out_by_hand_stay_out(bench_for):
    model = chain(fragile=False)

    result = AccuracyInt8(max_drop=5, excluded=("two",)).apply(model, bench_for(model))

    assert float_layers(result.proto) == {"two"}


def test_units_are_a_heavy_layer_and_the_light_ones_behind_it(cnn, bench):
    ready = surgery.for_int8(cnn.proto, bench.scratch)

    parts = ablation.units(ready, QUANTIZED)

    assert len(parts) == 3
    assert any("relu" in name for name in parts[0].nodes)
    assert any("add" in name for name in parts[1].nodes)
    assert sorted(name for part in parts for name in part.nodes) == sorted(
        node.name for node in ready.graph.node if node.op_type in QUANTIZED
    )


def test_harm_agrees_with_quantizing_one_layer_at_a_time_by_hand(bench_for):
    model = chain(fragile=True)
    bench = bench_for(model)
    ready = surgery.for_int8(model.proto, bench.scratch)
    ranges = calibration.ranges(ready, QUANTIZED, bench, method="min-max", samples=64, percentile=100)
    choice = int8.choose(bench.device, "never", per_channel=True)
    parts = ablation.units(ready, QUANTIZED)

    def quantized(spared):
        names = [name for part in spared for name in part.nodes]
        return int8.static(surgery.copy(ready), ranges, choice, op_types=QUANTIZED, excluded=names)

    harm = ablation.distances(quantized([]), ready, parts, bench)

    x = bench.data.values[bench.data.order[Role.CALIBRATION][:64]]
    exact = run(model.proto, x)
    for part, found in zip(parts, harm, strict=True):
        alone = run(quantized([other for other in parts if other is not part]), x)
        assert found == pytest.approx(np.square(alone - exact).sum() / np.square(exact).sum(), rel=0.3)


def test_the_harm_of_a_value_that_only_layers_in_float_make_and_read_is_measured(make_bench):
    make = gaussian(9)
    nodes = [
        helper.make_node("Softmax", ["x"], ["s"], name="made", axis=-1),
        helper.make_node("MatMul", ["s", "w"], ["m"], name="product"),
        helper.make_node("LayerNormalization", ["s", "scale"], ["n"], name="read"),
        helper.make_node("Sub", ["m", "n"], ["y"], name="end"),
    ]
    weights = {"w": make(12, 12), "scale": np.ones(12, np.float32)}
    bench = make_bench((12,))
    ready = surgery.for_int8(loaded(network(nodes, weights, ("N", 12), ("N", 12))).proto, bench.scratch)
    ranges = calibration.ranges(ready, QUANTIZED, bench, method="min-max", samples=64, percentile=99.99)
    choice = int8.choose(bench.device, "auto", per_channel=True)
    quantized = int8.static(surgery.copy(ready), ranges, choice, op_types=QUANTIZED, excluded=[])

    (harm,) = ablation.distances(quantized, ready, ablation.units(ready, QUANTIZED), bench)

    x = np.concatenate([batch.inputs["x"] for batch in bench.batches(Role.CALIBRATION, size=64)])
    exact, rounded = run(ready, x), run(quantized, x)
    assert harm == pytest.approx(np.square(rounded - exact).sum() / np.square(exact).sum(), rel=0.05)


def test_nodes_that_the_runtime_made_itself_have_names_of_their_own(bench):
    make = gaussian(3)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one"),
        helper.make_node("HardSwish", ["a"], ["b"], name="first"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="two"),
        helper.make_node("HardSwish", ["c"], ["y"], name="second"),
    ]
    weights = {"w1": make(4, 3, 1, 1), "w2": make(4, 4, 1, 1)}
    proto = network(nodes, weights, ("N", 3, 12, 12), ("N", 4, 12, 12))

    names = [node.name for node in surgery.for_int8(proto, bench.scratch).graph.node]

    assert all(names) and len(set(names)) == len(names)
