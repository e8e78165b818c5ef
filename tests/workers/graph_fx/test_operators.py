"""Each operator of the table against ONNX Runtime: attributes, optional inputs, every opset's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.workers.graph_fx.agreement import assert_close, run, run_torch
from tests.workers.graph_fx.cases import FLAGS, IMAGE, INTEGERS, KERNEL, POSITIVE, RNG, X, f32, i64, one, with_constants
from workers.graph.fx import to_onnx, to_torch
from workers.graph.fx.table import OPERATORS, READERS

UNARY = "Abs Neg Sign Floor Ceil Round Sin Cos Tan Atan Sinh Cosh Asinh Erf Exp Sigmoid Tanh Relu Softsign Softplus"
ELEMENTWISE = [
    *(one(name, X) for name in UNARY.split()),
    *(one(name, POSITIVE) for name in ("Sqrt", "Log", "Reciprocal")),
    *(one(name, np.tanh(X)) for name in ("Asin", "Acos", "Atanh")),
    one("Acosh", POSITIVE + 1),
    *(one(name, X, X[:, :1]) for name in ("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean")),
    one("Div", X, POSITIVE),
    one("Div", INTEGERS, np.abs(INTEGERS) + 2),
    one("Mod", INTEGERS, np.abs(INTEGERS) + 2),
    one("Mod", X, POSITIVE, fmod=1),
    one("Pow", POSITIVE, X),
    with_constants("Pow", X, np.array(2.0, np.float32)),
    *(one(name, X, X[:1]) for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(one(name, FLAGS, ~FLAGS[:1]) for name in ("And", "Or", "Xor")),
    one("Not", FLAGS),
    one("IsNaN", X),
    one("IsInf", np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)).astype(np.float32), detect_negative=0),
    one("Where", FLAGS, X, X[:1]),
    with_constants("Clip", X, np.array(-0.5, np.float32), np.array(0.7, np.float32)),
    with_constants("Clip", X, None, np.array(0.7, np.float32), opset=11),
    one("Cast", X, to=TensorProto.INT32),
    one("CastLike", X, f32(1)),
    one("Identity", X),
    *(one(name, INTEGERS, INTEGERS[:1], opset=18) for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    one("BitwiseNot", INTEGERS, opset=18),
    one("Shrink", X, bias=0.1, lambd=0.4),
    one("LpNormalization", X, axis=1, p=2),
]
ACTIVATIONS = [
    one("LeakyRelu", X, alpha=0.2),
    one("Elu", X, alpha=0.7),
    one("Celu", X, alpha=0.7),
    one("Selu", X),
    one("ThresholdedRelu", X, alpha=0.3),
    one("HardSigmoid", X, alpha=0.3, beta=0.4),
    one("HardSwish", X),
    one("Mish", X, opset=18),
    one("Gelu", X, opset=20),
    one("Gelu", X, opset=20, approximate="tanh"),
    one("Softmax", X),
    one("Softmax", X, opset=11),
    one("Softmax", X, opset=11, axis=2),
    one("Softmax", X, axis=1),
    one("LogSoftmax", X, axis=1),
    one("LogSoftmax", X, opset=12, axis=1),
    one("Hardmax", X, axis=1),
    with_constants("PRelu", IMAGE, f32(0.1, 0.2, 0.3, 0.4).reshape(4, 1, 1)),
    with_constants("PRelu", X, f32(0.25)),
]
SHAPES = [
    one("Shape", X),
    one("Shape", X, start=1, end=-1),
    one("Size", X),
    with_constants("Reshape", X, i64(0, -1)),
    with_constants("Reshape", X, i64(-1, 8), opset=11),
    one("Flatten", X),
    one("Flatten", X, axis=2),
    one("Flatten", X, axis=0),
    one("Transpose", X, perm=[2, 0, 1]),
    one("Transpose", X),
    one("Squeeze", X[:1], opset=11, axes=[0]),
    with_constants("Squeeze", X[:1], i64(0)),
    one("Squeeze", X[:1]),
    one("Unsqueeze", X, opset=11, axes=[0, 4]),
    with_constants("Unsqueeze", X, i64(-1, 1)),
    one("Concat", X, X, axis=-2),
    one("Split", X, opset=11, outputs=2, axis=2, split=[2, 4]),
    with_constants("Split", X, i64(1, 3), outputs=2, axis=1),
    one("Split", X, outputs=3, axis=2),
    one("Split", IMAGE, opset=18, outputs=4, axis=3, num_outputs=4),
    with_constants("Slice", X, i64(1, -3), i64(9, -1), i64(1, 2)),
    with_constants("Slice", X, i64(-1), i64(-99), i64(2), i64(-2)),
    with_constants("Slice", X, i64(0), i64(2**63 - 1), i64(-1), i64(3)),
    with_constants("Expand", X[:, :1], i64(2, 1, 4, 1)),
    with_constants("Tile", X, i64(1, 2, 3)),
    with_constants("Pad", X, i64(0, 1, 2, 1, 0, 3), np.array(1.5, np.float32)),
    with_constants("Pad", X, i64(0, 2, 1, 0, 0, 3), mode="reflect"),
    with_constants("Pad", X, i64(0, 2, 1, 0, 0, 3), mode="edge"),
    with_constants("Pad", X, i64(0, 2, 1, 0, 0, 3), opset=19, mode="wrap"),
    with_constants("Pad", X, i64(0, -1, 1, 0, 0, 0)),
    with_constants("Pad", X, i64(1, 2), None, i64(-1), opset=18),
    one("DepthToSpace", IMAGE, blocksize=2),
    one("DepthToSpace", IMAGE, blocksize=2, mode="CRD"),
    one("SpaceToDepth", IMAGE[:, :, :8, :6], blocksize=2),
    one("Trilu", X),
    with_constants("Trilu", X, np.array(-1, np.int64), upper=0),
    with_constants("ConstantOfShape", i64(2, 3)),
    one("ConstantOfShape", i64(2, 3), value=numpy_helper.from_array(i64(7))),
    with_constants("Range", np.array(2, np.int64), np.array(9, np.int64), np.array(3, np.int64)),
    one("EyeLike", X[0], k=1),
    with_constants("OneHot", np.abs(INTEGERS[0]) % 5, i64(5), f32(-1, 2), axis=1),
    one("ReverseSequence", X, i64(1, 2, 3, 2), time_axis=0, batch_axis=1),
]
REDUCTIONS = [
    *(
        case
        for name in ("Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp")
        for case in (
            one(f"Reduce{name}", X, axes=[1], keepdims=0),
            with_constants(f"Reduce{name}", X, i64(0, -1), opset=18),
            one(f"Reduce{name}", X),
        )
    ),
    one("ReduceLogSum", POSITIVE, axes=[1]),
    one("ReduceSum", X, opset=11, axes=[-1]),
    with_constants("ReduceSum", X, i64(1), keepdims=0),
    one("ReduceSum", X, noop_with_empty_axes=1),
    one("ArgMax", X, axis=1),
    one("ArgMin", X, axis=-1, keepdims=0),
    one("ArgMax", INTEGERS.astype(np.float32) // 4, axis=2, select_last_index=1),
    with_constants("TopK", X, i64(3), outputs=2),
    with_constants("TopK", X, i64(2), outputs=2, axis=1, largest=0),
    with_constants("CumSum", X, np.array(1, np.int64)),
    with_constants("CumSum", X, np.array(-1, np.int64), exclusive=1, reverse=1),
]
INDEXING = [
    with_constants("Gather", X, i64(0, -1), axis=1),
    with_constants("Gather", X, np.array(1, np.int64), axis=2),
    one("Gather", X, INTEGERS[:, :2, 0] % 3),
    with_constants("GatherElements", X, INTEGERS[:, :2] % 4, axis=1),
    with_constants("GatherND", X, i64(0, 1, 2, 3).reshape(2, 2)),
    with_constants("GatherND", X, i64(0, 1, 2).reshape(3, 1), batch_dims=1),
    with_constants("ScatterND", X, i64(0, 2).reshape(2, 1), X[:2] * 2),
    with_constants("ScatterND", X, i64(0, 0).reshape(2, 1), X[:2] * 2, opset=16, reduction="add"),
    with_constants("ScatterElements", X, INTEGERS[:, :2] % 4, X[:, :2], axis=1),
    one("NonZero", FLAGS),
    with_constants("Compress", X, np.array([True, False, True, True]), axis=1),
]
WINDOWS = [
    with_constants("Conv", IMAGE, KERNEL),
    with_constants("Conv", IMAGE, KERNEL, f32(1, 2, 3, 4, 5, 6), strides=[2, 1], pads=[1, 0, 1, 0], dilations=[1, 2]),
    with_constants("Conv", IMAGE, KERNEL, pads=[0, 1, 2, 0]),
    with_constants("Conv", IMAGE, KERNEL, auto_pad="SAME_UPPER", strides=[2, 2]),
    with_constants("Conv", IMAGE, KERNEL, auto_pad="SAME_LOWER", strides=[2, 3]),
    with_constants("Conv", IMAGE, KERNEL, auto_pad="VALID"),
    with_constants("Conv", IMAGE, KERNEL[:, :2], group=2),
    with_constants("Conv", IMAGE, KERNEL[:4, :1], group=4, pads=[1, 1, 1, 1]),
    one("Conv", IMAGE, KERNEL, pads=[1, 0, 0, 1]),
    with_constants("Conv", X, KERNEL[:, :, 0], f32(1, 2, 3, 4, 5, 6), pads=[1, 1]),
    with_constants("Conv", IMAGE[:, None], KERNEL[:, :1, None], pads=[0, 1, 1, 0, 1, 1]),
    with_constants("ConvTranspose", IMAGE, KERNEL[:4]),
    with_constants(
        "ConvTranspose", IMAGE, KERNEL[:4], f32(*range(4)), strides=[2, 3], pads=[1, 0, 1, 0], output_padding=[1, 1]
    ),
    with_constants("ConvTranspose", IMAGE, KERNEL[:4], f32(*range(4)), strides=[2, 2], pads=[1, 0, 0, 1]),
    with_constants("ConvTranspose", IMAGE, KERNEL[:4], strides=[2, 2], output_shape=[18, 15]),
    with_constants("ConvTranspose", IMAGE, KERNEL[:4], strides=[2, 2], auto_pad="SAME_UPPER"),
    one("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]),
    one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 2, 1], ceil_mode=1),
    one("MaxPool", IMAGE, kernel_shape=[2, 2], auto_pad="SAME_UPPER", strides=[2, 2]),
    one("MaxPool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2]),
    one("MaxPool", X, kernel_shape=[2]),
    one("AveragePool", IMAGE, kernel_shape=[3, 2], strides=[2, 2]),
    one("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    one("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
    one("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0]),
    one("AveragePool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, opset=19),
    one("AveragePool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    one("LpPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], p=2),
    *(one(name, IMAGE) for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")),
]
NORMS = [
    with_constants(
        "BatchNormalization", IMAGE, f32(1, 2, 3, 4), f32(0, 1, 0, 2), f32(1, 0, 2, 0), f32(1, 2, 1, 3), epsilon=0.01
    ),
    with_constants("BatchNormalization", X[..., 0], f32(1, 2, 3, 4), f32(0, 1, 0, 2), f32(1, 0, 2, 0), f32(1, 2, 1, 3)),
    with_constants("LayerNormalization", X, f32(*range(6)), f32(*range(6)), epsilon=1e-3),
    with_constants("LayerNormalization", X, f32(*range(6))),
    with_constants("LayerNormalization", X, X[0], X[1], axis=1),
    with_constants("InstanceNormalization", IMAGE, f32(1, 2, 3, 4), f32(0, 1, 0, 2), epsilon=0.01),
    with_constants("InstanceNormalization", X, f32(1, 2, 3, 4), f32(0, 1, 0, 2)),
    with_constants("GroupNormalization", IMAGE, f32(1, 2), f32(0, 1), opset=18, num_groups=2),
    with_constants("GroupNormalization", IMAGE, f32(1, 2, 3, 4), f32(0, 1, 0, 2), opset=21, num_groups=2),
    one("MeanVarianceNormalization", IMAGE),
    one("LRN", IMAGE, size=3, alpha=0.1, beta=0.6, bias=1.5),
]
PRODUCTS = [
    with_constants("Gemm", X[0], X[1], transB=1),
    with_constants("Gemm", X[0], X[1].T.copy(), f32(1, 2, 3, 4)),
    with_constants("Gemm", X[0], X[1], f32(1, 2, 3, 4), transB=1),
    with_constants("Gemm", X[0], X[1], np.array(2.0, np.float32), transB=1, alpha=0.5, beta=2.0),
    one("Gemm", X[0].T.copy(), X[1].T.copy(), transA=1),
    with_constants("MatMul", X, X[0].T.copy()),
    one("MatMul", X, X.transpose(0, 2, 1).copy()),
    one("Einsum", X, X, equation="bij,bkj->bik"),
    one("Det", X[:, :, :4]),
]
SIZES = [
    with_constants("Resize", IMAGE, None, f32(1, 1, 2, 2), mode="nearest"),
    with_constants(
        "Resize",
        IMAGE,
        None,
        f32(1, 1, 2, 2),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    with_constants("Resize", IMAGE, None, None, i64(2, 4, 5, 11), mode="nearest", nearest_mode="ceil"),
    with_constants("Resize", IMAGE, f32(), f32(1, 1, 2, 3), opset=11, mode="linear"),
    with_constants("Resize", IMAGE, None, f32(1, 1, 0.6, 1.7), mode="linear"),
    with_constants(
        "Resize", IMAGE, None, None, i64(2, 4, 5, 11), mode="linear", coordinate_transformation_mode="align_corners"
    ),
    with_constants(
        "Resize",
        IMAGE,
        None,
        None,
        i64(2, 4, 1, 11),
        mode="linear",
        coordinate_transformation_mode="pytorch_half_pixel",
    ),
    with_constants("Resize", IMAGE, None, f32(1, 1, 2, 2), mode="cubic", cubic_coeff_a=-0.5),
    with_constants("Resize", IMAGE, None, f32(1, 1, 2, 2), mode="cubic", exclude_outside=1),
    with_constants("Resize", IMAGE, None, None, i64(18, 14), opset=18, mode="linear", axes=[2, 3]),
    one("GridSample", IMAGE, np.tanh(RNG.normal(size=(2, 5, 6, 2))).astype(np.float32), mode="bilinear", opset=16),
]
W = (RNG.normal(size=(2, 20, 6)) / 2).astype(np.float32)
R = (RNG.normal(size=(2, 20, 5)) / 2).astype(np.float32)
B = (RNG.normal(size=(2, 40)) / 2).astype(np.float32)
START = RNG.normal(size=(2, 4, 5)).astype(np.float32)
LENGTHS = np.array([3, 1, 2, 3], np.int32)
CELLS = [
    with_constants("LSTM", X, W[:1], R[:1], B[:1], hidden_size=5, outputs=3),
    with_constants("LSTM", X, W[:1], R[:1], hidden_size=5, outputs=1),
    with_constants("LSTM", X, W[:1], R[:1], B[:1], hidden_size=5, outputs=3, direction="reverse"),
    with_constants("LSTM", X, W, R, B, None, START, START * 2, hidden_size=5, outputs=3, direction="bidirectional"),
    with_constants("LSTM", X, W, R, B, LENGTHS, hidden_size=5, outputs=3, direction="bidirectional"),
    with_constants("LSTM", X, W[:1], R[:1], B[:1], LENGTHS, hidden_size=5, outputs=3, direction="reverse"),
    with_constants("GRU", X, W[:1, :15], R[:1, :15], B[:1, :30], hidden_size=5, outputs=2, linear_before_reset=1),
    with_constants(
        "GRU",
        X,
        W[:, :15],
        R[:, :15],
        B[:, :30],
        None,
        START,
        hidden_size=5,
        outputs=2,
        linear_before_reset=1,
        direction="bidirectional",
    ),
    with_constants("GRU", X, W[:1, :15], R[:1, :15], B[:1, :30], hidden_size=5, outputs=2),
    with_constants("GRU", X, W[:, :15], R[:, :15], B[:, :30], hidden_size=5, outputs=2, direction="bidirectional"),
    with_constants("RNN", X, W[:1, :5], R[:1, :5], B[:1, :10], hidden_size=5, outputs=2),
    with_constants("RNN", X, W[:1, :5], R[:1, :5], B[:1, :10], hidden_size=5, outputs=2, activations=["Relu"]),
]
ALL = [*ELEMENTWISE, *ACTIVATIONS, *SHAPES, *REDUCTIONS, *INDEXING, *WINDOWS, *NORMS, *PRODUCTS, *SIZES, *CELLS]


@pytest.mark.parametrize("case", ALL, ids=str)
def test_an_operator_computes_what_onnx_runtime_computes_and_comes_back_the_same(case):
    proto = case.model()
    feed = {f"in{index}": values for index, values in enumerate(case.fed)}

    module = to_torch(proto)
    again = to_onnx(module, like=proto)

    expected = run(proto, feed)
    assert_close(run_torch(module, feed), expected)
    assert_close(run(again, feed), expected)
    assert [node.op_type for node in again.graph.node] == [case.op_type]
    assert again.graph.node[0].name == "it"


def chain(*nodes: onnx.NodeProto, kinds: Sequence[int] = (TensorProto.FLOAT,)) -> onnx.ModelProto:
    """A model of nodes that turn ``x`` into ``y``, ``z`` … with the constants ``b`` and ``one``."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip("yz", kinds, strict=False)],
        [numpy_helper.from_array(f32(*range(6)), "b"), numpy_helper.from_array(np.array(1), "one")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(op_type: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), outputs.split(), **attributes)


