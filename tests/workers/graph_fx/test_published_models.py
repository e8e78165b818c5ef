"""Models others published: a recurrent speech detector and a byte classifier; skipped where they are not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tests.workers.graph_fx.agreement import assert_close, run, run_torch
from workers.graph.fx import to_onnx, to_torch


def published(package: str, path: str) -> onnx.ModelProto:
    """A file inside an installed package, found without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return onnx.load(Path(found.origin).parent / path)


def speech(batch: int) -> dict[str, np.ndarray]:
    """One window of 16 kHz sound with its context, and the state of the recurrent layer."""
    rng = np.random.default_rng(batch)
    return {
        "input": rng.normal(size=(batch, 576)).astype(np.float32),
        "state": rng.normal(size=(2, batch, 128)).astype(np.float32),
        "sr": np.array(16000),
    }


@pytest.mark.parametrize("batch", [1, 7])
def test_a_speech_detector_computes_the_same_for_both_of_its_sample_rates(batch):
    proto = published("silero_vad", "data/silero_vad.onnx")
    module = to_torch(proto)
    again = to_onnx(module, like=proto)

    for rate, samples in ((16000, 576), (8000, 288)):
        feed = speech(batch) | {"sr": np.array(rate)}
        feed["input"] = feed["input"][:, :samples]
        expected = run(proto, feed)
        assert_close(run_torch(module, feed), expected)
        assert_close(run(again, feed), expected)
    assert sum(isinstance(part, nn.LSTM) for part in module.modules()) == 2


def test_gradients_reach_the_recurrent_layer_of_a_speech_detector():
    module = to_torch(published("silero_vad", "data/silero_vad_16k_op15.onnx"))

    out, _ = module(*[torch.from_numpy(values) for values in speech(3).values()])
    out.sum().backward()

    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize("batch", [1, 7])
def test_a_byte_classifier_from_another_framework_computes_the_same(batch):
    proto = published("magika", "models/standard_v3_3/model.onnx")
    feed = {"bytes": np.random.default_rng(batch).integers(0, 257, (batch, 2048)).astype(np.int32)}

    module = to_torch(proto)

    expected = run(proto, feed)
    assert_close(run_torch(module, feed), expected)
    assert_close(run(to_onnx(module, like=proto), feed), expected)
