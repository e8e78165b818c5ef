"""Published latency tables as matrices: which device took how long for which network."""

import csv
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from workers.emulation.layers import Layer, OpCosts, op_costs, work
from workers.errors import YoursToFix

MEASUREMENTS, FEATURES, COSTS = "measurements-calibrate.csv", "model_features.csv", "op_table.json"
RUNTIME = "ncnn"
LEAST_MODELS = 6
UNITS = {"cpu": "cpu", "gpu": "gpu-vulkan"}

Processor = Literal["cpu", "gpu"]
Key = tuple[str, int]  # a device as its source calls it, and its threads


@dataclass(frozen=True)
class Tables:
    """Float times of one runtime on one kind of processor.

    Attributes:
        keys: the tables, P of them.
        models: the networks, M of them.
        work: (M, 3): weighted multiply-accumulates, bytes and layers of each network.
        log_s: (P, M): natural logarithm of seconds; not-a-number where a table does not time a network.
        int8_speedups: float ÷ int8 times by table, one for each network that has both.
        sources: the document that each table comes from.
    """

    keys: list[Key]
    models: list[str]
    layers: dict[str, tuple[Layer, ...]]
    work: np.ndarray
    log_s: np.ndarray
    int8_speedups: dict[Key, tuple[float, ...]]
    sources: dict[Key, str]

    def without(self, models: Collection[str]) -> "Tables":
        """The same tables, had they never timed some networks."""
        kept = [i for i, model in enumerate(self.models) if model not in models]
        return replace(self, models=[self.models[i] for i in kept], work=self.work[kept], log_s=self.log_s[:, kept])

    def under(self, costs: OpCosts) -> "Tables":
        """The same tables, with the work as other costs by kind of layer make it."""
        return replace(self, work=_work_of([self.layers[model] for model in self.models], costs))


def published_costs(folder: Path, processor: Processor) -> OpCosts:
    """The costs per multiply-accumulate as the reference data state them, with our weights of other layers."""
    stated = json.loads((folder / COSTS).read_text())[processor]
    return op_costs(processor).model_copy(update=stated)


def read_layers(folder: Path) -> dict[str, tuple[Layer, ...]]:
    """The layers of every network that the reference data describe."""
    found: dict[str, list[Layer]] = defaultdict(list)
    for row in _rows(folder / FEATURES):
        found[row["model"]].append(Layer.model_validate(row))
    return {model: tuple(layers) for model, layers in found.items()}


def read_tables(folder: Path, processor: Processor, costs: OpCosts) -> Tables:
    """All tables of a kind of processor that time six networks or more whose layers are known.

    Raises:
        YoursToFix: if the folder holds no such tables.
    """
    layers = read_layers(folder)
    floats, ints, sources = _times(folder, processor, set(layers))
    keys = [key for key, times in floats.items() if len(times) >= LEAST_MODELS]
    models = sorted({model for key in keys for model in floats[key]})
    if not keys:
        raise YoursToFix(
            f"Expected tables of {RUNTIME} times in {folder / MEASUREMENTS}, found none.",
            hint="Name the folder of the reference data.",
            code="fit.no-tables",
        )
    log_s = [[floats[key].get(model, np.nan) for model in models] for key in keys]
    pairs = {key: tuple(np.exp(floats[key][m] - t) for m, t in ints[key].items() if m in floats[key]) for key in keys}
    weighed = _work_of([layers[model] for model in models], costs)
    return Tables(keys, models, layers, weighed, np.array(log_s), pairs, sources)


def _work_of(networks: Sequence[Sequence[Layer]], costs: OpCosts) -> np.ndarray:
    sums = [work(layers, costs) for layers in networks]
    return np.array([[each.macs, each.bytes, each.layers] for each in sums])


Times = dict[Key, dict[str, float]]


def _times(folder: Path, processor: Processor, known: set[str]) -> tuple[Times, Times, dict[Key, str]]:
    """Logarithms of seconds, float and int8, a mean where a network was timed twice; and their sources."""
    seen: dict[str, dict[Key, dict[str, list[float]]]] = {
        precision: defaultdict(lambda: defaultdict(list)) for precision in ("float", "int8")
    }
    sources: dict[Key, str] = {}
    for row in _rows(folder / MEASUREMENTS):
        wanted = row["runtime"] == RUNTIME and row["unit"] == UNITS[processor] and row["model"] in known
        if wanted and row["precision"] in seen:
            key = (row["device"], int(row["threads"] or 1))
            seen[row["precision"]][key][row["model"]].append(np.log(float(row["latency_ms"]) / 1e3))
            sources[key] = row["source"].rpartition(":")[0]
    means = [
        defaultdict(dict, {key: {m: float(np.mean(t)) for m, t in by.items()} for key, by in seen[precision].items()})
        for precision in ("float", "int8")
    ]
    return means[0], means[1], sources


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise YoursToFix(
            f"Expected a table at {path}, found none.",
            hint="Name the folder of the reference data.",
            code="fit.no-tables",
        )
    with path.open(newline="") as opened:
        yield from csv.DictReader(opened)
