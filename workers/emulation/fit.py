"""``python -m workers.emulation.fit --tables DIR``: fit the profiles to published times, and say how well that does.

A profile takes part when its file ends in a ``[fit]`` table that names ``measured_on``, ``processor`` and
``threads``. ``--write`` replaces those tables; without it only the cross-validated figures are shown. ``--costs``
searches the one shared cost that was taken from these tables, that of matrix products, and shows it.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np

from workers.device import FOLDER, Fit
from workers.emulation import fitting
from workers.emulation.layers import KINDS, OpCosts, op_costs
from workers.emulation.predictor import dominant, times_by_kind
from workers.emulation.tables import RUNTIME, Key, Processor, Tables, published_costs, read_tables
from workers.errors import EngineError, YoursToFix

HEAD = "\n[fit]\n"
WEAK_MEDIAN = 0.25
FEW_MODELS = 6
DIGITS = 4
GEMM_TRIED = tuple(round(1.1**step, 2) for step in range(-2, 15))  # 0.83 to 3.8


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 the tables are at fault."""
    options = _parser().parse_args(argv)
    try:
        if options.costs:
            given = published_costs(options.tables, "cpu")
            print(f"{'gemm':20} {best_costs(read_tables(options.tables, 'cpu', given), given).gemm}")
            return 0
        fits = fit_all(options.tables, on=options.date or date.today())  # noqa: DTZ011 a day for a person
    except EngineError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 2
    for key, fit in fits.items():
        print(f"{key:20} {_summary(fit)}")
        if options.write:
            write(FOLDER / f"{key}.toml", fit)
    print(f"{'median of all':20} {np.median([_median_error(fit) for fit in fits.values()]):.1%}")
    return 0


def fit_all(folder: Path, *, on: date) -> dict[str, Fit]:
    """The fit of every profile that asks for one, by its key."""
    found: dict[str, Fit] = {}
    for processor in get_args(Processor):
        if names := asked(processor):
            found |= fit_these(names, read_tables(folder, processor, op_costs(processor)), processor, on)
    return dict(sorted(found.items()))


def asked(processor: Processor) -> dict[str, Key]:
    """The table that each profile with a fit names, by the key of the profile."""
    read = {path.stem: tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))}
    fits = {key: profile["fit"] for key, profile in read.items() if "fit" in profile}
    return {key: (fit["measured_on"], fit["threads"]) for key, fit in fits.items() if fit["processor"] == processor}


def best_costs(tables: Tables, given: OpCosts) -> OpCosts:
    """The given costs with that of matrix products which explains the tables best; untouched where they time none."""
    if not any(layer.kind == "gemm" for model in tables.models for layer in tables.layers[model]):
        return given
    usual = _usual(tables)
    tried = [given.model_copy(update={"gemm": gemm}) for gemm in GEMM_TRIED]
    return min(tried, key=lambda each: fitting.loss(tables.under(each).work, tables.log_s, usual))


def _usual(tables: Tables) -> fitting.Usual:
    return fitting.usual_parameters(tables.work, tables.log_s)


def fit_these(names: dict[str, Key], tables: Tables, processor: Processor, on: date) -> dict[str, Fit]:
    """The fits of some profiles, each named by its key in the tables.

    Raises:
        YoursToFix: if the tables lack one.
    """
    usual = _usual(tables)
    parameters = fitting.fit(tables.work, tables.log_s, usual)
    residuals = fitting.left_out(tables.work, tables.log_s)
    found = {}
    for key, name in names.items():
        if name not in tables.keys:
            raise YoursToFix(
                f"Expected a table of {name[0]!r} with {name[1]} threads for {key!r}, found none.",
                hint="Check measured_on and threads in its file.",
                code="fit.no-tables",
            )
        row = tables.keys.index(name)
        found[key] = _as_fit(tables, row, parameters[row], residuals[row], processor, on)
    return found


def _as_fit(
    tables: Tables, row: int, parameters: np.ndarray, residuals: np.ndarray, processor: Processor, on: date
) -> Fit:
    name = tables.keys[row]
    timed = [i for i in range(len(tables.models)) if not np.isnan(residuals[i])]
    per_mac, per_byte, per_layer = np.exp(parameters)
    source = tables.sources[name]
    fit = Fit(
        measured_on=name[0],
        processor=processor,
        runtime=RUNTIME,
        runtime_version=f"as listed in {source.split()[0]}",
        threads=name[1],
        effective_macs_per_s=_rounded(1 / per_mac),
        effective_bytes_per_s=_rounded(1 / per_byte),
        effective_layer_s=_rounded(per_layer),
        models=tuple(tables.models[i] for i in timed),
        dominated_by=(),
        log_residuals=tuple(round(float(residuals[i]), DIGITS) for i in timed),
        # on a graphics processor ncnn runs int8 on the host's CPU: those pairs say nothing about it
        int8_speedups=tuple(round(s, DIGITS) for s in tables.int8_speedups[name]) if processor == "cpu" else (),
        source=source,
        fitted_on=on,
    )
    main_kinds = {dominant(times_by_kind(tables.layers[model], fit)) for model in fit.models}
    kinds = tuple(kind for kind in KINDS if kind in main_kinds)
    return fit.model_copy(update={"dominated_by": kinds, "grade": _grade(fit)})


def _grade(fit: Fit) -> str:
    """D where a fit rests on few networks or misses unseen ones by a quarter, else C."""
    return "D" if len(fit.models) < FEW_MODELS or _median_error(fit) > WEAK_MEDIAN else "C"


def _median_error(fit: Fit) -> float:
    """The median of |predicted / measured - 1| over networks that were left out."""
    return float(np.median(np.abs(np.expm1(-np.array(fit.log_residuals)))))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _summary(fit: Fit) -> str:
    return f"class {fit.grade}, {len(fit.models)} networks, left out one by one: median error {_median_error(fit):.1%}"


def write(path: Path, fit: Fit) -> None:
    """Replace the ``[fit]`` table, the last one of a profile's file."""
    above = path.read_text().partition(HEAD)[0]
    lines = [f"{name} = {_toml(value)}" for name, value in fit.model_dump().items()]
    path.write_text(above + HEAD + "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    """A value as TOML writes it: JSON's form does for texts, numbers and lists of them."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.emulation.fit", description="Fit the latency predictor to published times."
    )
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the reference data")
    parser.add_argument("--write", action="store_true", help="write the fits into the profiles")
    parser.add_argument("--costs", action="store_true", help="search shared costs instead")
    parser.add_argument("--date", type=date.fromisoformat, help="day to state; today without it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
