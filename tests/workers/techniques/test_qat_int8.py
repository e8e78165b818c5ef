"""Quantization-aware training ends as real integer kernels that are as good as its exam said."""

import onnx
import onnxruntime as ort
import pytest
import torch

from tests.workers.techniques.conftest import rows
from tests.workers.techniques.lessons import agreement, classroom, discerning
from workers.graph import surgery
from workers.graph.fx import to_onnx, to_torch
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.qat_int8 import QatInt8
from workers.techniques.static_int8 import StaticInt8
from workers.training import rounding

QUICK = {"epochs": 4, "batch": 32, "learning_rate": 0.003}


@pytest.fixture
def model():
    return discerning(32)


def operators(proto, folder):
    """The operators of a network as the runtime executes it."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "executed.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "executed.onnx").graph.node]


def test_every_convolution_runs_in_integers(model, tmp_path):
    quantized = QatInt8(**QUICK).apply(model, classroom(model, tmp_path))

    found = operators(quantized.proto, tmp_path)
    assert found.count("QLinearConv") == 2 and "Conv" not in found
    assert "QGemm" in found and "Gemm" not in found


def test_it_answers_as_its_training_said_it_would(model, tmp_path):
    events = []
    bench = classroom(model, tmp_path, emit=events.append)

    quantized = QatInt8(**QUICK).apply(model, bench)

    said = max(event.y for event in events if getattr(event, "series", "").startswith("validation"))
    assert agreement(quantized, model, bench) == pytest.approx(said, abs=0.03)


def test_after_pruning_it_recovers_what_static_quantization_cannot(model, tmp_path):
    bench = classroom(model, tmp_path, rows=512)
    pruned = MagnitudePruning(sparsity=0.7).apply(model, bench)

    trained, static = QatInt8(**QUICK).apply(pruned, bench), StaticInt8().apply(pruned, bench)

    assert agreement(trained, model, bench) > agreement(static, model, bench) + 0.1


def test_a_layer_left_in_float_stays_there(model, tmp_path):
    quantized = QatInt8(excluded=("body/conv",), **QUICK | {"epochs": 1}).apply(model, classroom(model, tmp_path))

    assert operators(quantized.proto, tmp_path).count("QLinearConv") == 1


def test_taking_the_rounding_out_leaves_the_network_as_it_was(model, tmp_path):
    ready = surgery.for_int8(model.proto, tmp_path)
    module, x = to_torch(ready), torch.from_numpy(rows(4, 3, 12, 12))
    before, names = module(x), {item.name for item in (*ready.graph.value_info, *ready.graph.input)}

    rounding.put_in(module, dict.fromkeys(names, (-2.0, 2.0)), most=127, left=frozenset())
    rounded = module(x)
    learnt = rounding.take_out(module)

    assert not torch.allclose(rounded, before)
    assert torch.equal(module(x), before)
    assert "x" in learnt and set(learnt) <= names and set(learnt.values()) == {(-2.0, 2.0)}
    onnx.checker.check_model(to_onnx(module, like=ready), full_check=True)
