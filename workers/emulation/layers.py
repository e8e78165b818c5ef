"""What the predictor needs to know of a network: each layer's work, and the three sums that make its time."""

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from workers.errors import Frozen

TABLE = Path(__file__).parent / "op_costs.toml"
FLOAT_BYTES = 4
LARGEST = 1e18

Kind = Literal["c1", "c3w", "cx", "dw", "fc", "gemm", "other"]
KINDS: dict[str, str] = {
    "c1": "1×1 convolutions",
    "c3w": "3×3 convolutions",
    "cx": "other convolutions",
    "dw": "depthwise and grouped convolutions",
    "fc": "fully connected layers",
    "gemm": "matrix products",
    "other": "layers that multiply nothing",
}


class Layer(Frozen):
    """One layer for one sample: multiply-accumulates, and how many numbers it holds, reads and writes.

    ``count`` layers of one kind may be given together, as sums. ``op`` and ``model`` are names for the reader.
    """

    op: str = ""
    kind: Kind
    count: int = Field(1, ge=1, le=1_000_000)
    macs: float = Field(ge=0, le=LARGEST)
    weights: float = Field(ge=0, le=LARGEST)
    act_in: float = Field(ge=0, le=LARGEST)
    act_out: float = Field(ge=0, le=LARGEST)
    model: str = ""


class OpCosts(Frozen):
    """Relative cost per multiply-accumulate by kind, and the weight of layers that multiply nothing."""

    c1: float
    c3w: float
    cx: float
    dw: float
    fc: float
    gemm: float
    other_bytes: float
    other_layers: float
    source: str
    date: object

    def of(self, kind: Kind) -> float:
        return 0.0 if kind == "other" else float(getattr(self, kind))


@dataclass(frozen=True)
class Work:
    """What a time is made of: products at the cost of 1×1 convolutions, bytes moved, and layers started."""

    macs: float = 0.0
    bytes: float = 0.0
    layers: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.macs + other.macs, self.bytes + other.bytes, self.layers + other.layers)


@cache
def op_costs(processor: Literal["cpu", "gpu", "onnxruntime"]) -> OpCosts:
    """The shared table of a kind of processor; that of a processor under ONNX Runtime, where a host timed itself."""
    return OpCosts.model_validate(tomllib.loads(TABLE.read_text())[processor])


def work_by_kind(layers: Sequence[Layer], costs: OpCosts) -> dict[Kind, Work]:
    """The work of a network, by the kind of its layers."""
    found: dict[Kind, Work] = defaultdict(Work)
    for layer in layers:
        found[layer.kind] += _work(layer, costs)
    return dict(found)


def work(layers: Sequence[Layer], costs: OpCosts) -> Work:
    """The work of a whole network."""
    return sum(work_by_kind(layers, costs).values(), Work())


def _work(layer: Layer, costs: OpCosts) -> Work:
    held = FLOAT_BYTES * layer.weights
    moved = FLOAT_BYTES * (layer.act_in + layer.act_out)
    if layer.kind == "other":
        return Work(0.0, held + costs.other_bytes * moved, layer.count * costs.other_layers)
    return Work(costs.of(layer.kind) * layer.macs, held + moved, float(layer.count))
