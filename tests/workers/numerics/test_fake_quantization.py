"""Fake rounding against ONNX Runtime's real one, and its gradients against their rule."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from workers.numerics.fake_quantization import activation, weight


def quantize_and_back(values, scale, zero):
    """What QuantizeLinear and DequantizeLinear make of values, 8 bits unsigned."""
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
         helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [scale]),
         helper.make_tensor("z", TensorProto.UINT8, [], [zero])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": values})[
        0
    ]


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 2.5), (-0.7, 0.2)])
def test_activations_are_rounded_as_the_runtime_rounds_them(low, high):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 2
    scale = np.float32((high - low) / 255)

    ours = activation(torch.from_numpy(values), torch.tensor(low), torch.tensor(high)).numpy()

    assert np.abs(ours - quantize_and_back(values, float(scale), round(-low / float(scale)))).max() <= scale * 1.01
    assert np.mean(np.isclose(ours, quantize_and_back(values, float(scale), round(-low / float(scale))))) > 0.98


def test_each_output_channel_has_a_scale_of_its_own():
    values = torch.tensor([[127.0, 1.4, -63.6], [1.27, 0.014, -0.636]])

    rounded = weight(values, axis=0, most=127)

    assert torch.allclose(rounded, torch.tensor([[127.0, 1.0, -64.0], [1.27, 0.01, -0.64]]), atol=1e-6)


def test_zero_stays_zero():
    values = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * (torch.arange(5) > 1)

    assert (weight(values, axis=0, most=127)[:, :2] == 0).all()
    assert activation(torch.zeros(3), torch.tensor(-0.33), torch.tensor(0.71)).tolist() == [0, 0, 0]


def test_gradients_pass_rounding_and_reach_the_end_that_cuts():
    values = torch.tensor([-2.0, 0.3, 5.0, 7.0], requires_grad=True)
    low, high = torch.tensor(-1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)

    activation(values, low, high).sum().backward()

    assert values.grad.tolist() == [0, 1, 0, 0]
    assert (low.grad.item(), high.grad.item()) == (1, 2)
