"""Operators newer than ONNX Runtime's kernels, against the reference implementation of the specification."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.workers.graph_fx.agreement import assert_close, run_torch
from tests.workers.graph_fx.cases import IMAGE, X, f32, i64, one, with_constants
from workers.graph.fx import to_onnx, to_torch

HEADS = np.random.default_rng(1).normal(size=(2, 4, 5, 8)).astype(np.float32)
MASK = np.triu(np.ones((5, 5), bool))
NEWEST = onnx.defs.onnx_opset_version()
CASES = [
    one("Swish", X, opset=24, alpha=0.7),
    with_constants("RMSNormalization", X, f32(*range(6)), opset=23, epsilon=0.01),
    with_constants("CumProd", X, i64(1)[0], opset=26, exclusive=1),
    one("Attention", HEADS, HEADS * 2, HEADS * 3, opset=23),
    one("Attention", HEADS, HEADS[:, :2], HEADS[:, 2:], opset=23, is_causal=1, scale=0.3),
    one("Attention", HEADS, HEADS, HEADS, MASK, opset=23),
    one("Attention", HEADS[:, 0], HEADS[:, 1], HEADS[:, 2], opset=23, q_num_heads=2, kv_num_heads=2),
    one("RotaryEmbedding", HEADS, HEADS[:, 0, :, :4].copy(), HEADS[:, 1, :, :4].copy(), opset=23),
    one("RotaryEmbedding", HEADS, HEADS[:, 0, :, :4].copy(), HEADS[:, 1, :, :4].copy(), opset=23, interleaved=1),
    one("Relu", IMAGE, opset=NEWEST),
    with_constants("ReduceMean", X, i64(1), opset=NEWEST),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recent_operator_computes_what_the_specification_says(case):
    proto = case.model()
    feed = {f"in{index}": values for index, values in enumerate(case.fed)}

    module = to_torch(proto)
    again = to_onnx(module, like=proto)

    expected = ReferenceEvaluator(proto).run(None, feed)
    assert_close(run_torch(module, feed), expected)
    assert_close(ReferenceEvaluator(again).run(None, feed), expected)