RUNTIME = "com.microsoft"
CHAINS = [
    chain(
        node("SplitToSequence", "x", "s", axis=1, keepdims=0),
        node("SequenceAt", "s one", "p"),
        node("SequenceLength", "s", "z"),
        node("SequenceConstruct", "p p", "t"),
        node("ConcatFromSequence", "t", axis=0, new_axis=1),
        kinds=(TensorProto.FLOAT, TensorProto.INT64),
    ),
    chain(node("SplitToSequence", "x one", "s", axis=2), node("ConcatFromSequence", "s", axis=0)),
    chain(node("Dropout", "x"), kinds=(TensorProto.FLOAT,)),
    chain(node("Gelu", "x", domain=RUNTIME)),
    chain(node("QuickGelu", "x", domain=RUNTIME, alpha=1.5)),
    chain(node("BiasGelu", "x b", domain=RUNTIME)),
    chain(node("FastGelu", "x b", domain=RUNTIME)),
    chain(node("FusedMatMul", "x x", domain=RUNTIME, transB=1, alpha=0.5)),
]


@pytest.mark.parametrize("proto", CHAINS, ids=lambda proto: proto.graph.node[0].op_type)
def test_operators_that_need_others_or_come_from_onnxruntime_compute_the_same(proto):
    module = to_torch(proto)

    expected = run(proto, {"x": X})
    assert_close(run_torch(module, {"x": X}), expected)
    assert_close(run(to_onnx(module, like=proto), {"x": X}), expected)


def test_every_operator_of_the_table_is_compared_with_an_independent_one():
    from tests.workers.graph_fx.test_recent_operators import CASES

    compared = {("", case.op_type) for case in (*ALL, *CASES)}
    compared |= {(step.domain, step.op_type) for proto in CHAINS for step in proto.graph.node}

    assert {*OPERATORS, *READERS} <= compared
