"""``python -m workers.emulation.unseen --tables DIR``: how far predictions are off for networks nobody fitted.

Each network is left out of everything that is fitted (the cost of matrix products, the usual parameters, the fits and
the residuals that make the bands) and then asked about through ``predict`` itself, from its layers alone and with its
time on each x86 profile. ``--families`` leaves out together all networks whose products are mostly of one kind.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from pathlib import Path

import numpy as np

from workers.device import DeviceProfile, profiles
from workers.emulation.fit import asked, best_costs, fit_these
from workers.emulation.layers import Layer, OpCosts, op_costs
from workers.emulation.predictor import Ask, HostTime, predict
from workers.emulation.tables import RUNTIME, Tables, published_costs, read_tables
from workers.errors import EngineError

HOST_ARCH = "x86_64"
COLUMNS = f"{'median':>7} {'≤ 50 %':>7} {'in band':>7} {'of':>5}"


@dataclass(frozen=True)
class Trial:
    """A published time beside the prediction of fits that never saw its network; ``host`` is empty without a time."""

    model: str
    device: str
    host: str
    measured_ms: float
    predicted_ms: float
    held: bool

    @property
    def error(self) -> float:
        """|predicted / measured - 1|."""
        return abs(self.predicted_ms / self.measured_ms - 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 the tables are at fault."""
    options = _parser().parse_args(argv)
    try:
        found = trials(options.tables, families=options.families)
    except EngineError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 2
    alone, helped = [each for each in found if not each.host], [each for each in found if each.host]
    for part in ("device", "model", "host"):
        print(f"\n{'by ' + part:22} {'layers alone':>{len(COLUMNS)}}   with a time on one x86 host")
        print(f"{'':22} {COLUMNS}   {COLUMNS}")
        for name in sorted({getattr(each, part) for each in helped + alone} - {""}):
            sides = [[each for each in side if getattr(each, part) == name] for side in (alone, helped)]
            print(f"{name:22} {'   '.join(map(_columns, sides))}")
    print(f"{'all':22} {_columns(alone)}   {_columns(helped)}")
    return 0


def trials(folder: Path, *, families: bool = False) -> list[Trial]:
    """Every network on every CPU profile, by fits without it or without its family; x86 profiles as hosts for others.

    Raises:
        YoursToFix: if the folder lacks the reference tables.
    """
    given = published_costs(folder, "cpu")
    tables = read_tables(folder, "cpu", given)
    groups = _families(tables) if families else [[model] for model in tables.models]
    return list(chain.from_iterable(trials_without(group, tables, given) for group in groups))


def trials_without(models: Collection[str], tables: Tables, given: OpCosts) -> Iterator[Trial]:
    """Trials of some networks, everything fitted without all of them; ``given`` are the costs that nobody fits."""
    costs = best_costs(tables.without(models), given)
    tables = _at(costs, tables)
    names = asked("cpu")
    fits = fit_these(names, tables.without(models), "cpu", date.min)
    fitted = {key: profiles()[key].model_copy(update={"fit": fit}) for key, fit in fits.items()}
    for model in models:
        log_s = tables.log_s[:, tables.models.index(model)]
        times = {key: 1e3 * float(np.exp(log_s[tables.keys.index(name)])) for key, name in names.items()}
        yield from _of_one(model, tables.layers[model], {k: ms for k, ms in times.items() if ms > 0}, fitted)


def _of_one(
    model: str, layers: tuple[Layer, ...], times_ms: dict[str, float], fitted: dict[str, DeviceProfile]
) -> Iterator[Trial]:
    hosts = [key for key in times_ms if fitted[key].arch == HOST_ARCH]
    for key, measured_ms in times_ms.items():
        for host in ("", *hosts) if key not in hosts else ("",):
            time = HostTime(device=host, p50_ms=times_ms[host]) if host else None
            ask = Ask(layers=layers, host=time, runtime=RUNTIME)
            band = predict(ask, fitted[key], find=fitted.__getitem__).latency_ms
            if band is None:
                raise ValueError(f"{model} was not predicted on {key}")
            held = band.low <= measured_ms <= band.high
            yield Trial(model, key, host, measured_ms, band.value, held)


def _at(costs: OpCosts, tables: Tables) -> Tables:
    """The tables with products counted so that the shipped costs, which ``predict`` goes by, give what others do."""
    shipped = op_costs("cpu")
    layers = {
        model: tuple(
            each.model_copy(update={"macs": each.macs * costs.of(each.kind) / (shipped.of(each.kind) or 1)})
            for each in layers
        )
        for model, layers in tables.layers.items()
    }
    return replace(tables, layers=layers).under(shipped)


def _families(tables: Tables) -> list[list[str]]:
    """The networks of the tables by the kind of layer that most of their products belong to."""
    found: dict[str, list[str]] = defaultdict(list)
    for model in tables.models:
        products: dict[str, float] = defaultdict(float)
        for layer in tables.layers[model]:
            products[layer.kind] += layer.macs
        found[max(products, key=products.__getitem__)].append(model)
    return list(found.values())


def _columns(found: Sequence[Trial]) -> str:
    if not found:
        return " " * len(COLUMNS)
    errors = np.array([each.error for each in found])
    held = np.mean([each.held for each in found])
    return f"{np.median(errors):7.1%} {np.mean(errors <= 0.5):7.1%} {held:7.1%} {len(found):5}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.emulation.unseen", description="Hold the latency predictor to networks it has not seen."
    )
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the reference data")
    parser.add_argument("--families", action="store_true", help="leave out whole families of networks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
