"""Parameters and multiply-accumulates against closed forms, hand counts, torch and a slow loop."""

import itertools
import zipfile
import zlib

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from tests.material import _weight as weight
from tests.material import model_of, tiny_cnn, tiny_lstm, tiny_mlp, write
from workers import formats


def counted(nodes, weights, *, x, y=("N", 1)):
    return formats.facts(model_of(nodes, weights, inputs={"x": x}, outputs={"y": y}))


def test_an_mlp_holds_and_multiplies_what_the_closed_form_says():
    features, hidden, classes = 64, 32, 10

    facts = formats.facts(tiny_mlp(features, hidden, classes))

    assert facts.params == features * hidden + hidden + hidden * classes + classes
    assert facts.macs == features * hidden + hidden * classes
    assert [(layer.name, layer.params) for layer in facts.layers] == [("first", 2080), ("second", 330)]


def test_a_cnn_agrees_with_torch_and_with_a_loop_over_every_product():
    side, channels = 8, 8
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, channels, 3), torch.nn.Conv2d(channels, 2 * channels, 3), torch.nn.Linear(2 * channels, 10)
    )
    taps = range(3)
    first = sum(1 for _ in itertools.product(range(side), range(side), range(channels), range(1), taps, taps))
    halves = range(side // 2)
    second = sum(1 for _ in itertools.product(halves, halves, range(2 * channels), range(channels), taps, taps))

    facts = formats.facts(tiny_cnn(side, channels))

    assert facts.params == sum(parameter.numel() for parameter in network.parameters())
    assert [layer.macs for layer in facts.layers] == [first, second, 2 * channels * 10]
    assert facts.layers[1].output_shape == (1, 2 * channels, side // 2, side // 2)


def test_groups_divide_the_work_of_a_convolution():
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=4, pads=[1, 1, 1, 1], dilations=[1, 1])

    facts = counted([node], [weight("w", 8, 2, 3, 3, seed=0)], x=("N", 8, 5, 7), y=("N", 8, 5, 7))

    assert facts.macs == 8 * 5 * 7 * 2 * 9
    assert facts.params == 8 * 2 * 9


def test_a_transposed_convolution_multiplies_every_input_with_its_kernel():
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])

    facts = counted([node], [weight("w", 6, 4, 2, 2, seed=0)], x=("N", 6, 5, 5), y=("N", 4, 10, 10))

    assert facts.macs == 6 * 5 * 5 * 4 * 2 * 2


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_counts_the_summed_axis_also_when_transposed(transposed):
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=transposed)
    x = (5, 3) if transposed else ("N", 5)

    facts = counted([node], [weight("w", 5, 7, seed=0)], x=x, y=(3, 7))

    assert facts.macs == (3 * 5 * 7 if transposed else 5 * 7)


def test_a_product_of_two_inputs_counts_every_matrix_of_the_stack():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]

    assert counted(nodes, [], x=("N", 3, 4, 5), y=("N", 3, 4, 4)).macs == 3 * 4 * 4 * 5


def test_einsum_counts_one_product_for_every_letter():
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="nij,jk->nik")

    assert counted([node], [weight("w", 5, 6, seed=0)], x=("N", 4, 5), y=("N", 4, 6)).macs == 4 * 5 * 6


def test_an_lstm_multiplies_input_and_state_into_four_gates_at_every_step():
    steps, features, hidden = 12, 6, 16

    facts = formats.facts(tiny_lstm(steps, features, hidden))

    assert facts.macs == steps * 4 * hidden * (features + hidden) + hidden
    lstm = torch.nn.LSTM(features, hidden)
    assert facts.params == sum(parameter.numel() for parameter in lstm.parameters()) + hidden + 1


def test_a_gru_has_three_gates_and_two_directions():
    node = helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=4, direction="bidirectional")
    weights = [weight("w", 2, 12, 3, seed=0), weight("r", 2, 12, 4, seed=1)]

    assert counted([node], weights, x=(5, 1, 3), y=(5, 2, 1, 4)).macs == 5 * 2 * 3 * 4 * (3 + 4)


def test_a_shared_weight_counts_once_and_belongs_to_its_first_layer():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="one"),
        helper.make_node("MatMul", ["h", "w"], ["y"], name="two"),
    ]

    facts = counted(nodes, [weight("w", 8, 8, seed=0)], x=("N", 8), y=("N", 8))

    assert facts.params == 64
    assert [(layer.name, layer.params, layer.macs) for layer in facts.layers] == [("one", 64, 64), ("two", 0, 64)]


def test_a_weight_in_a_constant_node_counts_like_an_initializer():
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weight("w", 8, 4, seed=0)),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]

    assert counted(nodes, [], x=("N", 8), y=("N", 4)).params == 32


def test_running_statistics_shapes_and_lone_numbers_are_no_parameters():
    nodes = [
        helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["n"]),
        helper.make_node("Mul", ["n", "two"], ["t"]),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    weights = [weight(name, 6, seed=0) for name in "gbmv"]
    weights.append(numpy_helper.from_array(np.array(2.0, np.float32), "two"))
    weights.append(numpy_helper.from_array(np.array([-1, 24], np.int64), "shape"))

    assert counted(nodes, weights, x=("N", 6, 2, 2), y=("N", 24)).params == 12


def test_a_branch_counts_its_larger_side_unless_its_condition_is_known():
    def branch(times):
        names = ["x", *(f"h{number}" for number in range(times))]
        nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in itertools.pairwise(names)]
        return helper.make_graph(nodes, "b", [], [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [1, 8])])

    def count(*conditions):
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch(1), else_branch=branch(2))
        zero = numpy_helper.from_array(np.float32(0), "zero")
        return counted([*conditions, node], [weight("w", 8, 8, seed=0), zero], x=(1, 8), y=(1, 8)).macs

    largest = helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0)
    open_question = count(largest, helper.make_node("Greater", ["m", "zero"], ["c"]))
    decided = count(helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))))

    assert (open_question, decided) == (2 * 64, 64)


