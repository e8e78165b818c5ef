"""Small transformers, and a residual network, as people export them, with rows to feed them, and a bench over both."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tests.workers.graph_fx.networks import Encoder, LanguageModel, Residual, ViT, exported, randomize
from tests.workers.techniques.conftest import VNNI
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.events import Event
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.graph import folding, sharing, surgery
from workers.model import LoadedModel
from workers.workbench import Batch, Workbench

LENGTH = 7
WORDS = 50
TEXT = Contract(
    task=Task.EMBEDDING,
    inputs=(
        InputSpec(name="in0", dtype="int64", shape=(LENGTH,)),
        InputSpec(name="in1", dtype="int64", shape=(LENGTH,)),
    ),
    outputs=(OutputSpec(name="out", meaning="embedding"),),
)


@cache
def _encoder() -> bytes:
    torch.manual_seed(0)
    network = randomize(Encoder())
    ids, mask = torch.ones(2, LENGTH, dtype=torch.long), torch.ones(2, LENGTH, dtype=torch.long)
    return exported(network, ids, mask).SerializeToString()


@cache
def _bert(layers: int) -> bytes:
    """BERT of the transformers library with random weights: 4 heads of 8, 64 neurons, mean pooling."""
    from transformers import BertConfig, BertModel

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(
                vocab_size=WORDS, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
                max_position_embeddings=128, attn_implementation="eager",
            )  # fmt: skip
            self.bert = BertModel(config, add_pooling_layer=False)

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)

    torch.manual_seed(0)
    ids = torch.ones(2, LENGTH, dtype=torch.long)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            randomize(Pooled()).eval(), (ids, torch.ones_like(ids)), file, dynamo=False, opset_version=17,
            input_names=["in0", "in1"], output_names=["out"],
            dynamic_axes={"in0": {0: "batch", 1: "length"}, "in1": {0: "batch", 1: "length"}, "out": {0: "batch"}},
        )  # fmt: skip
    return file.getvalue()


def bert(layers: int = 2) -> LoadedModel:
    return LoadedModel(proto=onnx.load_from_string(_bert(layers)), contract=TEXT)


def encoder() -> LoadedModel:
    return LoadedModel(proto=onnx.load_from_string(_encoder()), contract=TEXT)


def vision() -> ViT:
    """The vision transformer of :func:`vit`, in torch, always the same."""
    torch.manual_seed(0)
    return randomize(ViT()).eval()


def vit() -> LoadedModel:
    """(N, 3, 16, 16) → 10 classes, two blocks of two heads, the norms before their layers."""
    contract = Contract(
        task=Task.CLASSIFICATION, inputs=(InputSpec(name="in0", shape=(3, 16, 16)),), outputs=(OutputSpec(name="out"),)
    )
    return LoadedModel(proto=exported(vision(), torch.zeros(2, 3, 16, 16)), contract=contract)


def residual() -> LoadedModel:
    """(N, 3, 16, 16) → 10 classes, two residual branches that keep their width."""
    contract = Contract(
        task=Task.CLASSIFICATION, inputs=(InputSpec(name="in0", shape=(3, 16, 16)),), outputs=(OutputSpec(name="out"),)
    )
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), Residual(8, 8, 1), Residual(8, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 10),
    )  # fmt: skip
    return LoadedModel(proto=exported(randomize(network), torch.zeros(2, 3, 16, 16)), contract=contract)


def decoder() -> LoadedModel:
    """Token ids (N, 6) → logits, causal; its head is its embedding turned."""
    contract = Contract(
        task=Task.OTHER, inputs=(InputSpec(name="in0", dtype="int64", shape=(6,)),), outputs=(OutputSpec(name="out"),)
    )
    torch.manual_seed(0)
    ids = torch.ones(2, 6, dtype=torch.long)
    return LoadedModel(proto=exported(randomize(LanguageModel()), ids), contract=contract)


class Grouped(nn.Module):
    """Attention as large language models have it: keys and values shared by two query heads each; a gated part."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.query, self.key, self.value = nn.Linear(24, 24), nn.Linear(24, 12), nn.Linear(24, 12)
        self.out, self.gate, self.up, self.down = (
            nn.Linear(24, 24),
            *(nn.Linear(24, 40) for _ in "gu"),
            nn.Linear(40, 24),
        )

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.size(0), x.size(1), heads, 4).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = self._split(self.query(y), 6), self._split(self.key(y), 3), self._split(self.value(y), 3)
        k, v = (
            one[:, :, None].expand(one.size(0), 3, 2, one.size(2), 4).reshape(one.size(0), 6, one.size(2), 4)
            for one in (k, v)
        )
        made = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        x = x + self.out(made.transpose(1, 2).reshape(x.size(0), x.size(1), 24))
        y = self.norm2(x)
        return x + self.down(torch.nn.functional.silu(self.gate(y)) * self.up(y))


