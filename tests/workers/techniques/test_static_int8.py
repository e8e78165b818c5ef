"""Static INT8 against onnxruntime's own quantizer, called by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tests.workers.techniques.conftest import ARM, AVX2, VNNI, convolutional, gaussian, loaded, network, rows, run
from workers.errors import Stopped, YoursToFix
from workers.facts import Role
from workers.graph import int8
from workers.techniques.fp16 import Fp16
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.static_int8 import StaticInt8


class _Reader(CalibrationDataReader):
    def __init__(self, bench):
        self.feeds = iter([batch.inputs for batch in bench.batches(Role.CALIBRATION, size=16)])

    def get_next(self):
        return next(self.feeds, None)


def by_hand(model, bench, folder: Path) -> onnx.ModelProto:
    onnx.save(model.proto, folder / "float.onnx")
    quant_pre_process(str(folder / "float.onnx"), str(folder / "ready.onnx"), skip_symbolic_shape=True)
    quantize_static(
        str(folder / "ready.onnx"), str(folder / "int8.onnx"), _Reader(bench), per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return onnx.load(folder / "int8.onnx")


def matrices_in_8_bits(proto: onnx.ModelProto) -> list[np.ndarray]:
    signed = (tensor for tensor in proto.graph.initializer if tensor.data_type == onnx.TensorProto.INT8)
    return [onnx.numpy_helper.to_array(tensor) for tensor in signed if len(tensor.dims) > 1]


def shapes_in_8_bits(proto: onnx.ModelProto) -> set[tuple[int, ...]]:
    return {matrix.shape for matrix in matrices_in_8_bits(proto)}


def test_the_result_matches_onnxruntimes_quantizer_called_by_hand(bench, tmp_path):
    cnn = convolutional(128)
    hand = by_hand(cnn, bench, tmp_path)
    x = rows(200, 3, 12, 12)

    ours = StaticInt8().apply(cnn, bench).proto

    exact = run(cnn.proto, x)
    assert abs(ours.ByteSize() / hand.ByteSize() - 1) < 0.02
    assert np.abs(run(ours, x) - exact).mean() <= np.abs(run(hand, x) - exact).mean()


@pytest.mark.parametrize("calibration", ["min-max", "entropy", "percentile", "mse"])
def test_predictions_stay_close_to_those_in_float(cnn, bench, calibration):
    x = rows(200, 3, 12, 12)

    quantized = StaticInt8(calibration=calibration).apply(cnn, bench).proto

    before, after = run(cnn.proto, x), run(quantized, x)
    assert np.mean(before.argmax(1) == after.argmax(1)) > 0.95
    assert np.abs(before - after).max() < 0.1 * np.ptp(before)


def test_weights_take_a_quarter_of_their_size(cnn, bench):
    weights = {tensor.name: tensor for tensor in cnn.proto.graph.initializer}

    quantized = StaticInt8().apply(cnn, bench).proto

    stored = {tensor.name: tensor for tensor in quantized.graph.initializer}
    for name in ("w2", "w3"):
        assert len(stored[f"{name}_quantized"].raw_data) == len(weights[name].raw_data) // 4


def test_the_border_of_the_network_is_kept(cnn, bench):
    quantized = StaticInt8().apply(cnn, bench).proto

    assert quantized.graph.input[0] == cnn.proto.graph.input[0]
    assert quantized.graph.output[0] == cnn.proto.graph.output[0]
    assert run(quantized, rows(1, 3, 12, 12)).shape == (1, 10)
    assert run(quantized, rows(7, 3, 12, 12)).shape == (7, 10)


def test_the_original_is_left_alone(cnn, bench):
    before = cnn.proto.SerializeToString(deterministic=True)

    StaticInt8().apply(cnn, bench)

    assert cnn.proto.SerializeToString(deterministic=True) == before


def test_every_convolution_runs_in_integers(cnn, bench, tmp_path):
    quantized = StaticInt8().apply(cnn, bench).proto
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")

    ort.InferenceSession(quantized.SerializeToString(), options, providers=["CPUExecutionProvider"])

    kinds = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert kinds.count("QLinearConv") == 2
    assert kinds.count("QGemm") == 1
    assert "Conv" not in kinds and "Gemm" not in kinds


@pytest.mark.parametrize("per_channel", [True, False])
def test_corrected_biases_bring_mean_outputs_back(make_bench, per_channel):
    make = gaussian(12)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),  # without a bias of its own
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "v", "b"], ["y"], name="last"),
    ]
    weights = {"w": make(16, 3, 3, 3), "v": make(8, 16, 3, 3), "b": make(8)}
    weights["v"][0, 0, 0, 0] = 40  # one scale for all, or for this channel, rounds coarsely
    model, bench = loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", 8, 10, 10))), make_bench()
    x = bench.data.values[bench.data.order[Role.VALIDATION]]
    exact = run(model.proto, x)

    def shift(technique):
        off = run(technique.apply(model, bench).proto, x) - exact
        return np.abs(off.mean(axis=(0, 2, 3))).sum(), np.square(off).mean()

    plain, mended = (shift(StaticInt8(per_channel=per_channel, bias_correction=on)) for on in (False, True))
    assert mended[0] < 0.5 * plain[0]
    assert mended[1] < plain[1]


def test_progress_rises_with_corrected_biases_as_well(cnn, make_bench):
    seen = []

    StaticInt8(bias_correction=True).apply(cnn, make_bench(emit=seen.append))

    shares = [event.done / event.total for event in seen]
    assert shares == sorted(shares) and shares[-1] == 1


def test_excluded_layers_keep_their_float_weights(cnn, bench):
    quantized = StaticInt8(excluded=("stem/conv", "head")).apply(cnn, bench).proto

    assert shapes_in_8_bits(quantized) == {(32, 32, 3, 3)}


def test_a_layer_left_in_float_between_quantized_ones_is_not_rounded_by_the_runtime_either(cnn, bench, tmp_path):
    quantized = StaticInt8(excluded=("body/conv",)).apply(cnn, bench).proto
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")

    ort.InferenceSession(quantized.SerializeToString(), options, providers=["CPUExecutionProvider"])

    kinds = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert kinds.count("QLinearConv") == 1
    assert kinds.count("Conv") + kinds.count("FusedConv") == 1


def test_a_layer_merged_into_another_one_can_still_be_excluded(mlp, make_bench):
    bench = make_bench((64,))

    everything = StaticInt8().apply(mlp, bench).proto
    quantized = StaticInt8(excluded=("first",)).apply(mlp, bench).proto

    assert shapes_in_8_bits(everything) == {(64, 256), (256, 10)}
    assert shapes_in_8_bits(quantized) == {(256, 10)}


def test_an_unknown_layer_is_refused_with_the_closest_names(cnn, bench):
    with pytest.raises(YoursToFix, match="stem/conf") as caught:
        StaticInt8(excluded=("stem/conf",)).apply(cnn, bench)

    assert "stem/conv" in caught.value.hint


def test_weights_keep_to_seven_bits_where_sums_could_saturate(cnn, make_bench):
    def widest(device):
        quantized = StaticInt8().apply(cnn, make_bench(device=device)).proto
        return max(int(np.abs(matrix.astype(int)).max()) for matrix in matrices_in_8_bits(quantized))

    assert widest(VNNI) == 127
    assert widest(AVX2) <= 64


def test_the_number_format_follows_the_processor():
    vnni, avx2, arm = (int8.choose(device, "auto", per_channel=True) for device in (VNNI, AVX2, ARM))

    assert (vnni.signed_activations, vnni.seven_bit) == (False, False)
    assert (avx2.signed_activations, avx2.seven_bit) == (False, True)
    assert (arm.signed_activations, arm.seven_bit) == (True, False)


def test_a_file_bound_to_vnni_says_so_and_a_portable_one_does_not(cnn, make_bench):
    bound = StaticInt8().apply(cnn, make_bench(device=VNNI))
    portable = StaticInt8(reduce_range="always").apply(cnn, make_bench(device=VNNI))

    assert "VNNI" in bound.notes[0] and "fall by several points" in bound.notes[0]
    assert portable.notes == (int8.SEVEN_BIT_NOTE,)


@pytest.mark.parametrize("first", [StaticInt8(), Fp16()])
def test_a_network_that_is_no_longer_float32_is_refused(cnn, bench, first):
    changed = first.apply(cnn, bench)

    with pytest.raises(YoursToFix, match="Static INT8 expects"):
        StaticInt8().apply(changed, bench)


def test_a_pruned_network_can_be_quantized_and_stays_sparse(cnn, bench):
    pruned = MagnitudePruning(sparsity=0.6, scope="layer").apply(cnn, bench)

    quantized = StaticInt8().apply(pruned, bench).proto

    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    assert np.mean(stored["w2_quantized"] == 0) >= 0.6


def test_a_fixed_batch_size_is_served(cnn, make_bench):
    cnn.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 5
    cnn.proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 5
    bench = make_bench()

    quantized = StaticInt8(samples=23).apply(cnn, bench).proto

    assert run(quantized, rows(5, 3, 12, 12)).shape == (5, 10)


def test_a_stop_between_batches_is_honoured(cnn, make_bench):
    with pytest.raises(Stopped):
        StaticInt8().apply(cnn, make_bench(should_stop=lambda: True))


def test_progress_rises_to_its_end(cnn, make_bench):
    seen = []

    StaticInt8(calibration="percentile").apply(cnn, make_bench(emit=seen.append))

    assert seen[-1].done == seen[-1].total
    shares = [event.done / event.total for event in seen]
    assert shares == sorted(shares)


def test_infinite_activations_are_refused_with_the_tensor(cnn, bench):
    weights = {tensor.name: tensor for tensor in cnn.proto.graph.initializer}
    broken = np.full((10, 32), 3e38, np.float32)
    weights["w3"].CopyFrom(onnx.numpy_helper.from_array(broken, "w3"))

    with pytest.raises(YoursToFix, match="finite"):
        StaticInt8().apply(cnn, bench)


def test_nothing_is_left_in_the_scratch_folder(cnn, bench):
    StaticInt8().apply(cnn, bench)

    assert list(bench.scratch.iterdir()) == []


def test_a_bias_written_as_a_row_is_quantized_too(make_bench):
    make = gaussian(3)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="one"),
        helper.make_node("Gemm", ["h", "v", "c"], ["y"], name="two"),
    ]
    weights = {"w": make(16, 32), "b": make(1, 32), "v": make(32, 8), "c": make(1, 8)}
    model = loaded(network(nodes, weights, ("N", 16), ("N", 8)))

    quantized = StaticInt8().apply(model, make_bench((16,))).proto

    x = rows(50, 16)
    assert shapes_in_8_bits(quantized) == {(16, 32), (32, 8)}
    assert np.abs(run(quantized, x) - run(model.proto, x)).max() < 0.05 * np.ptp(run(model.proto, x))


def test_a_graph_the_quantizer_fails_on_is_reported_as_such():
    def broken():
        raise KeyError("shape of tensor t7")

    with pytest.raises(YoursToFix, match="t7"):
        int8._quantized(broken)


def attention():
    """One head of attention over 8 places, of which a mask of -10,000 hides the last three."""
    make, node = gaussian(13), helper.make_node
    nodes = [
        node("MatMul", ["x", "wq"], ["q"], name="q"),
        node("MatMul", ["x", "wk"], ["k"], name="k"),
        node("MatMul", ["x", "wv"], ["v"], name="v"),
        node("Transpose", ["k"], ["kt"], name="turn", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"], name="scores"),
        node("Add", ["scores", "mask"], ["masked"], name="hide"),
        node("Softmax", ["masked"], ["p"], name="softmax", axis=-1),
        node("MatMul", ["p", "v"], ["y"], name="mix"),
    ]
    weights = {"wq": make(16, 16, scale=0.3), "wk": make(16, 16, scale=0.3), "wv": make(16, 16)}
    weights["mask"] = np.where(np.arange(8) < 5, 0, -10_000).astype(np.float32)
    return loaded(network(nodes, weights, ("N", 8, 16), ("N", 8, 16)))


def test_attention_survives_the_mask_on_its_scores(make_bench):
    model, x = attention(), rows(40, 8, 16)

    quantized = StaticInt8().apply(model, make_bench((8, 16))).proto

    exact = run(model.proto, x)
    assert np.linalg.norm(run(quantized, x) - exact) < 0.05 * np.linalg.norm(exact)
    assert len(shapes_in_8_bits(quantized)) == 1 and len(matrices_in_8_bits(quantized)) == 3


def test_a_network_without_weights_to_quantize_is_refused(bench):
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("MaxPool", ["r"], ["y"], name="pool", kernel_shape=[2, 2]),
    ]
    model = loaded(network(nodes, {}, ("N", 3, 12, 12), ("N", 3, 11, 11)))

    with pytest.raises(YoursToFix, match="none to quantize"):
        StaticInt8().apply(model, bench)


def perceptron(*widths: int):
    """Gemm and ReLU by turns."""
    make, nodes, weights, last = gaussian(12), [], {}, "x"
    for place, (before, after) in enumerate(pairwise(widths), start=1):
        name = "y" if place == len(widths) - 1 else f"g{place}"
        nodes.append(helper.make_node("Gemm", [last, f"w{place}", f"b{place}"], [name], name=f"layer{place}"))
        weights |= {f"w{place}": make(before, after, scale=before**-0.5), f"b{place}": make(after)}
        if name != "y":
            nodes.append(helper.make_node("Relu", [name], [f"r{place}"], name=f"relu{place}"))
        last = f"r{place}"
    return loaded(network(nodes, weights, ("N", widths[0]), ("N", widths[-1])))


def test_a_network_of_tiny_layers_stays_in_float_where_8_bits_must_pay(make_bench):
    tiny = perceptron(9, 16, 16, 2)

    result = StaticInt8(only_where_faster=True).apply(tiny, make_bench((9,)))

    assert result.proto == tiny.proto
    assert "All layers stay in float32" in result.notes[0]


def test_large_layers_go_into_8_bits_and_tiny_ones_may_stay_where_8_bits_must_pay(make_bench):
    result = StaticInt8(only_where_faster=True).apply(perceptron(9, 2048, 2048, 2), make_bench((9,)))

    stored = {tuple(tensor.dims) for tensor in result.proto.graph.initializer if tensor.data_type == TensorProto.INT8}
    assert (2048, 2048) in stored
    assert "layers stay in float32" in result.notes[1]
