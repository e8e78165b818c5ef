"""Weight-only quantization: what the written operators compute, against the rounded weights in plain NumPy."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.workers.techniques.conftest import CONTRACT, gaussian, loaded, network, rows
from workers import formats
from workers.errors import YoursToFix
from workers.facts import Role
from workers.graph import nbits
from workers.model import LoadedModel
from workers.numerics import blockwise
from workers.techniques.static_int8 import StaticInt8
from workers.techniques.tidy import Tidy
from workers.techniques.weight_only import WeightOnly

WORDS, WIDTH = 50, 48  # a width that is no multiple of a block


def language_model(tied: bool) -> LoadedModel:
    """Words looked up, mixed, and multiplied with the same table, written as exporters write it."""
    make = gaussian(4)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"], name="embed"),
        helper.make_node("MatMul", ["e", "w1"], ["h"], name="up"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["d"], name="down"),
        helper.make_node("Add", ["d", "e"], ["s"], name="skip"),
        helper.make_node("Transpose", ["table"], ["turned"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["s", "turned" if tied else "head"], ["y"], name="head"),
    ]
    weights = {"table": make(WORDS, WIDTH), "w1": make(WIDTH, 100, scale=0.1), "w2": make(100, WIDTH, scale=0.1)}
    weights |= {} if tied else {"head": make(WIDTH, WORDS)}
    graph = helper.make_graph(
        nodes, "lm", [helper.make_tensor_value_info("x", TensorProto.INT64, ("N", "T"))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", "T", WORDS))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return LoadedModel(proto=proto, contract=CONTRACT)


def run(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def tensors(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def kinds(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


SENTENCES = np.random.default_rng(2).integers(0, WORDS, size=(3, 5))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("method", ["nearest", "hqq"])
@pytest.mark.parametrize("block", [32, 128])
def test_the_file_computes_with_the_rounded_weights(bench, bits, symmetric, method, block):
    model = language_model(tied=True)
    known = tensors(model.proto)
    plainly = blockwise.nearest if method == "nearest" else blockwise.half_quadratic

    def rounded(matrix):
        size = min(block, 64) if matrix.shape[1] == 48 else block  # 48 inputs would fill little of 128
        return plainly(matrix, bits=bits, size=size, symmetric=symmetric).values(matrix.shape[1])

    step = WeightOnly(bits=bits, symmetric=symmetric, method=method, block=block, ends_bits=4)
    result = step.apply(model, bench).proto

    table, up, down = rounded(known["table"]), rounded(known["w1"].T), rounded(known["w2"].T)
    e = table[SENTENCES]
    expected = (np.maximum(e @ up.T, 0) @ down.T + e) @ table.T
    found = run(result, SENTENCES)
    assert np.abs(found - expected).max() < 0.03 * np.ptp(expected)  # products round activations to 8 bits
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9995


def test_a_tied_table_is_stored_once(bench):
    tied = WeightOnly(bits=4).apply(language_model(tied=True), bench).proto
    apart = WeightOnly(bits=4).apply(language_model(tied=False), bench).proto

    stored = [value for value in tensors(tied).values() if value.dtype == np.uint8 and len(value) == WORDS]
    assert len(stored) == 1
    assert kinds(tied).count("MatMulNBits") == kinds(apart).count("MatMulNBits") == 3
    assert tied.ByteSize() < apart.ByteSize() - 0.9 * WORDS * WIDTH / 2


def test_nothing_is_left_in_float(bench):
    result = WeightOnly(bits=4).apply(language_model(tied=True), bench).proto

    large = [name for name, value in tensors(result).items() if value.dtype == np.float32 and "scales" not in name]
    assert large == []
    assert {"MatMul", "Gather", "Transpose"}.isdisjoint(kinds(result))


def test_every_product_computes_in_integers(bench):
    result = WeightOnly(bits=4).apply(language_model(tied=True), bench).proto

    for node in result.graph.node:
        if node.op_type == "MatMulNBits":
            assert {item.name: item.i for item in node.attribute}["accuracy_level"] == 4


def test_embeddings_stay_in_float_where_asked(bench):
    result = WeightOnly(embeddings=False).apply(language_model(tied=False), bench).proto

    assert "Gather" in kinds(result)
    assert tensors(result)["table"].dtype == np.float32


def test_excluded_layers_keep_their_float_weights(bench):
    result = WeightOnly(excluded=("up",)).apply(language_model(tied=True), bench).proto

    assert tensors(result)["w1"].dtype == np.float32
    assert kinds(result).count("MatMul") == 1


def test_its_size_is_what_bits_and_scales_take(bench):
    make = gaussian(6)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = loaded(network([node], {"w": make(512, 512)}, ("N", 512), ("N", 512)))

    for ends_bits in (4, 8):
        step = WeightOnly(bits=4, block=32, ends_bits=ends_bits)
        result = step.apply(model, bench).proto

        assert result.ByteSize() == pytest.approx(512 * 512 * (ends_bits + 32 / 32) / 8, rel=0.01)
        span = step.forecast(formats.facts(model.proto)).size_bytes
        assert span.low <= result.ByteSize() <= span.high


@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_and_the_last_layer_keep_8_bits(bench, tied):
    result = WeightOnly(bits=4, block=64).apply(language_model(tied), bench).proto

    found = [
        (node.name, *(item.i for item in node.attribute if item.name in ("bits", "block_size")))
        for node in result.graph.node
        if node.domain == nbits.DOMAIN
    ]
    assert sorted(found) == [("down", 4, 64), ("embed", 8, 64), ("head", 8, 64), ("up", 4, 64)]


@pytest.mark.parametrize(
    ("inputs", "most", "bits", "size"),
    [(576, 128, 8, 64), (576, 32, 8, 32), (1536, 128, 8, 128), (1000, 128, 8, 128), (48, 128, 4, 64), (64, 128, 4, 64)],
)
def test_a_row_gets_the_block_with_which_it_takes_the_least_room(inputs, most, bits, size):
    assert nbits.block_for(inputs, most, bits) == size


def test_a_gemm_keeps_its_bias_in_either_orientation(make_bench):
    make = gaussian(7)
    nodes = [
        helper.make_node("Gemm", ["x", "a", "ab"], ["h"], name="one", transB=1),
        helper.make_node("Gemm", ["h", "b", "bb"], ["y"], name="two"),
    ]
    weights = {"a": make(40, 64), "ab": make(40), "b": make(40, 9), "bb": make(9)}
    model = loaded(network(nodes, weights, ("N", 64), ("N", 9)))
    x = rows(20, 64)

    result = WeightOnly(bits=8).apply(model, make_bench((64,))).proto

    exact = (x @ weights["a"].T + weights["ab"]) @ weights["b"] + weights["bb"]
    assert np.abs(run(result, x) - exact).max() < 0.02 * np.ptp(exact)


def correlated_rows(bench):
    """Calibration rows that lie near a plane, as activations do."""
    rng = np.random.default_rng(9)
    rows_ = bench.data.values.shape[0]
    bench.data.values = (rng.normal(size=(rows_, 8)) @ rng.normal(size=(8, 64))).astype(np.float32)
    return bench


@pytest.mark.parametrize("block", [32, 64, 128])
def test_gptq_keeps_outputs_closer_than_rounding_to_nearest(mlp, make_bench, block):
    bench = correlated_rows(make_bench((64,)))
    x = bench.data.values[bench.data.order[Role.VALIDATION]]
    exact = run(mlp.proto, x)

    def off(method):
        proto = WeightOnly(bits=4, method=method, block=block, ends_bits=4).apply(mlp, bench).proto
        return np.square(run(proto, x) - exact).mean()

    assert off("gptq") < 0.7 * off("nearest")


def test_gptq_rounds_as_the_calibration_rows_ask(mlp, make_bench):
    bench = correlated_rows(make_bench((64,)))
    x = bench.data.values[bench.data.order[Role.CALIBRATION]].astype(np.float64)
    expected = blockwise.compensated(tensors(mlp.proto)["w1"].T, x.T @ x, bits=4, size=32, symmetric=True)

    result = WeightOnly(bits=4, method="gptq", samples=64, excluded=("second",)).apply(mlp, bench).proto

    levels = next(value for value in tensors(result).values() if value.dtype == np.uint8)
    assert np.mean(levels == blockwise.packed(expected.levels, 4)) > 0.99


def test_gptq_comes_with_every_matrix_also_when_memory_takes_few_at_once(mlp, make_bench, monkeypatch):
    bench = correlated_rows(make_bench((64,)))
    together = WeightOnly(bits=4, method="gptq").apply(mlp, bench).proto

    monkeypatch.setattr(nbits, "SECONDS_BYTES", 1)
    apart = WeightOnly(bits=4, method="gptq").apply(mlp, bench).proto

    assert together.SerializeToString(deterministic=True) == apart.SerializeToString(deterministic=True)


def test_progress_rises_to_its_end(mlp, make_bench):
    seen = []

    WeightOnly(method="gptq").apply(mlp, make_bench((64,), emit=seen.append))

    shares = [event.done / event.total for event in seen]
    assert shares == sorted(shares) and shares[-1] == 1


def test_tidy_may_follow_and_keeps_the_table_single(bench):
    model = WeightOnly(bits=4).apply(language_model(tied=True), bench)

    tidied = Tidy().apply(model, bench).proto

    np.testing.assert_array_equal(run(tidied, SENTENCES), run(model.proto, SENTENCES))
    assert tidied.ByteSize() < model.proto.ByteSize()


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_and_products_are_counted_as_before(bench, tied):
    model = language_model(tied)

    result = formats.facts(WeightOnly(bits=4).apply(model, bench).proto)

    before = formats.facts(model.proto)
    assert (result.params, result.macs) == (before.params, before.macs)
    assert result.quantized


def test_a_network_without_matrices_is_refused(bench):
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="only")
    model = loaded(network([node], {"w": gaussian(1)(4, 3, 3, 3)}, ("N", 3, 12, 12), ("N", 4, 10, 10)))

    with pytest.raises(YoursToFix, match="found none"):
        WeightOnly().apply(model, bench)


def test_a_quantized_network_is_refused(mlp, make_bench):
    quantized = StaticInt8().apply(mlp, make_bench((64,)))

    with pytest.raises(YoursToFix, match="already quantized"):
        WeightOnly().apply(quantized, make_bench((64,)))


def test_numbers_may_come_as_text_from_a_form():
    assert WeightOnly.model_validate({"bits": "4", "block": "64"}) == WeightOnly(bits=4, block=64)


def test_gptq_takes_a_network_whose_only_matrix_is_its_last_layer(cnn, bench):
    result = WeightOnly(bits=4, method="gptq").apply(cnn, bench).proto

    x = rows(3, 3, 12, 12)
    assert any(node.op_type == "MatMulNBits" for node in result.graph.node)
    assert np.abs(run(result, x) - run(cnn.proto, x)).max() < 0.1 * np.abs(run(cnn.proto, x)).max()
