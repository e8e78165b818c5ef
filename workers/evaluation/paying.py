"""Which layers to leave in float because 8 bits would make them slower: decided by the clock, on this machine.

What 8 bits cost, rounding and scaling back, grows with the values that go in and out; what they save grows with the
weights. So layers are left in float from the smallest on, and how many is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from workers.errors import YoursToFix
from workers.evaluation.latency import race
from workers.facts import Role
from workers.graph.ablation import Unit
from workers.workbench import Workbench

MOST_NETWORKS = 9  # timed in turn: each more takes time from the others
A_TIE = 1.03  # times the fastest; closer ones are told apart by luck, and the one with more in 8 bits is smaller
ROLES = (Role.CALIBRATION, Role.VALIDATION, Role.TRAIN)


def single_layers(ready: ModelProto, op_types: Collection[str]) -> tuple[Unit, ...]:
    """Each node of these operators that has weights, as a unit of its own."""
    weights = _entries(ready)
    return tuple(
        Unit(node.name, (node.name,))
        for node in ready.graph.node
        if node.op_type in op_types and any(name in weights for name in node.input)
    )


@dataclass(frozen=True)
class Decision:
    """The nodes to leave in float, by name; whether those are all; and what a person must know of it."""

    floats: tuple[str, ...]
    is_all: bool
    note: str


def decide(
    ready: ModelProto, units: Sequence[Unit], quantized: Callable[[Sequence[str]], ModelProto], bench: Workbench
) -> Decision:
    """Find what the network is fastest without quantizing.

    Args:
        ready: the float network, made ready by ``surgery.for_int8``.
        units: what could be quantized.
        quantized: makes the quantized network with some nodes, by name, left in float.

    Raises:
        YoursToFix: if there is no row to run.
    """
    small_first = sorted(units, key=_weights_of(ready))
    counts = np.unique(np.linspace(0, len(units), min(MOST_NETWORKS, len(units) + 1)).round().astype(int)).tolist()
    sample, batch = _one_row(bench), bench.device.usual_batch
    files = [bench.scratch / f"tried-{count}.onnx" for count in counts]
    try:
        for count, path in zip(counts, files, strict=True):
            left = [name for unit in small_first[:count] for name in unit.nodes]
            proto = ready if count == len(units) else quantized(left)
            path.write_bytes(proto.SerializeToString())
            bench.check()
        seconds = race(files, sample, batch=batch, threads=bench.threads, seed=bench.seed)
    finally:
        for path in files:
            path.unlink(missing_ok=True)
    for count, took in zip(counts, seconds, strict=True):
        bench.point(f"Milliseconds at batch {batch} by layers in float", x=count, y=took * 1000)
    chosen = next(count for count, took in zip(counts, seconds, strict=True) if took <= A_TIE * min(seconds))
    floats = tuple(name for unit in small_first[:chosen] for name in unit.nodes)
    where = f"measured at batch {batch} on the machine of the job"
    many = "All" if chosen == len(units) else f"{chosen} of {len(units)}"
    return Decision(floats, chosen == len(units), f"{many} layers stay in float32, which was fastest, {where}.")


def _weights_of(ready: ModelProto) -> Callable[[Unit], int]:
    """How many weights a unit reads."""
    weights = _entries(ready)
    counts = {node.name: sum(weights.get(name, 0) for name in node.input) for node in ready.graph.node}
    return lambda unit: sum(counts[name] for name in unit.nodes)


def _entries(ready: ModelProto) -> dict[str, int]:
    """How many entries each float weight of two or more axes has."""
    return {
        tensor.name: int(np.prod(tensor.dims))
        for tensor in ready.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1
    }


def _one_row(bench: Workbench) -> dict[str, np.ndarray]:
    role = next((role for role in ROLES if bench.data is not None and role in bench.data.facts.roles), None)
    if role is None:
        raise YoursToFix(
            "Expected a row of data to time layers with, found none.",
            hint="Choose a dataset, or switch off Only where faster.",
            code="data.role-missing",
        )
    return next(iter(bench.batches(role, size=1, limit=1))).inputs
