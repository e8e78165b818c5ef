"""Networks of every kind people upload: the same numbers in torch and back, and gradients everywhere."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import pytest
import torch
from torch import nn

from tests.workers.graph_fx import networks
from tests.workers.graph_fx.agreement import (
    assert_agrees,
    assert_close,
    assert_gradients_reach_every_parameter,
    fed,
    run,
    run_torch,
)
from tests.workers.graph_fx.networks import exported, randomize
from workers.graph.fx import to_torch

IMAGE = (torch.zeros(2, 3, 16, 16),)
GRAY = (torch.zeros(2, 1, 16, 16),)
SEQUENCE = (torch.zeros(2, 9, 6),)
IDS = (torch.zeros(2, 6, dtype=torch.long),)
ENCODED = (torch.zeros(2, 7, dtype=torch.long), torch.ones(2, 7, dtype=torch.long))

KINDS = {
    "LeNet": (networks.LeNet, GRAY),
    "ResNet": (networks.resnet, IMAGE),
    "MobileNet": (networks.mobilenet, IMAGE),
    "EfficientNet": (networks.efficientnet, IMAGE),
    "U-Net": (networks.UNet, GRAY),
    "MLP": (networks.mlp, (torch.zeros(2, 20),)),
    "LSTM": (lambda: networks.Recurrent(nn.LSTM, both=False), SEQUENCE),
    "two-layer bidirectional LSTM": (lambda: networks.Recurrent(nn.LSTM, both=True, layers=2), SEQUENCE),
    "GRU": (lambda: networks.Recurrent(nn.GRU, both=False), SEQUENCE),
    "bidirectional GRU": (lambda: networks.Recurrent(nn.GRU, both=True), SEQUENCE),
    "RNN": (lambda: networks.Recurrent(nn.RNN, both=False), SEQUENCE),
    "encoder": (networks.Encoder, ENCODED),
    "ViT": (networks.ViT, IMAGE),
    "language model": (networks.LanguageModel, IDS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("opset", [11, 17])
def test_a_network_computes_the_same_in_torch_and_after_the_way_back(kind, opset):
    make, examples = KINDS[kind]
    if kind == "language model" and opset < 14:
        pytest.skip("torch writes its mask from opset 14 on")
    torch.manual_seed(0)
    proto = exported(randomize(make()), *examples, opset=opset)

    module = assert_agrees(proto)

    assert_gradients_reach_every_parameter(module, proto)


@pytest.mark.parametrize("kind", ["LeNet", "EfficientNet", "U-Net", "encoder", "language model"])
def test_a_file_saved_by_onnxruntimes_optimizer_computes_the_same(kind, tmp_path):
    make, examples = KINDS[kind]
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    proto = exported(randomize(make()), *examples)
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "optimized.onnx")
    assert any(node.domain == "com.microsoft" for node in optimized.graph.node)

    assert_agrees(optimized)


@pytest.mark.parametrize("kind", ["LeNet", "MobileNet", "U-Net", "LSTM", "encoder", "ViT", "language model"])
def test_a_file_for_one_row_trains_with_many(kind):
    make, examples = KINDS[kind]
    proto = exported(randomize(make()), *[values[:1] for values in examples], free=False)
    module = to_torch(proto)
    rows = [fed(proto, 1, seed) for seed in range(5)]

    together = run_torch(module, {name: np.concatenate([row[name] for row in rows]) for name in rows[0]})

    assert_close(together, [np.concatenate([run(proto, row)[0] for row in rows])])


@pytest.mark.parametrize("kind", ["EfficientNet", "U-Net", "bidirectional GRU", "encoder"])
def test_a_simplified_file_computes_the_same(kind):
    make, examples = KINDS[kind]
    torch.manual_seed(0)

    proto = onnxslim.slim(exported(randomize(make()), *examples))

    assert_agrees(proto)


@pytest.mark.parametrize("kind", ["ResNet", "MobileNet", "EfficientNet", "MLP"])
def test_live_batch_norm_stays_alive(kind):
    make, examples = KINDS[kind]
    torch.manual_seed(0)
    proto = exported(randomize(make()), *examples, fold_batch_norm=False)
    assert any(node.op_type == "BatchNormalization" for node in proto.graph.node)

    module = assert_agrees(proto)

    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = norms[0].running_mean.clone()
    assert_gradients_reach_every_parameter(module, proto)
    assert not torch.equal(norms[0].running_mean, before)
