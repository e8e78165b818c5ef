"""Conversion, checked against torch itself: the same rows, the same answers, tied weights stored once."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from tests.workers.intake import tiny
from workers import formats, intake
from workers.contract import Contract, Task
from workers.graph.fx import to_torch


def converted(folder: Path, work: Path) -> Path:
    packed = tiny.zipped(folder, work / "upload.zip")
    form = intake.form_of(packed)
    assert form is not None
    return intake.convert(packed, form, out=work / "out", scratch=work / "scratch", threads=1, log=lambda text: None)


def contract_of(file: Path) -> tuple[onnx.ModelProto, Contract]:
    proto, facts = formats.inspect(file)
    return proto, formats.guess_contract(proto, facts, None)


def ids_and_mask(rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[0, length - 2 :] = 0
    return torch.randint(3, 60, (rows, length)), mask


def answers(proto: onnx.ModelProto, *inputs: torch.Tensor) -> np.ndarray:
    session = ort.InferenceSession(proto.SerializeToString())
    names = [item.name for item in session.get_inputs()]
    return session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_an_encoder_pools_as_its_directory_says(tmp_path, pooling):
    model = tiny.bert(tmp_path / "net")
    (tmp_path / "net" / "1_Pooling").mkdir()
    key = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
    tiny.with_setting(tmp_path / "net", "1_Pooling/config.json", **{key[pooling]: True})
    ids, mask = ids_and_mask(3, 9)

    proto, contract = contract_of(converted(tmp_path / "net", tmp_path))

    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask)[0].numpy()
    by_hand = {
        "mean": lambda row, real: row[:real].mean(axis=0),
        "cls": lambda row, real: row[0],
        "max": lambda row, real: row[:real].max(axis=0),
    }[pooling]
    expected = [by_hand(row, int(real)) for row, real in zip(hidden, mask.sum(dim=1), strict=True)]
    np.testing.assert_allclose(answers(proto, ids, mask), expected, atol=1e-4)
    assert contract.task is Task.EMBEDDING


@pytest.mark.parametrize("make", [tiny.distilbert, tiny.vit, tiny.gpt2])
def test_a_network_answers_as_torch_does_and_can_be_trained_again(tmp_path, make):
    model = make(tmp_path / "net")

    proto, contract = contract_of(converted(tmp_path / "net", tmp_path))

    rows = (torch.rand(7, 3, 32, 32),) if make is tiny.vit else ids_and_mask(7, 6)
    names = [spec.name for spec in contract.inputs]
    with torch.no_grad():
        expected = model(**dict(zip(names, rows, strict=True)))[0].numpy()
        again = to_torch(proto)(*rows)
    found = answers(proto, *rows)
    real = slice(None) if make is not tiny.gpt2 else slice(1, None)  # a masked place answers nothing
    np.testing.assert_allclose(found[real], expected[real], atol=1e-4)
    first = again if isinstance(again, torch.Tensor) else again[0]
    np.testing.assert_allclose(first.detach().numpy()[real], expected[real], atol=1e-3)


def test_a_tied_head_is_stored_once(tmp_path):
    model = tiny.llama(tmp_path / "net")
    tiny.tokenizer(tmp_path / "net")

    file = converted(tmp_path / "net", tmp_path)

    proto, contract = contract_of(file)
    once = sum(parameter.numel() for parameter in model.parameters())
    assert sum(np.prod(tensor.dims) for tensor in proto.graph.initializer if len(tensor.dims) == 2) <= once
    assert contract.task is Task.CAUSAL_LM and contract.tokenizer is not None
    assert [path.name for path in intake.unpack(file, tmp_path / "beside")] == ["tokenizer.json"]


def test_the_same_upload_gives_the_same_bytes(tmp_path):
    tiny.bert(tmp_path / "net", classes=3)
    works = [tmp_path / "a", tmp_path / "b"]
    for work in works:
        work.mkdir()

    first, second = (converted(tmp_path / "net", work).read_bytes() for work in works)

    assert first == second
