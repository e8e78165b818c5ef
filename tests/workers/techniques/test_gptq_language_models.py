"""GPTQ on language models of several families: what it looks at is what torch's layers read, and it pays."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from transformers.pytorch_utils import Conv1D

from tests.workers.intake import tiny
from tests.workers.intake.test_convert import contract_of, converted
from workers.contract import Contract
from workers.device import host
from workers.facts import Role
from workers.graph import nbits
from workers.model import LoadedModel
from workers.techniques.weight_only import WeightOnly
from workers.workbench import Batch, Workbench

ROWS, TOKENS = 24, 20


@pytest.fixture(scope="module", params=[tiny.llama, tiny.gpt2], ids=lambda make: make.__name__)
def network(request, tmp_path_factory) -> tuple[torch.nn.Module, onnx.ModelProto, Contract]:
    work = tmp_path_factory.mktemp(request.param.__name__)
    model = request.param(work / "net")
    tiny.tokenizer(work / "net")
    return model, *contract_of(converted(work / "net", work))


def windows(seed: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(seed).integers(3, 60, size=(ROWS, TOKENS))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def bench(contract: Contract, folder: Path) -> Workbench:
    rows = windows(1)

    def batches(role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        for start in range(0, min(ROWS, limit or ROWS), size):
            some = {name: array[start : start + size] for name, array in rows.items()}
            yield Batch(some, None, np.arange(start, start + len(some["input_ids"])))

    data = SimpleNamespace(facts=SimpleNamespace(roles={Role.CALIBRATION: None}), batches=batches)
    return Workbench(
        data=data, contract=contract, device=host(), seed=0, threads=1, scratch=folder, step=0, emit=lambda event: None
    )  # type: ignore[arg-type]


def read_in_torch(model: torch.nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """The weight of each linear layer, (outputs, inputs), and the second moments of what it read."""
    found: list[tuple[np.ndarray, np.ndarray]] = []

    def note(layer: torch.nn.Module, given: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        x = given[0].reshape(-1, given[0].shape[-1]).double()
        weight = layer.weight.T if isinstance(layer, Conv1D) else layer.weight
        found.append((weight.detach().numpy(), (x.T @ x).numpy()))

    hooks = [
        layer.register_forward_hook(note) for layer in model.modules() if isinstance(layer, torch.nn.Linear | Conv1D)
    ]
    with torch.no_grad():
        model(**{name: torch.from_numpy(array) for name, array in windows(1).items()})
    for hook in hooks:
        hook.remove()
    return found


def test_it_looks_at_what_the_layers_read(network, tmp_path):
    model, proto, contract = network
    ready = nbits.ready(proto)
    found = nbits.matrices(ready, excluded=frozenset(), tables=True)

    looked = list(nbits.second_moments(ready, found, bench(contract, tmp_path), ROWS))

    expected = read_in_torch(model)
    assert len(looked) == len(expected)
    for matrix, seconds in looked:
        same = [moments for weight, moments in expected if np.array_equal(weight, matrix.values)]
        assert len(same) == 1
        assert np.abs(seconds - same[0]).max() < 1e-4 * np.abs(same[0]).max()


@pytest.mark.parametrize("symmetric", [True, False])
def test_scores_stay_closer_than_when_weights_are_rounded_to_nearest(network, tmp_path, symmetric):
    _, proto, contract = network
    fresh = windows(2)

    def scores(written: onnx.ModelProto) -> np.ndarray:
        return ort.InferenceSession(written.SerializeToString()).run(None, fresh)[0]

    def off(method: str) -> float:
        step = WeightOnly(bits=4, method=method, symmetric=symmetric)
        made = step.apply(LoadedModel(proto=proto, contract=contract), bench(contract, tmp_path))
        return float(np.square(scores(made.proto) - scores(proto)).mean())

    assert off("gptq") < 0.7 * off("nearest")