def test_a_function_counts_wherever_it_is_called():
    proto = model_of(
        [helper.make_node("Twice", ["x", "w"], ["y"], domain="own")],
        [weight("w", 8, 8, seed=0)],
        inputs={"x": ("N", 8)},
        outputs={"y": ("N", 8)},
    )
    body = [helper.make_node("MatMul", ["a", "b"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["c"])]
    proto.functions.append(helper.make_function("own", "Twice", ["a", "b"], ["c"], body, [helper.make_opsetid("", 17)]))
    proto.opset_import.append(helper.make_opsetid("own", 1))

    facts = formats.facts(proto)

    assert (facts.macs, facts.params) == (128, 64)


def test_a_fixed_batch_is_divided_out_and_said():
    node = helper.make_node("MatMul", ["x", "w"], ["y"])

    facts = counted([node], [weight("w", 8, 4, seed=0)], x=(16, 8), y=(16, 4))

    assert facts.macs == 32
    assert any("16 samples" in warning for warning in facts.warnings)


def test_a_free_length_is_filled_in_and_said():
    node = helper.make_node("MatMul", ["x", "w"], ["y"])

    facts = counted([node], [weight("w", 8, 4, seed=0)], x=("N", "time", 8), y=("N", "time", 4))

    assert facts.macs == 128 * 32
    assert any("free" in warning for warning in facts.warnings)


class Calibration(CalibrationDataReader):
    def __init__(self, shape):
        generator = np.random.default_rng(0)
        self.batches = iter([{"x": generator.normal(size=(8, *shape)).astype(np.float32)}])

    def get_next(self):
        return next(self.batches, None)


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_static_quantization_changes_neither_parameters_nor_multiplications(form, tmp_path):
    plain = tiny_cnn()
    write(plain, tmp_path / "plain.onnx")
    quantize_static(
        tmp_path / "plain.onnx",
        tmp_path / "int8.onnx",
        Calibration((1, 8, 8)),
        quant_format=form,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )

    before, after = formats.facts(plain), formats.inspect(tmp_path / "int8.onnx")[1]

    assert (after.params, after.macs) == (before.params, before.macs)
    assert after.quantized and not before.quantized
    assert sum(layer.params for layer in after.layers) == after.params


@pytest.mark.parametrize("build", [tiny_mlp, tiny_lstm])
def test_dynamic_quantization_keeps_the_multiplications(build, tmp_path):
    write(build(), tmp_path / "plain.onnx")
    quantize_dynamic(tmp_path / "plain.onnx", tmp_path / "int8.onnx", per_channel=build is tiny_mlp)

    before, after = formats.facts(build()), formats.inspect(tmp_path / "int8.onnx")[1]

    assert after.macs == before.macs
    assert after.params == before.params
    assert after.quantized


def test_four_bit_weights_count_each_value_not_each_byte(tmp_path):
    nodes = [
        helper.make_node(
            "MatMulNBits", ["x", "q", "s"], ["y"], domain="com.microsoft", K=64, N=32, bits=4, block_size=32
        )
    ]
    packed = numpy_helper.from_array(np.zeros((32, 2, 16), np.uint8), "q")
    scales = numpy_helper.from_array(np.ones(64, np.float32), "s")

    facts = counted(nodes, [packed, scales], x=("N", 64), y=("N", 32))

    assert (facts.params, facts.macs) == (64 * 32, 64 * 32)


def test_sizes_are_those_of_the_file_and_of_a_zip_of_it(tmp_path):
    path = write(tiny_mlp(), tmp_path / "model.onnx")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.write(path, "model.onnx")
        packed = archive.getinfo("model.onnx").compress_size

    _, facts = formats.inspect(path)

    assert facts.size_bytes == path.stat().st_size
    assert facts.zip_bytes == pytest.approx(packed, abs=16)


def test_a_network_too_large_for_one_piece_is_zipped_in_parts(monkeypatch):
    whole = formats.facts(tiny_mlp())
    monkeypatch.setattr("workers.formats.counting.WHOLE_BELOW_BYTES", 0)

    parts = formats.facts(tiny_mlp())

    assert parts.size_bytes == pytest.approx(whole.size_bytes, rel=0.01)
    assert parts.zip_bytes == pytest.approx(whole.zip_bytes, rel=0.01)


def test_weight_bytes_are_kept_apart_by_type():
    proto = tiny_mlp()
    half = numpy_helper.to_array(proto.graph.initializer[0]).astype(np.float16)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(half, "w1"))

    facts = formats.facts(proto)

    assert facts.weight_bytes == {"float16": 32 * 64 * 2, "float32": (32 + 320 + 10) * 4}


def test_borders_leave_stored_weights_out_and_name_free_axes():
    proto = tiny_mlp()
    proto.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [32, 64]))

    facts = formats.facts(proto)

    assert [(item.name, item.dtype, item.shape) for item in facts.inputs] == [("x", "float32", ("N", 64))]
    assert facts.opset == 17
    assert facts.op_counts == {"Gemm": 2, "Relu": 1}


def test_counting_leaves_the_network_as_it_was():
    proto = tiny_cnn()

    formats.facts(proto)

    assert proto == tiny_cnn()
    assert zlib.crc32(proto.SerializeToString()) == zlib.crc32(tiny_cnn().SerializeToString())
    onnx.checker.check_model(proto)
