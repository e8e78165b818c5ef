"""Dynamic INT8 against onnxruntime's own quantizer, called by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from tests.workers.techniques.conftest import gaussian, loaded, network, rows, run
from workers.errors import YoursToFix
from workers.graph import tables
from workers.techniques.dynamic_int8 import DynamicInt8


def test_the_result_matches_onnxruntimes_quantizer_called_by_hand(mlp, make_bench, tmp_path):
    quantize_dynamic(
        mlp.proto, tmp_path / "hand.onnx", ["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
    )
    x = rows(300, 64)

    ours = DynamicInt8().apply(mlp, make_bench((64,))).proto

    hand = onnx.load(tmp_path / "hand.onnx")
    np.testing.assert_allclose(run(ours, x), run(hand, x), atol=1e-5)


def test_predictions_stay_close_to_those_in_float(mlp, make_bench):
    x = rows(300, 64)

    quantized = DynamicInt8().apply(mlp, make_bench((64,))).proto

    before, after = run(mlp.proto, x), run(quantized, x)
    assert np.abs(before - after).max() < 0.02 * np.ptp(before)


def test_weights_take_a_quarter_of_their_size(mlp, make_bench):
    quantized = DynamicInt8().apply(mlp, make_bench((64,))).proto

    eight_bit = [tensor for tensor in quantized.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert sum(len(tensor.raw_data) for tensor in eight_bit if len(tensor.dims) == 2) == 64 * 256 + 256 * 10


def test_an_lstm_is_quantized(make_bench):
    make = gaussian(5)
    weights = {"w": make(1, 64, 16, scale=0.2), "r": make(1, 64, 16, scale=0.2), "b": make(1, 128, scale=0.1)}
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["all", "h"], name="lstm", hidden_size=16),
        helper.make_node("Squeeze", ["h", "axis"], ["y"], name="squeeze"),
    ]
    proto = network(nodes, {**weights, "axis": np.array([0])}, (12, "N", 16), ("N", 16))
    x = rows(12, 4, 16)

    quantized = DynamicInt8().apply(loaded(proto), make_bench((16,))).proto

    assert "DynamicQuantizeLSTM" in [node.op_type for node in quantized.graph.node]
    session_outputs = _run_unchecked(quantized, x)
    assert np.abs(session_outputs - run(proto, x)).max() < 0.02


def _run_unchecked(proto, x):
    """DynamicQuantizeLSTM is onnxruntime's own operator, unknown to the checker of the standard."""
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_convolutions_stay_in_float(cnn, bench):
    quantized = DynamicInt8().apply(cnn, bench).proto

    kinds = [node.op_type for node in quantized.graph.node]
    assert "ConvInteger" not in kinds
    assert kinds.count("Conv") == 2


def test_a_network_without_matrix_products_is_refused(bench):
    proto = network(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], {"w": gaussian(1)(4, 3, 3, 3)},
        ("N", 3, 12, 12), ("N", 4, 10, 10),
    )  # fmt: skip

    with pytest.raises(YoursToFix, match="none to quantize"):
        DynamicInt8().apply(loaded(proto), bench)


def test_the_same_step_twice_is_refused_with_the_reason(mlp, make_bench):
    once = DynamicInt8().apply(mlp, make_bench((64,)))

    with pytest.raises(YoursToFix, match="already quantized"):
        DynamicInt8().apply(once, make_bench((64,)))


def test_excluded_layers_keep_their_float_weights(mlp, make_bench):
    quantized = DynamicInt8(excluded=("second",)).apply(mlp, make_bench((64,))).proto

    kinds = {tuple(tensor.dims): tensor.data_type for tensor in quantized.graph.initializer if len(tensor.dims) == 2}
    assert kinds[(256, 10)] == onnx.TensorProto.FLOAT
    assert kinds[(64, 256)] == onnx.TensorProto.INT8


def test_the_border_of_the_network_is_kept(mlp, make_bench):
    quantized = DynamicInt8().apply(mlp, make_bench((64,))).proto

    assert quantized.graph.input[0] == mlp.proto.graph.input[0]
    assert quantized.graph.output[0] == mlp.proto.graph.output[0]


def test_noted_shapes_of_weights_do_not_get_in_the_way(make_bench):
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense", transB=1)]
    proto = network(nodes, {"w": gaussian(1)(10, 64)}, ("N", 64), ("N", 10))
    proto.graph.value_info.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, (10, 64)))
    x = rows(20, 64)

    quantized = DynamicInt8().apply(loaded(proto), make_bench((64,))).proto

    assert np.abs(run(quantized, x) - run(proto, x)).max() < 0.02 * np.ptp(run(proto, x))


