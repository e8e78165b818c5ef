"""Does a network compute the same in ONNX Runtime, as torch module, and after the way back?"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from workers.graph.fx import to_onnx, to_torch

TOLERANCE = 1e-4  # of the largest value
INPUTS = 32


def fed(proto: onnx.ModelProto, batch: int, seed: int = 0) -> dict[str, NDArray]:
    """Random values for each input: small non-negative numbers for integers, free axes of size ``batch``."""
    rng = np.random.default_rng(seed)
    weights = {tensor.name for tensor in proto.graph.initializer}
    feed = {}
    for item in proto.graph.input:
        if item.name in weights:
            continue
        dims = [dim.dim_value or batch for dim in item.type.tensor_type.shape.dim]
        if item.type.tensor_type.elem_type == TensorProto.FLOAT:
            feed[item.name] = rng.normal(size=dims).astype(np.float32)
        elif item.type.tensor_type.elem_type == TensorProto.BOOL:
            feed[item.name] = rng.integers(0, 2, dims).astype(bool)
        else:
            feed[item.name] = rng.integers(0, 2 if "mask" in item.name else 9, dims).astype(np.int64)
    return feed


def run(proto: onnx.ModelProto, feed: dict[str, NDArray]) -> list[NDArray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


def run_torch(module: torch.fx.GraphModule, feed: dict[str, NDArray]) -> list[NDArray]:
    with torch.no_grad():
        made = module(*[torch.from_numpy(values) for values in feed.values()])
    return [tensor.numpy() for tensor in (made if isinstance(made, tuple) else (made,))]


def assert_close(found: list[NDArray], expected: list[NDArray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if one.dtype.kind == "f":
            finite = np.isfinite(other)
            assert (np.isfinite(one) == finite).all()
            scale = np.abs(other[finite]).max(initial=0)
            assert np.abs(one[finite] - other[finite]).max(initial=0) <= TOLERANCE * scale
        else:
            assert (one == other).all()


def assert_agrees(proto: onnx.ModelProto, batches: tuple[int, ...] = (1, 7)) -> torch.fx.GraphModule:
    """ONNX Runtime on the original, torch, and ONNX Runtime on the way back agree on 32 inputs; gives the module."""
    torch.set_num_threads(1)
    module = to_torch(proto)
    again = to_onnx(module, like=proto)
    onnx.checker.check_model(again)
    for batch in batches:
        for seed in range(max(1, INPUTS // batch // len(batches))):
            feed = fed(proto, batch, seed)
            expected = run(proto, feed)
            assert_close(run_torch(module, feed), expected)
            assert_close(run(again, feed), expected)
    assert list(again.graph.input) == list(proto.graph.input)
    assert list(again.graph.output) == list(proto.graph.output)
    return module


def assert_gradients_reach_every_parameter(module: torch.fx.GraphModule, proto: onnx.ModelProto) -> None:
    module.train()
    made = module(*[torch.from_numpy(values) for values in fed(proto, 7).values()])
    results = made if isinstance(made, tuple) else (made,)
    sum((r.double() * torch.randn_like(r.double())).sum() for r in results if r.is_floating_point()).backward()
    still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    module.eval()
    assert not still