class Packed(nn.Module):
    """Attention whose queries, keys and values come from one layer, as vision libraries write it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.qkv, self.out = nn.Linear(24, 72), nn.Linear(24, 24)
        self.wide, self.narrow = nn.Linear(24, 40), nn.Linear(40, 24)

    def forward(self, x: Tensor) -> Tensor:
        packed = self.qkv(self.norm1(x)).reshape(x.size(0), x.size(1), 3, 6, 4).permute(2, 0, 3, 1, 4)
        q, k, v = packed.unbind(0)
        made = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        x = x + self.out(made.transpose(1, 2).reshape(x.size(0), x.size(1), 24))
        return x + self.narrow(torch.relu(self.wide(self.norm2(x))))


class Flattened(nn.Module):
    """Layers that lay all positions of all samples in rows, as GPT-2 of the transformers library has them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.qkv, self.out, self.wide, self.narrow = (
            nn.Parameter(torch.zeros(before, after)) for before, after in ((24, 72), (24, 24), (24, 40), (40, 24))
        )
        self.shift = nn.ParameterList(torch.zeros(size) for size in (72, 24, 40, 24))

    def _row(self, x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        made = torch.addmm(shift, x.view(-1, x.size(-1)), weight)
        return made.view(x.size(0), x.size(1), weight.size(1))

    def forward(self, x: Tensor) -> Tensor:
        packed = self._row(self.norm1(x), self.qkv, self.shift[0])
        q, k, v = (part.view(x.size(0), x.size(1), 6, 4).transpose(1, 2) for part in packed.split(24, 2))
        made = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        x = x + self._row(made.transpose(1, 2).reshape(x.size(0), x.size(1), 24), self.out, self.shift[1])
        y = torch.relu(self._row(self.norm2(x), self.wide, self.shift[2]))
        return x + self._row(y, self.narrow, self.shift[3])


STREAM = Contract(task=Task.OTHER, inputs=(InputSpec(name="in0", shape=(5, 24)),), outputs=(OutputSpec(name="out"),))


def stream(block: Callable[[], nn.Module]) -> LoadedModel:
    """Two blocks one after the other on (N, 5, 24)."""
    torch.manual_seed(0)
    network = randomize(nn.Sequential(block(), block()))
    return LoadedModel(proto=exported(network, torch.zeros(2, 5, 24)), contract=STREAM)


def grouped() -> LoadedModel:
    return stream(Grouped)


def packed() -> LoadedModel:
    return stream(Packed)


class Usual(nn.Module):
    """Attention by ``nn.MultiheadAttention``, which puts tokens before rows and the heads of all rows on one axis."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 6, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.wide, self.narrow = nn.Linear(24, 40), nn.Linear(40, 24)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=self.weights)[0]
        return x + self.narrow(torch.relu(self.wide(self.norm2(x))))


def usual(*, batch: int = 2, weights: bool = False, free: bool = False) -> LoadedModel:
    """Two such blocks on (N, 5, 24), traced with ``batch`` rows, which the file insists on unless ``free``."""
    torch.manual_seed(0)
    network = randomize(nn.Sequential(Usual(weights=weights), Usual(weights=weights))).eval()
    proto = exported(network, torch.randn(batch, 5, 24), free=free)
    return LoadedModel(proto=proto, contract=STREAM)


def flattened() -> LoadedModel:
    return stream(Flattened)


def tidied() -> LoadedModel:
    """:func:`bert` with the numbers of its activations stored once, as newer exporters do as well."""
    model = bert()
    proto = surgery.copy(model.proto)
    folding.constants_to_weights(proto.graph)
    sharing.share_weights(proto.graph)
    return model.with_proto(proto)


class Material:
    """Random rows for the inputs of a contract; training, calibration and validation rows differ. No labels."""

    def __init__(self, contract: Contract, rows: int) -> None:
        rng = np.random.default_rng(7)
        self.arrays = {}
        for spec in contract.inputs:
            shape = (2 * rows, *spec.shape)
            words = rng.integers(1, 40, shape)
            ones = np.ones(shape, np.int64)
            pictures = rng.normal(size=shape).astype(np.float32)
            self.arrays[spec.name] = pictures if spec.dtype == "float32" else ones if spec.name == "in1" else words
        ends = {Role.TRAIN: (0, rows), Role.CALIBRATION: (0, min(rows, 32)), Role.VALIDATION: (rows, 2 * rows)}
        self.order = {role: np.arange(*span) for role, span in ends.items()}
        self.facts = DatasetFacts(
            format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="none"),
            roles={role: RoleFacts(rows=len(order), declared=True) for role, order in self.order.items()},
        )  # fmt: skip

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        order = self.order[role][:limit]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield Batch({name: array[rows] for name, array in self.arrays.items()}, None, rows)


def bench_for(
    model: LoadedModel,
    folder: Path,
    *,
    rows: int = 64,
    emit: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Workbench:
    torch.set_num_threads(1)
    return Workbench(
        data=Material(model.contract, rows), contract=model.contract, device=VNNI, seed=0, threads=1, scratch=folder,
        step=0, emit=emit, should_stop=should_stop, baseline=model,
    )  # fmt: skip
