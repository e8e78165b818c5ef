"""A language model that keeps keys and values, against torch over whole windows, before and after compression."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import transformers as hf

from tests.workers.intake import tiny
from tests.workers.intake.test_convert import contract_of, converted
from workers import formats
from workers.contract import Contract
from workers.evaluation.decoding import DoesNotDecode, decoder
from workers.graph import cache, nbits
from workers.graph.fx import to_onnx, to_torch
from workers.intake import export
from workers.numerics import blockwise
from workers.techniques import iterative_pruning

TOKENS = torch.tensor([[7, 3, 41, 12, 58, 9, 30, 5, 22]])


def qwen2(folder: Path) -> torch.nn.Module:
    config = hf.Qwen2Config(**tiny.TEXT, **tiny.SMALL, num_key_value_heads=2, use_sliding_window=True, sliding_window=4,
                            max_window_layers=1)  # fmt: skip
    model = hf.Qwen2ForCausalLM(config).eval()
    model.save_pretrained(folder, safe_serialization=True)
    return model


@pytest.fixture(scope="module", params=[tiny.llama, tiny.gpt2, qwen2], ids=lambda make: make.__name__)
def network(request, tmp_path_factory) -> tuple[torch.nn.Module, onnx.ModelProto, Contract]:
    """The network in torch and as it is converted."""
    work = tmp_path_factory.mktemp(request.param.__name__)
    model = request.param(work / "net")
    tiny.tokenizer(work / "net")
    proto, contract = contract_of(converted(work / "net", work))
    return model, proto, contract


def in_torch(model: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        scores: torch.Tensor = model(input_ids=TOKENS)[0]
    return scores.numpy()


def written(model: torch.nn.Module, proto: onnx.ModelProto, contract: Contract, folder: Path) -> float:
    """How far the last scores are from torch's where the tokens are given one by one, beginning with no past at all."""
    formats.save(proto, folder / "model.onnx")
    window = {"input_ids": TOKENS.numpy(), "attention_mask": np.ones_like(TOKENS.numpy())}
    made = decoder(folder / "model.onnx", window, contract, file=folder / "decoding" / "decode.onnx", threads=1)
    session = ort.InferenceSession(str(made.file))
    past = {node.name: np.zeros([side if isinstance(side, int) else int(side == "batch") for side in node.shape],
                                np.float32)
            for node in session.get_inputs() if node.name.startswith("past_key_values.")}  # fmt: skip
    expected, apart = in_torch(model), 0.0
    for place in range(TOKENS.shape[1]):
        feed = {"input_ids": TOKENS.numpy()[:, place : place + 1], "attention_mask": np.ones((1, place + 1), np.int64)}
        scores, *present = session.run(None, feed | past)
        past = dict(zip(past, present, strict=True))
        apart = max(apart, float(np.abs(scores[0, 0] - expected[0, place]).max()))
    return apart / float(np.abs(expected).max())


def test_tokens_given_one_by_one_are_scored_as_torch_scores_the_whole_window(network, tmp_path):
    model, proto, contract = network

    assert written(model, proto, contract, tmp_path) < 1e-4


def test_a_network_that_went_through_training_and_back_decodes_alike(network, tmp_path):
    model, proto, contract = network

    assert written(model, to_onnx(to_torch(proto), like=proto), contract, tmp_path) < 1e-4


def test_matrices_of_8_bits_decode_nearly_alike(network, tmp_path):
    model, proto, contract = network
    ready = nbits.ready(proto)
    found = nbits.matrices(ready, excluded=frozenset(), tables=True)

    nbits.write(ready, found, lambda one: blockwise.nearest(one.values, bits=8, size=32, symmetric=True))

    assert 1e-4 < written(model, ready, contract, tmp_path) < 0.05


def test_pruning_until_a_latency_times_the_next_token(network, tmp_path):
    _, proto, contract = network
    window = {"input_ids": TOKENS.numpy(), "attention_mask": np.ones_like(TOKENS.numpy())}
    rows = iter([SimpleNamespace(inputs=window)])
    bench = SimpleNamespace(contract=contract, threads=1, batches=lambda *_, **__: rows)
    paths = tmp_path / "whole.onnx", tmp_path / "pruned.onnx"
    for path in paths:
        formats.save(proto, path)
    work = iterative_pruning._Work(None, None, bench, None, None, None)

    timed = work._timed(*paths)

    for file, sample in timed:
        assert sample["input_ids"].shape == (1, 1) and "past_key_values.0.key" in sample
        assert ort.InferenceSession(str(file)).run(None, sample)


class Plain(torch.nn.Module):
    """As exporters write it: places are counted from the first token."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)[0]


def test_a_graph_that_counts_its_places_from_the_first_token_is_not_taken_for_one_that_decodes(tmp_path):
    model = tiny.llama(tmp_path / "net")
    axes = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask", "logits")}
    window = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}
    proto = export.traced(Plain(model), window, ("logits",), axes, tmp_path / "traced.onnx")
    formats.save(proto, tmp_path / "model.onnx")
    contract = formats.guess_contract(proto, formats.inspect(tmp_path / "model.onnx")[1], None)
    rows = {name: value.numpy() for name, value in window.items()}

    with pytest.raises(DoesNotDecode, match="whole window"):
        decoder(tmp_path / "model.onnx", rows, contract, file=tmp_path / "decoding" / "decode.onnx", threads=1)


def test_a_network_without_attention_keeps_nothing():
    relu = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([relu], "plain", [], [])

    assert cache.kept_values(graph) == ()


def test_borrowed_weights_are_read_out_of_the_lender(tmp_path):
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"]), onnx.helper.make_node("MatMul", ["y", "v"], ["z"])]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", 64)) for name in ("x", "z")]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in (("w", weight), ("v", weight.T.copy()))]
    graph = onnx.helper.make_graph(nodes, "two", ends[:1], ends[1:], stored)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    formats.save(proto, tmp_path / "model.onnx")

    formats.borrow(proto, tmp_path / "model.onnx")

    (tmp_path / "other.onnx").write_bytes(proto.SerializeToString())
    assert (tmp_path / "other.onnx").stat().st_size < 1000
    found = ort.InferenceSession(str(tmp_path / "other.onnx")).run(None, {"x": weight})[0]
    np.testing.assert_allclose(found, weight @ weight @ weight.T, rtol=1e-3, atol=1e-3)
