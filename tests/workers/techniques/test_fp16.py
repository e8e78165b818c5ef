import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.transformers.float16 import convert_float_to_float16

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


def normalised(epsilon: float) -> onnx.ModelProto:
    """Layer normalization as older exporters write it: one value is read by several sensitive operations."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="mix"),
        helper.make_node("ReduceMean", ["m"], ["mean"], name="mean", axes=[1]),
        helper.make_node("Sub", ["m", "mean"], ["d"], name="centre"),
        helper.make_node("Pow", ["d", "two"], ["squared"], name="square"),
        helper.make_node("Exp", ["d"], ["e"], name="exp"),
        helper.make_node("Log", ["e"], ["same"], name="log"),
        helper.make_node("ReduceMean", ["squared"], ["variance"], name="variance", axes=[1]),
        helper.make_node("Add", ["variance", "epsilon"], ["safe"], name="safe"),
        helper.make_node("Sqrt", ["safe"], ["root"], name="root"),
        helper.make_node("Div", ["same", "root"], ["y"], name="divide"),
    ]
    weights = {
        "w": np.eye(8, dtype=np.float32), "two": np.array(2, np.float32), "epsilon": np.array(epsilon, np.float32)
    }  # fmt: skip
    return network(nodes, weights, ("N", 8), ("N", 8))


def test_a_value_read_by_several_sensitive_operations_is_cast_once(make_bench):
    half = Fp16().apply(loaded(normalised(1e-5)), make_bench((8,))).proto

    casts = [node.input[0] for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) == len(set(casts))
    x = rows(4, 8)
    np.testing.assert_allclose(run(half, x), run(normalised(1e-5), x), atol=0.01)


def test_an_epsilon_too_small_for_float16_does_not_vanish(make_bench):
    half = Fp16(cautious=False).apply(loaded(normalised(1e-12)), make_bench((8,))).proto

    flat = np.ones((2, 8), np.float32)  # no variance: only epsilon stands between the division and zero
    assert np.isfinite(run(half, flat)).all()


def test_weights_that_old_exporters_list_as_inputs_become_float16_too(mlp, make_bench):
    for tensor in mlp.proto.graph.initializer:
        mlp.proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))

    halved = Fp16().apply(mlp, make_bench((64,)))

    x = rows(3, 64)
    assert [item.name for item in halved.proto.graph.input] == ["x"]
    assert np.allclose(run(halved.proto, x), run(mlp.proto, x), atol=0.1)


def test_branches_stay_in_float32_and_see_float32_values(make_bench):
    def branch(name, op):
        body = [helper.make_node(op, ["m", "shift"], [name])]
        return helper.make_graph(body, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="mix"),
        helper.make_node("ReduceSum", ["m"], ["sum"], name="sum", keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["condition"], name="ask"),
        helper.make_node("If", ["condition"], ["b"], name="branch",
                         then_branch=branch("t", "Add"), else_branch=branch("e", "Sub")),
        helper.make_node("MatMul", ["b", "w"], ["y"], name="again"),
    ]  # fmt: skip
    weights = {
        "w": np.eye(4, dtype=np.float32), "shift": np.full((1, 4), 0.1, np.float32), "zero": np.array(0, np.float32)
    }  # fmt: skip
    proto = network(nodes, weights, ("N", 4), ("N", 4))

    half = Fp16().apply(loaded(proto), make_bench((4,))).proto

    for sign in (1, -1):
        x = sign * np.abs(rows(3, 4))
        np.testing.assert_allclose(run(half, x), run(proto, x), atol=2e-3)


def test_local_functions_are_seen_through(make_bench):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    dense = helper.make_function(
        "own", "Dense", ["a", "b"], ["c"], [helper.make_node("MatMul", ["a", "b"], ["c"])], opsets[:1]
    )
    proto = network([helper.make_node("Dense", ["x", "w"], ["y"], domain="own")], {"w": rows(4, 4)}, ("N", 4), ("N", 4))
    proto.functions.append(dense)
    proto.opset_import.append(opsets[1])

    half = Fp16().apply(loaded(proto), make_bench((4,))).proto

    assert [tensor.data_type for tensor in half.graph.initializer] == [TensorProto.FLOAT16]
    np.testing.assert_allclose(run(half, rows(2, 4)), run(proto, rows(2, 4)), atol=0.01)


def test_the_sizes_of_a_resize_stay_in_float32(make_bench):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Resize", ["c", "", "scales"], ["y"], name="up", mode="nearest"),
    ]
    weights = {"w": rows(2, 3, 1, 1), "scales": np.array([1, 1, 2, 2], np.float32)}
    proto = network(nodes, weights, ("N", 3, 4, 4), ("N", 2, 8, 8))

    half = Fp16().apply(loaded(proto), make_bench((3, 4, 4))).proto

    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {"w": TensorProto.FLOAT16, "scales": TensorProto.FLOAT}
    np.testing.assert_allclose(run(half, rows(2, 3, 4, 4)), run(proto, rows(2, 3, 4, 4)), atol=0.02)


def test_it_agrees_with_onnxruntimes_converter_on_a_plain_network(cnn, bench):

    copied = onnx.ModelProto()
    copied.CopyFrom(cnn.proto)
    theirs = convert_float_to_float16(copied, keep_io_types=True)
    x = rows(20, 3, 12, 12)

    ours = Fp16().apply(cnn, bench).proto

    assert abs(ours.ByteSize() / theirs.ByteSize() - 1) < 0.05
    session = onnxruntime.InferenceSession(theirs.SerializeToString())
    np.testing.assert_allclose(run(ours, x), session.run(None, {"x": x})[0], atol=1e-2)


@pytest.mark.parametrize("after", [(), (Tidy(),)], ids=["alone", "tidied"])
def test_the_shapes_of_sums_stay_noted_because_the_runtime_may_crash_without_them(cnn, bench, after):
    model = Fp16().apply(cnn, bench)
    for technique in after:
        model = technique.apply(model, bench)

    sums = {node.output[0] for node in model.proto.graph.node if node.op_type == "Add"}
    assert sums
    assert sums <= {item.name for item in model.proto.graph.value_info}
