"""Networks as torch's newer exporter writes them; it takes seconds, so two of them stand for all."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch

from tests.workers.graph_fx import networks
from tests.workers.graph_fx.agreement import assert_agrees, assert_gradients_reach_every_parameter
from tests.workers.graph_fx.networks import randomize


def exported_by_dynamo(network, *examples):
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = tuple({0: torch.export.Dim.DYNAMIC} for _ in examples)
        return torch.onnx.export(network.eval(), examples, dynamo=True, dynamic_shapes=free, verbose=False).model_proto


@pytest.mark.parametrize(
    ("make", "example"),
    [(networks.LanguageModel, torch.zeros(2, 6, dtype=torch.long)), (networks.UNet, torch.zeros(2, 1, 16, 16))],
    ids=["language model", "U-Net"],
)
def test_a_network_from_the_newer_exporter_computes_the_same(make, example):
    proto = exported_by_dynamo(randomize(make()), example)

    module = assert_agrees(proto)

    assert_gradients_reach_every_parameter(module, proto)
