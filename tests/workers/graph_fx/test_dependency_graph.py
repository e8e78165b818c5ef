"""Imported networks go through torch-pruning's dependency graph and come out as smaller ONNX files."""

from __future__ import annotations

import warnings

import onnx
import pytest
import torch
from torch import nn

from tests.workers.graph_fx.agreement import assert_close, fed, run, run_torch
from tests.workers.graph_fx.networks import exported, randomize
from tests.workers.graph_fx.test_networks import KINDS
from workers.graph.fx import to_onnx, to_torch

pruning = pytest.importorskip("torch_pruning")


@pytest.mark.parametrize("kind", ["LeNet", "ResNet", "MobileNet", "EfficientNet", "MLP", "U-Net", "ViT", "encoder"])
@pytest.mark.parametrize("live", [False, True], ids=["folded", "live"])
def test_half_of_the_channels_can_go(kind, live):
    make, examples = KINDS[kind]
    if live and kind in ("ViT", "encoder", "LeNet", "U-Net"):
        pytest.skip("it has no batch normalisation")
    proto = exported(randomize(make()), *examples, fold_batch_norm=not live)
    module = to_torch(proto)
    feed = fed(proto, 2)
    inputs = tuple(torch.from_numpy(values) for values in feed.values())
    last = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which bare parameters it found
        pruning.pruner.MagnitudePruner(
            module,
            inputs if len(inputs) > 1 else inputs[0],
            importance=pruning.importance.MagnitudeImportance(p=1),
            pruning_ratio=0.5,
            ignored_layers=[last],
        ).step()

    pruned = to_onnx(module, like=proto)
    onnx.checker.check_model(pruned)
    assert_close(run(pruned, feed), run_torch(module, feed))
    assert pruned.ByteSize() < 0.85 * proto.ByteSize()