def looked_up(*, tied: bool = False, rows_in_table: int = 600):
    """Numbers (N, 5) → rows of a table, times a matrix; ``tied`` multiplies with the table itself, turned."""
    make, node = gaussian(5), helper.make_node
    weights = {"table": make(rows_in_table, 32, scale=0.3) * np.arange(1, rows_in_table + 1, dtype=np.float32)[:, None]}
    weights["matrix"] = make(32, 64)
    nodes = [
        node("Cast", ["x"], ["ids"], to=TensorProto.INT64),
        node("Gather", ["table", "ids"], ["rows"], name="look"),
    ]
    if tied:
        nodes += [node("Transpose", ["table"], ["turned"], perm=[1, 0]), node("MatMul", ["rows", "turned"], ["y"])]
        return loaded(network(nodes, weights, ("N", 5), ("N", 5, rows_in_table)))
    nodes += [node("MatMul", ["rows", "matrix"], ["y"], name="product")]
    return loaded(network(nodes, weights, ("N", 5), ("N", 5, 64)))


def stored(proto, name):
    return next((numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == name), None)


def test_a_large_table_is_stored_in_8_bits_with_a_scale_for_each_row(make_bench):
    model = looked_up()
    step = DynamicInt8(excluded=("product",))

    result = step.apply(model, make_bench((5,)))

    levels, scales = stored(result.proto, "table::rows"), stored(result.proto, "table::scales")
    table = stored(model.proto, "table")
    assert levels.dtype == np.int8 and stored(result.proto, "table") is None
    assert np.all(np.abs(levels * scales - table) <= 0.501 * np.abs(table).max(axis=1, keepdims=True) / 127)
    x = np.array([[0, 599, 3, 3, 250], [1, 2, 30, 40, 500]], np.float32)
    expected = (levels * scales)[x.astype(int)] @ stored(model.proto, "matrix")
    assert np.allclose(run(result.proto, x), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("model", "step"),
    [
        (looked_up(rows_in_table=50), DynamicInt8()),
        (looked_up(), DynamicInt8(embeddings=False)),
        (looked_up(), DynamicInt8(excluded=("look",))),
    ],
    ids=["small", "not asked for", "left alone"],
)
def test_other_tables_stay_in_float(model, step, make_bench):
    result = step.apply(model, make_bench((5,)))

    assert stored(result.proto, "table").dtype == np.float32


def test_a_table_that_is_also_multiplied_with_is_not_stored_twice():
    proto = looked_up(tied=True).proto

    assert tables.quantize(proto, frozenset()) == 0
    assert stored(proto, "table").dtype == np.float32


def test_a_table_in_4_bits_gives_rows_within_half_a_step_of_its_blocks(make_bench):
    model = looked_up()
    x = np.array([[0, 599, 3, 3, 250], [1, 2, 30, 40, 500]], np.float32)

    result = DynamicInt8(excluded=("product",), embedding_bits=4).apply(model, make_bench((5,)))

    table, matrix = stored(model.proto, "table"), stored(model.proto, "matrix")
    assert stored(result.proto, "table") is None
    assert len(result.proto.SerializeToString()) < table.nbytes / 4 + matrix.nbytes + 2000
    asked = table[x.astype(int)]
    found = _run_unchecked(result.proto, x) @ np.linalg.pinv(matrix)
    steps = (np.maximum(asked.max(-1), 0) - np.minimum(asked.min(-1), 0))[..., None] / 15
    assert np.all(np.abs(found - asked) <= 1.01 * steps) and np.abs(found - asked).max() > 0


def test_a_recurrent_layer_inside_a_decided_branch_is_quantized(make_bench):
    make, node = gaussian(5), helper.make_node
    weights = {
        "w": make(1, 64, 16, scale=0.2), "r": make(1, 64, 16, scale=0.2), "b": make(1, 128, scale=0.1),
        "axis": np.array([0]), "three": np.array(3, np.int64),
    }  # fmt: skip
    body = [
        node("LSTM", ["x", "w", "r", "b"], ["all", "h"], name="lstm", hidden_size=16),
        node("Squeeze", ["h", "axis"], ["then"], name="squeeze"),
    ]
    other = [node("ReduceSum", ["x", "axis"], ["else"], keepdims=0)]
    branches = {
        f"{name}_branch": helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        )
        for name, nodes in (("then", body), ("else", other))
    }
    nodes = [
        node("Shape", ["x"], ["shape"]), node("Size", ["shape"], ["rank"]), node("Equal", ["rank", "three"], ["deep"]),
        node("If", ["deep"], ["y"], name="if", **branches),
    ]  # fmt: skip
    proto = network(nodes, weights, (12, "N", 16), ("N", 16))
    x = rows(12, 4, 16)

    quantized = DynamicInt8().apply(loaded(proto), make_bench((16,))).proto

    assert "DynamicQuantizeLSTM" in [item.op_type for item in quantized.graph.node]
    assert np.abs(_run_unchecked(quantized, x) - run(proto, x)).max() < 0.02
