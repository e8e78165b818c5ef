"""What a child does with an order: load, apply the steps, evaluate, measure.

Everything here runs inside the sandbox. The two halves of a compress job run in two processes:
``compress`` makes the artifact and writes down what it gave on validation data; ``judge`` starts
afresh, reloads the files, must find the same numbers, and only then opens the test data.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from workers import calibration, datasets, evaluation, formats, intake
from workers.contract import Contract
from workers.elsewhere import answer, emulate
from workers.events import (
    BaselineMeasured,
    Calibrated,
    DatasetInspected,
    Event,
    ModelInspected,
    StepFinished,
    StepStarted,
)
from workers.facts import Role
from workers.judge import evaluate, judge
from workers.model import LoadedModel
from workers.report import Checkpoint, Interval
from workers.shop import Beside, Shop, StepNotes, given, rows, step_folder
from workers.technique import Technique
from workers.ticket import MODEL_FILE, OUTPUTS_FILE, Order
from workers.workbench import Data

REPRODUCED_SAMPLES = 64


def perform(
    order: Order,
    *,
    emit: Callable[[Event], None],
    alone: Callable[[], AbstractContextManager[None]],
    should_stop: Callable[[], bool],
) -> None:
    """Carry out one order in the current folder.

    Args:
        order: the work, with paths relative to the current folder.
        emit: sends an event to the parent.
        alone: a context in which no other job of this host computes; for timing.
        should_stop: whether somebody asked the work to stop.

    Raises:
        YoursToFix, OursToFix, Stopped: the caller reports them.
    """
    KINDS[order.kind](Shop(order, emit, alone, should_stop))


def inspect(shop: Shop) -> None:
    """Read the facts of a model or of a dataset."""
    order = shop.order
    if order.data is not None:
        shop.log("Reading the dataset.")
        shop.emit(DatasetInspected(facts=datasets.inspect(Path(order.data), options=order.options)))
    if order.model is not None:
        shop, form = _converted(shop, Path(order.model))
        shop.log("Reading the network.")
        proto, facts = formats.inspect(Path(given(shop.order.model, "model")))
        facts = facts.model_copy(update={"converted_from": form})
        evaluation.open_session(shop.model, threads=order.threads)  # refuses what the runtime cannot run
        shop.emit(ModelInspected(facts=facts, contract=formats.guess_contract(proto, facts, None)))


def _converted(shop: Shop, path: Path) -> tuple[Shop, str]:
    """The shop with the network in ONNX, and the form it came in; the parent keeps what lies in ``out``."""
    form = intake.form_of(path)
    if form is None:
        return shop, ""
    shop.log(f"Converting a {form.value} to ONNX.")
    made = intake.convert(
        path, form, out=Path("out"), scratch=Path("scratch") / "intake", threads=shop.order.threads, log=shop.log
    )
    return replace(shop, order=shop.order.model_copy(update={"model": str(made)})), form.value


def try_samples(shop: Shop) -> None:
    """Run ten samples through the contract and compare the metric with guessing."""
    from workers import trial

    model, data = shop.open()
    session = evaluation.open_session(shop.model, threads=shop.order.threads)
    shop.emit(trial.attempt(session, data, model.contract, seed=shop.order.seed, check=shop.check))


def compress(shop: Shop) -> None:
    """Apply the steps; after each, write a checkpoint and judge it on validation data."""
    from workers.graph import weights

    model, data = shop.open()
    shop.recipe.check(data.facts)
    weights.require_numbers(model.proto)
    beside = Beside(model, shop.others(model, data))
    shop.emit(BaselineMeasured(checkpoint=_checkpoint(shop, shop.model, data, model.contract)))
    for position, technique in enumerate(shop.recipe.steps):
        shop.check()
        shop.emit(StepStarted(step=position, technique=technique.technique))
        step = _step_from_cache if position in shop.order.cached else _step
        model, finished = step(shop, model, data, position, beside)
        shop.emit(finished)


def _step(
    shop: Shop, model: LoadedModel, data: Data, position: int, beside: Beside
) -> tuple[LoadedModel, StepFinished]:
    technique, folder = shop.recipe.steps[position], step_folder(position)
    started = time.perf_counter()
    bench = shop.bench(model, data, position, beside)
    model = technique.apply(model, bench)
    folder.mkdir(parents=True, exist_ok=True)
    formats.save(model.proto, folder / MODEL_FILE)
    checkpoint = _checkpoint(shop, folder / MODEL_FILE, data, model.contract, outputs=folder / OUTPUTS_FILE)
    seconds = time.perf_counter() - started
    said = StepNotes(checkpoint, model.notes, seconds, bench.conclusion)
    said.write(folder)
    for note in model.notes:
        shop.log(note, level="warning", step=position)
    return model, _finished(technique, position, said)


def _step_from_cache(
    shop: Shop, model: LoadedModel, data: Data, position: int, beside: Beside
) -> tuple[LoadedModel, StepFinished]:
    said = StepNotes.read(step_folder(position))
    proto = formats.load(step_folder(position) / MODEL_FILE)
    kept = LoadedModel(proto=proto, contract=model.contract, notes=said.notes)
    return kept, _finished(shop.recipe.steps[position], position, said, cached=True)


def _finished(technique: Technique, position: int, said: StepNotes, *, cached: bool = False) -> StepFinished:
    return StepFinished(
        step=position,
        technique=technique.technique,
        seconds=0.0 if cached else said.seconds,
        cached=cached,
        checkpoint=said.checkpoint,
        says=said.says,
    )


def _checkpoint(shop: Shop, path: Path, data: Data, contract: Contract, outputs: Path | None = None) -> Checkpoint:
    """Measure a file on validation data; ``outputs`` keeps its first answers for the judge to find again."""
    import numpy as np

    _, facts = formats.inspect(path)
    metrics: dict[str, Interval] = {}
    if rows(data.facts, Role.VALIDATION):
        predictions = shop.predict(path, data, Role.VALIDATION)
        metrics = shop.score(predictions, contract)
        if outputs is not None:
            np.save(outputs, predictions.outputs[:REPRODUCED_SAMPLES], allow_pickle=False)
    return Checkpoint(
        metrics=metrics,
        size_bytes=facts.size_bytes,
        zip_bytes=facts.zip_bytes,
        params=facts.params,
        macs=facts.macs,
    )


def calibrate(shop: Shop) -> None:
    """Time the standard networks, alone on the host."""
    with shop.alone():
        shop.emit(Calibrated(fit=calibration.calibrate(on=datetime.now(UTC).date(), check=shop.check)))


def sensitivity(shop: Shop) -> None:
    """Find out which layers suffer from a technique."""
    from workers.sensitivity import measure

    measure(shop)


KINDS: dict[str, Callable[[Shop], None]] = {
    "inspect": inspect,
    "try": try_samples,
    "sensitivity": sensitivity,
    "compress": compress,
    "judge": judge,
    "evaluate": evaluate,
    "emulate": emulate,
    "answer": answer,
    "calibrate": calibrate,
}
