"""How raw values were scaled before training: the usual ways, tried on rows that are not test data.

A network does not say whether it wants pixels from 0 to 255, from 0 to 1 or standardised, and the first guess
is often wrong. With labels at hand the question has an answer: the way under which it predicts best.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workers import datasets, evaluation
from workers.contract import Contract, InputSpec
from workers.errors import EngineError
from workers.evaluation.predictions import Predictions
from workers.facts import Role
from workers.formats.contract_guess import IMAGENET_MEAN, IMAGENET_STD
from workers.metric import for_contract
from workers.ticket import DataOptions
from workers.workbench import Data

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

TRIED_ROWS = 512
STATISTICS_BYTES = 64 << 20
STATISTICS_ROWS = range(256, 20_001)
ROLES = (Role.VALIDATION, Role.TRAIN, Role.CALIBRATION)


def settle(
    session: "onnxruntime.InferenceSession",
    contract: Contract,
    where: Path,
    *,
    options: DataOptions,
    seed: int,
    check: Callable[[], None],
) -> tuple[Contract, str]:
    """Keep the guessed contract, or the same with the scaling under which the network predicts clearly better.

    Args:
        contract: the first guess; only its one input's scale, mean, standard deviation and channel order may change.

    Returns:
        The contract and one sentence about what was tried; empty if nothing could be.
    """
    if len(contract.inputs) != 1 or not contract.inputs[0].dtype.startswith("float") or not for_contract(contract):
        return contract, ""
    tried: dict[InputSpec, Predictions] = {}
    for spec in _ways(contract, where, options, seed):
        predictions = _predict(session, contract, spec, where, options=options, seed=seed, check=check)
        if predictions is not None:
            tried[spec] = predictions
    first = contract.inputs[0]
    if first not in tried or len(tried) < 2:
        return contract, ""
    best = _best(tried, contract, seed)
    if not _is_clearly_better(tried[best], tried[first], contract, seed):
        return contract, f"Tried {len(tried)} usual ways to scale the input: none predicts better than the first guess."
    ways = f"Tried {len(tried)} usual ways to scale the input on rows that are not test data"
    said = f"{ways}: {describe(best)} predicts best."
    return contract.model_copy(update={"inputs": (best,)}), said


def describe(spec: InputSpec) -> str:
    """The scaling in words."""
    parts = [] if spec.scale == 1 else [f"times {spec.scale:.4g}"]
    if spec.mean:
        parts.append("minus " + ", ".join(f"{value:.4g}" for value in spec.mean))
    if spec.std:
        parts.append("divided by " + ", ".join(f"{value:.4g}" for value in spec.std))
    order = f" in {spec.channels} order" if spec.channels in ("RGB", "BGR") else ""
    return (" ".join(parts) or "values as they are") + order


def _ways(contract: Contract, where: Path, options: DataOptions, seed: int) -> Iterator[InputSpec]:
    """The first guess, then each other usual way once."""
    first = contract.inputs[0]
    seen = {first}
    yield first
    raw = first.model_copy(update={"scale": 1.0, "mean": (), "std": ()})
    data = _opened(contract, raw, where, options, seed)
    values = None if data is None else _raw_values(data, first.name)
    if values is None:
        return
    for way in _usual(raw, values):
        if way not in seen:
            seen.add(way)
            yield way


def _usual(raw: InputSpec, values: "np.ndarray") -> Iterator[InputSpec]:
    """As they are, to one, to minus one and one, standardised by this data or by ImageNet, and blue before red."""
    to_one = _to_one(values)
    yield raw
    yield raw.model_copy(update={"scale": to_one})
    yield raw.model_copy(update={"scale": to_one, "mean": (0.5,), "std": (0.5,)})
    mean, std = _moments(values, raw, to_one)
    if all(value > 1e-6 for value in std):
        yield raw.model_copy(update={"scale": to_one, "mean": mean, "std": std})
    if raw.channels == "RGB":
        standard = raw.model_copy(update={"scale": to_one, "mean": IMAGENET_MEAN, "std": IMAGENET_STD})
        yield standard
        yield standard.model_copy(update={"channels": "BGR"})
        yield raw.model_copy(update={"scale": to_one, "channels": "BGR"})


def _to_one(values: "np.ndarray") -> float:
    """The factor that brings values to at most one: by 255 for pictures in bytes, else by the largest value."""
    largest = float(values.max(initial=0.0))
    if largest <= 1.5:
        return 1.0
    return 1 / 255 if values.ndim == 4 and 16 < largest <= 255 else 1 / largest


def _moments(values: "np.ndarray", raw: InputSpec, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel for pictures, over everything else for the rest; of scaled values."""
    axis = {"CHW": 1, "HWC": 3}.get(raw.layout) if values.ndim == 4 else None
    over = tuple(i for i in range(values.ndim) if i != axis)
    scaled = values.astype("float64") * scale
    mean, std = scaled.mean(axis=over), scaled.std(axis=over)
    return tuple(round(float(v), 6) for v in mean.reshape(-1)), tuple(round(float(v), 6) for v in std.reshape(-1))


def _raw_values(data: Data, name: str) -> "np.ndarray | None":
    """Up to 64 MiB of unscaled samples, at least 256 of them; (n, ...)."""
    import numpy as np

    role = _role(data)
    if role is None:
        return None
    one = next(iter(data.batches(role, size=1, limit=1))).inputs[name].nbytes
    rows = min(max(STATISTICS_BYTES // max(one, 1), STATISTICS_ROWS[0]), STATISTICS_ROWS[-1])
    return np.concatenate([batch.inputs[name] for batch in data.batches(role, size=256, limit=rows)])


def _role(data: Data) -> Role | None:
    """Rows to try on; the largest statistics come from train, and test data is never touched."""
    return next((role for role in (Role.TRAIN, *ROLES) if role in data.facts.roles), None)


def _opened(contract: Contract, spec: InputSpec, where: Path, options: DataOptions, seed: int) -> Data | None:
    try:
        changed = contract.model_copy(update={"inputs": (spec,)})
        return datasets.open_data(where, options=options, contract=changed, seed=seed)
    except EngineError:
        return None


def _predict(
    session: "onnxruntime.InferenceSession",
    contract: Contract,
    spec: InputSpec,
    where: Path,
    *,
    options: DataOptions,
    seed: int,
    check: Callable[[], None],
) -> Predictions | None:
    """What the network says under one way; none where the data has no labels outside test."""
    data = _opened(contract, spec, where, options, seed)
    role = next((role for role in ROLES if data is not None and role in data.facts.roles), None)
    if data is None or role is None:
        return None
    predictions = evaluation.predict(session, data, role, limit=TRIED_ROWS, check=check)
    return None if predictions.labels is None else predictions


def _best(tried: dict[InputSpec, Predictions], contract: Contract, seed: int) -> InputSpec:
    metric = for_contract(contract)[0]
    sign = 1 if metric.about.higher_is_better else -1
    scores = {spec: evaluation.score(predictions, contract, seed=seed) for spec, predictions in tried.items()}
    return max(scores, key=lambda spec: sign * scores[spec][metric.name].value)


def _is_clearly_better(best: Predictions, first: Predictions, contract: Contract, seed: int) -> bool:
    """Whether the paired interval of the gain leaves zero out: the first guess stays unless it is plainly worse."""
    metric = for_contract(contract)[0]
    difference = evaluation.compare(first, best, contract, seed=seed)[metric.name]
    gain = difference.value if metric.about.higher_is_better else -difference.value
    return difference.distinguishable and gain > 0
