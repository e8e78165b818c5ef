"""What this host takes for standard networks, and the three effective parameters that follow.

A host that is none of the profiles on file times eight small networks that are built here, so that times measured
on it can be carried to machines that are. The parameters reproduce these times and are no facts about the hardware.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import onnx

from workers import formats
from workers.device import host, profiles, versions
from workers.emulation import fitting
from workers.emulation.asking import ask_about
from workers.emulation.layers import KINDS, Layer, OpCosts, op_costs, work
from workers.emulation.predictor import dominant, times_by_kind
from workers.evaluation import open_session
from workers.facts import Fit
from workers.standard_networks import STANDARD

RUNTIME: Final = "onnxruntime"
ROUNDS = 9
BLOCK_SECONDS = 0.02
MOST_RUNS = 200
WEAK_MEDIAN = 0.25
DIGITS = 4
SOURCE = "this host's own times of standard networks"


@dataclass(frozen=True)
class Timed:
    """A network's layers and the median seconds of one run on one thread."""

    layers: tuple[Layer, ...]
    seconds: float


def calibrate(*, on: date, check: Callable[[], None] = lambda: None) -> Fit:
    """Time the standard networks and fit them; the host must do nothing else meanwhile.

    Takes about three seconds on one thread.

    Args:
        on: the day to state.
        check: called between blocks; raises to stop.
    """
    return fit(time_all({name: build() for name, build in STANDARD.items()}, check=check), on=on)


def fit(timed: dict[str, Timed], *, on: date) -> Fit:
    """The parameters that reproduce some times, steadied by those usual among the CPU profiles on file.

    Each network is also predicted by a fit that has not seen it; the residuals become the band.
    """
    costs, names = op_costs(RUNTIME), list(timed)
    table = np.array([_sums(timed[name].layers, costs) for name in names])  # (M, 3)
    log_s = np.log([[timed[name].seconds for name in names]])  # (1, M)
    usual = usual_on_file()
    per_mac, per_byte, per_layer = np.exp(fitting.fit(table, log_s, usual)[0])
    residuals = _left_out(table, log_s, usual)
    made = Fit(
        measured_on=host().title, processor="cpu", runtime=RUNTIME, runtime_version=versions()["onnxruntime"],
        threads=1, effective_macs_per_s=_rounded(1 / per_mac), effective_bytes_per_s=_rounded(1 / per_byte),
        effective_layer_s=_rounded(per_layer), models=tuple(names), dominated_by=(),
        log_residuals=tuple(round(float(each), DIGITS) for each in residuals), source=SOURCE, fitted_on=on,
    )  # fmt: skip
    main_kinds = {dominant(times_by_kind(each.layers, made)) for each in timed.values()}
    weak = float(np.median(np.abs(np.expm1(-residuals)))) > WEAK_MEDIAN
    return made.model_copy(
        update={"dominated_by": tuple(kind for kind in KINDS if kind in main_kinds), "grade": "D" if weak else "C"}
    )


def usual_on_file() -> fitting.Usual:
    """What the ratios of the parameters usually are: from the fits of the CPU profiles on file."""
    fits = [each.fit for each in profiles().values() if each.fit is not None and each.fit.processor == "cpu"]
    speeds = [(each.effective_macs_per_s, each.effective_bytes_per_s, 1 / each.effective_layer_s) for each in fits]
    ratios = -np.log(speeds) @ fitting.RATIOS.T  # (P, 3) -> (P, 2)
    spread = np.cov(ratios.T) + np.eye(2) * fitting.FLOOR_VARIANCE
    precision = fitting.RATIOS.T @ np.linalg.inv(spread) @ fitting.RATIOS
    return fitting.Usual(np.array([0.0, *np.median(ratios, axis=0)]), precision)


def _left_out(table: np.ndarray, log_s: np.ndarray, usual: fitting.Usual) -> np.ndarray:
    """ln(measured / predicted) of each network by a fit that has not seen it; (M,)."""
    residuals = np.empty(table.shape[0])
    for at in range(table.shape[0]):
        seen = [each for each in range(table.shape[0]) if each != at]
        found = fitting.fit(table[seen], log_s[:, seen], usual)[0]
        residuals[at] = log_s[0, at] - np.log(np.exp(found) @ table[at])
    return residuals


def _sums(layers: Sequence[Layer], costs: OpCosts) -> tuple[float, float, float]:
    whole = work(layers, costs)
    return whole.macs, whole.bytes, whole.layers


def time_all(networks: dict[str, onnx.ModelProto], *, check: Callable[[], None] = lambda: None) -> dict[str, Timed]:
    """Time networks in turn on one thread, a block of each in every round, so that what disturbs one disturbs all."""
    runs = {name: _runner(proto) for name, proto in networks.items()}
    counts = {name: _runs_a_block(run) for name, run in runs.items()}
    seen: dict[str, list[float]] = {name: [] for name in networks}
    with _without_collector():
        for _ in range(ROUNDS):
            for name, run in runs.items():
                check()
                seen[name] += _block(run, counts[name])
    return {
        name: Timed(layers_of(networks[name]), float(np.median(seconds))) for name, seconds in seen.items()
    }  # fmt: skip


def layers_of(proto: onnx.ModelProto) -> tuple[Layer, ...]:
    """The work of a network by kind of layer, as the predictor takes it."""
    return ask_about(formats.facts(proto, size_bytes=proto.ByteSize(), external_data=False)).layers


def _runner(proto: onnx.ModelProto) -> Callable[[], object]:
    session = open_session(proto.SerializeToString(), threads=1)
    given = session.get_inputs()[0]
    shape = [each if isinstance(each, int) else 1 for each in given.shape]
    feed = {given.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    return lambda: session.run(None, feed)


def _runs_a_block(run: Callable[[], object]) -> int:
    run()
    took = min(_block(run, 3))
    return int(np.clip(BLOCK_SECONDS / took, 3, MOST_RUNS))


def _block(run: Callable[[], object], count: int) -> list[float]:
    run()  # not counted: the caches hold the network that ran before
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return seconds


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
