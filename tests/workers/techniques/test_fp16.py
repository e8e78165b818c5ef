import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.workers.techniques.conftest import loaded, network, rows, run
from workers.errors import YoursToFix
from workers.techniques.fp16 import Fp16
from workers.techniques.static_int8 import StaticInt8
from workers.techniques.tidy import Tidy


def float_bytes(proto):
    return sum(len(tensor.raw_data) for tensor in proto.graph.initializer)


def test_weights_are_rounded_as_numpy_rounds_them(mlp, make_bench):
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in mlp.proto.graph.initializer}

    half = Fp16().apply(mlp, make_bench((64,))).proto

    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in half.graph.initializer}
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}
    for name, weight in weights.items():
        np.testing.assert_array_equal(stored[name], weight.astype(np.float16))
    assert float_bytes(half) * 2 == float_bytes(mlp.proto)


def test_inputs_and_outputs_stay_32_bit_and_predictions_close(cnn, bench):
    x = rows(50, 3, 12, 12)

    half = Fp16().apply(cnn, bench).proto

    assert half.graph.input[0] == cnn.proto.graph.input[0]
    assert half.graph.output[0] == cnn.proto.graph.output[0]
    before, after = run(cnn.proto, x), run(half, x)
    assert after.dtype == np.float32
    assert np.abs(before - after).max() < 0.01 * np.ptp(before)


def squares() -> onnx.ModelProto:
    """The square root of a sum of squares, which leaves float16's range on its way for inputs near 300."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="mix"),
        helper.make_node("Pow", ["m", "two"], ["p"], name="square"),
        helper.make_node("ReduceSum", ["p", "axis"], ["s"], name="sum", keepdims=1),
        helper.make_node("Sqrt", ["s"], ["y"], name="root"),
    ]
    weights = {"w": np.eye(8, dtype=np.float32), "two": np.array(2, np.float32), "axis": np.array([1])}
    return network(nodes, weights, ("N", 8), ("N", 1))


def test_sensitive_operations_do_not_overflow_when_cautious(make_bench):
    x = np.full((2, 8), 80, np.float32)
    exact = run(squares(), x)

    cautious = run(Fp16().apply(loaded(squares()), make_bench((8,))).proto, x)

    assert np.isfinite(exact).all()
    np.testing.assert_allclose(cautious, exact, rtol=1e-2)


def test_excluded_layers_keep_their_weights(mlp, make_bench):
    half = Fp16(excluded=("second",)).apply(mlp, make_bench((64,))).proto

    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds["w1"] == TensorProto.FLOAT16
    assert kinds["w2"] == TensorProto.FLOAT


def test_weights_beyond_its_range_are_cut_and_the_user_told(make_bench):
    proto = network(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="m")], {"w": np.full((4, 2), 1e6, np.float32)},
        ("N", 4), ("N", 2),
    )  # fmt: skip

    half = Fp16().apply(loaded(proto), make_bench((4,)))

    assert onnx.numpy_helper.to_array(half.proto.graph.initializer[0]).max() == 65504
    assert any("65504" in note for note in half.notes)


@pytest.mark.parametrize("first", [Fp16(), StaticInt8()])
def test_a_network_that_is_no_longer_float32_is_refused(cnn, bench, first):
    changed = first.apply(cnn, bench)

    with pytest.raises(YoursToFix, match="FP16 expects"):
        Fp16().apply(changed, bench)


def test_tidy_after_it_keeps_every_bit(cnn, bench):
    half = Fp16().apply(cnn, bench)
    x = rows(20, 3, 12, 12)

    tidied = Tidy().apply(half, bench)

    np.testing.assert_array_equal(run(tidied.proto, x), run(half.proto, x))


def test_it_loads_no_torch():
    code = "import sys; from workers.graph import half, int8; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_network_in_float16_weights_still_gets_dynamic_batches(mlp, make_bench):
    half = Fp16().apply(mlp, make_bench((64,))).proto

    assert run(half, rows(1, 64)).shape == (1, 10)
    assert run(half, rows(9, 64)).shape == (9, 10)
