"""What a child does with an order: load, apply the steps, evaluate, measure.

Everything here runs inside the sandbox. The two halves of a compress job run in two processes:
``compress`` makes the artifact and writes down what it gave on validation data; ``judge`` starts
afresh, reloads the files, must find the same numbers, and only then opens the test data.
"""

import json
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workers import datasets, evaluation, formats
from workers.contract import Contract
from workers.device import host, profile, versions
from workers.errors import OursToFix, Stopped, YoursToFix
from workers.events import (
    BaselineMeasured,
    DatasetInspected,
    Evaluated,
    Event,
    Judged,
    Log,
    ModelInspected,
    Progress,
    StepFinished,
    StepStarted,
)
from workers.evaluation.predictions import Predictions
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.model import LoadedModel
from workers.report import Checkpoint, Delta, Environment, Interval, Measured, Report, StepReport
from workers.ticket import CHECKPOINT_FILE, CONTRACT_FILE, MODEL_FILE, OUTPUTS_FILE, SAMPLE_FILE, Order
from workers.workbench import Data, Workbench

REPRODUCED_SAMPLES = 64
EVALUATE = "evaluate"


@dataclass(frozen=True)
class Shop:
    """What every kind of order needs while it is carried out."""

    order: Order
    emit: Callable[[Event], None]
    alone: Callable[[], AbstractContextManager[None]]
    should_stop: Callable[[], bool]

    def check(self) -> None:
        if self.should_stop():
            raise Stopped()

    def log(self, text: str, *, level: str = "info", step: int | None = None) -> None:
        self.emit(Log(text=text[:2000], level=level, step=step))  # type: ignore[arg-type]


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
    shop = Shop(order, emit, alone, should_stop)
    KINDS[order.kind](shop)


def inspect(shop: Shop) -> None:
    """Read the facts of a model or of a dataset."""
    order = shop.order
    if order.data is not None:
        shop.log("Reading the dataset.")
        shop.emit(DatasetInspected(facts=datasets.inspect(Path(order.data), options=order.options)))
    if order.model is not None:
        shop.log("Reading the network.")
        proto, facts = formats.inspect(Path(order.model))
        evaluation.open_session(Path(order.model), threads=order.threads)
        shop.emit(ModelInspected(facts=facts, contract=formats.guess_contract(proto, facts, None)))


def try_samples(shop: Shop) -> None:
    """Run ten samples through the contract and compare the metric with guessing."""
    from workers import trial

    model, data = _open(shop)
    session = evaluation.open_session(Path(_given(shop.order.model, "model")), threads=shop.order.threads)
    shop.emit(trial.attempt(session, data, model.contract, seed=shop.order.seed, check=shop.check))


def compress(shop: Shop) -> None:
    """Apply the steps; after each, write a checkpoint and judge it on validation data."""
    order = shop.order
    recipe = _given(order.recipe, "recipe")
    model, data = _open(shop)
    recipe.check(data.facts)
    shop.emit(BaselineMeasured(checkpoint=_checkpoint(shop, Path(_given(order.model, "model")), data, model.contract)))
    for position, technique in enumerate(recipe.steps):
        shop.check()
        shop.emit(StepStarted(step=position, technique=technique.technique))
        folder = Path("steps") / str(position)
        if position in order.cached:
            model, finished = _step_from_cache(folder, model, position, technique.technique)
        else:
            model, finished = _step(shop, model, data, position, folder)
        shop.emit(finished)


def _step(shop: Shop, model: LoadedModel, data: Data, position: int, folder: Path) -> tuple[LoadedModel, StepFinished]:
    technique = _given(shop.order.recipe, "recipe").steps[position]
    scratch = Path("scratch") / str(position)
    scratch.mkdir(parents=True, exist_ok=True)
    bench = Workbench(
        data=data, contract=model.contract, device=profile(shop.order.device), seed=shop.order.seed, threads=shop.order.threads,
        scratch=scratch, step=position, emit=shop.emit, should_stop=shop.should_stop,
    )  # fmt: skip
    started = time.perf_counter()
    model = technique.apply(model, bench)
    folder.mkdir(parents=True, exist_ok=True)
    formats.save(model.proto, folder / MODEL_FILE)
    checkpoint = _checkpoint(shop, folder / MODEL_FILE, data, model.contract, outputs=folder / OUTPUTS_FILE)
    seconds = time.perf_counter() - started
    said = {"checkpoint": checkpoint.model_dump(mode="json"), "notes": model.notes, "seconds": seconds}
    (folder / CHECKPOINT_FILE).write_text(json.dumps(said))
    for note in model.notes:
        shop.log(note, level="warning", step=position)
    return model, StepFinished(step=position, technique=technique.technique, seconds=seconds, checkpoint=checkpoint)


def _step_from_cache(folder: Path, model: LoadedModel, position: int, slug: str) -> tuple[LoadedModel, StepFinished]:
    checkpoint, notes, _ = read_checkpoint(folder)
    kept = LoadedModel(proto=formats.load(folder / MODEL_FILE), contract=model.contract, notes=notes)
    return kept, StepFinished(step=position, technique=slug, seconds=0.0, cached=True, checkpoint=checkpoint)


def read_checkpoint(folder: Path) -> tuple[Checkpoint, tuple[str, ...], float]:
    """What a finished step wrote down: its checkpoint, its notes, and its seconds."""
    said = json.loads((folder / CHECKPOINT_FILE).read_text())
    return Checkpoint.model_validate(said["checkpoint"]), tuple(said["notes"]), float(said["seconds"])


def _checkpoint(shop: Shop, path: Path, data: Data, contract: Contract, outputs: Path | None = None) -> Checkpoint:
    """Measure a file on validation data; ``outputs`` keeps its first answers for the judge to find again."""
    import numpy as np

    _, facts = formats.inspect(path)
    metrics: dict[str, Interval] = {}
    if _rows(data.facts, Role.VALIDATION):
        session = evaluation.open_session(path, threads=shop.order.threads)
        predictions = evaluation.predict(session, data, Role.VALIDATION, check=shop.check)
        metrics = evaluation.score(predictions, contract, seed=shop.order.seed)
        if outputs is not None:
            np.save(outputs, predictions.outputs[:REPRODUCED_SAMPLES], allow_pickle=False)
    return Checkpoint(metrics=metrics, size_bytes=facts.size_bytes, zip_bytes=facts.zip_bytes, params=facts.params, macs=facts.macs)


def judge(shop: Shop) -> None:
    """Reload what ``compress`` made, see that it reproduces, open the test data, measure, and report."""
    order = shop.order
    recipe = _given(order.recipe, "recipe")
    last = len(recipe.steps)
    shop.emit(StepStarted(step=last, technique=EVALUATE))
    started_at, started = datetime.now(UTC), time.perf_counter()
    model, data = _open(shop)
    baseline, result = Path(_given(order.model, "model")), Path("steps") / str(last - 1) / MODEL_FILE
    tell = _teller(shop, last)
    tell(1, "reloading in a clean process")
    _see_it_reproduces(shop, result, data, model.contract)
    tell(2, "evaluating on test data")
    before, after = _test(shop, baseline, data), _test(shop, result, data)
    _keep_sample(result, data, shop.order.threads)
    measured, study, verdict = _measure_both(shop, baseline, result, data, tell, last)
    report = Report(
        baseline=measured[0].model_copy(update={"metrics": evaluation.score(before, model.contract, seed=order.seed)}),
        result=measured[1].model_copy(update={"metrics": evaluation.score(after, model.contract, seed=order.seed)}),
        delta=Delta(metrics=evaluation.compare(before, after, model.contract, seed=order.seed), speedup=study.speedup),
        verdict=verdict,
        steps=_step_reports(order),
        environment=_environment(order, noise=study.noise, started_at=started_at),
        notes=_notes(order, data.facts),
    )
    shop.emit(Judged(report=report))
    shop.emit(StepFinished(step=last, technique=EVALUATE, seconds=time.perf_counter() - started))


def _teller(shop: Shop, step: int) -> Callable[[int, str], None]:
    def tell(done: int, text: str) -> None:
        shop.check()
        shop.emit(Progress(step=step, done=done, total=7, text=text))

    return tell


def _see_it_reproduces(shop: Shop, result: Path, data: Data, contract: Contract) -> None:
    """Evaluate the reloaded file on validation data and hold it against what the first process wrote down."""
    import numpy as np

    said, _, _ = read_checkpoint(result.parent)
    if not said.metrics:
        return
    session = evaluation.open_session(result, threads=shop.order.threads)
    predictions = evaluation.predict(session, data, Role.VALIDATION, check=shop.check)
    found = evaluation.score(predictions, contract, seed=shop.order.seed)
    kept = np.load(result.parent / OUTPUTS_FILE, allow_pickle=False)
    drift = float(np.abs(kept - predictions.outputs[: len(kept)]).max(initial=0.0))
    worst = max(abs(found[name].value - interval.value) for name, interval in said.metrics.items())
    scale = float(np.abs(kept).max(initial=1.0))
    if drift > 1e-4 * scale or worst > 1e-3:
        raise OursToFix(
            f"Expected the reloaded artifact to reproduce its numbers, found outputs {drift:.2g} apart and a metric {worst:.2g} apart.",
            hint="Run the job again; if it stays, report the recipe: the result is not published.",
            code="artifact.not-reproduced",
        )
    shop.log(f"Reloaded in a clean process: {len(kept)} outputs agree to {drift:.1g}, every validation metric to {worst:.1g}.")


def _test(shop: Shop, path: Path, data: Data) -> Predictions:
    session = evaluation.open_session(path, threads=shop.order.threads)
    return evaluation.predict(session, data, Role.TEST, check=shop.check)


def _keep_sample(result: Path, data: Data, threads: int) -> None:
    """Write one test sample and the artifact's answer: what the bundle's sample script must find again."""
    import numpy as np

    sample = sample_feed(data)
    session = evaluation.open_session(result, threads=threads)
    answer = session.run(None, sample)
    named = {f"input__{name}": array for name, array in sample.items()}
    named |= {f"output__{node.name}": array for node, array in zip(session.get_outputs(), answer, strict=True)}
    np.savez(Path("out") / SAMPLE_FILE, **named)  # type: ignore[arg-type]


def sample_feed(data: Data) -> dict[str, "np.ndarray"]:  # type: ignore[name-defined]  # noqa: F821
    """The first test row as a batch of one, by input name."""
    role = Role.TEST if _rows(data.facts, Role.TEST) else next(iter(data.facts.roles))
    return dict(next(iter(data.batches(role, size=1, limit=1))).inputs)


def _measure_both(shop: Shop, baseline: Path, result: Path, data: Data, tell: Callable[[int, str], None], step: int):  # type: ignore[no-untyped-def]
    """Time both networks alone on the host, interleaved; then service, memory and the verdict."""
    order, sample, device = shop.order, sample_feed(data), host()
    facts = [formats.inspect(path)[1] for path in (baseline, result)]
    tell(3, "waiting to be alone on the host")
    with shop.alone():
        tell(4, "timing both networks in turn")
        study = evaluation.study_latency(baseline, result, sample, threads=device.threads, seed=order.seed, quick=order.quick)
        tell(5, f"service time with {order.cores} busy")
        services = [evaluation.study_service(path, sample, workers=order.cores) for path in (baseline, result)]
    tell(6, "peak memory")
    peaks = [evaluation.peak_memory(path, sample) for path in (baseline, result)]
    measured = [
        Measured(
            size_bytes=fact.size_bytes, zip_bytes=fact.zip_bytes, params=fact.params, macs=fact.macs,
            peak_memory_bytes=peak, metrics={}, latency=latency, service=service,
        )  # fmt: skip
        for fact, peak, latency, service in zip(facts, peaks, (study.baseline, study.result), services, strict=True)
    ]
    verdict = evaluation.verdict(
        study, baseline_bytes=facts[0].size_bytes, result_bytes=facts[1].size_bytes,
        baseline_zip=facts[0].zip_bytes, result_zip=facts[1].zip_bytes, usual_batch=device.usual_batch,
    )  # fmt: skip
    tell(7, "done")
    return measured, study, verdict


def _step_reports(order: Order) -> tuple[StepReport, ...]:
    reports = []
    for position, technique in enumerate(_given(order.recipe, "recipe").steps):
        checkpoint, _, seconds = read_checkpoint(Path("steps") / str(position))
        parameters = technique.model_dump(mode="json", exclude={"technique"})
        cached = position in order.cached
        reports.append(StepReport(technique=technique.technique, title=technique.about.title, parameters=parameters, seconds=0.0 if cached else seconds, cached=cached, checkpoint=checkpoint))
    return tuple(reports)


def _notes(order: Order, facts: DatasetFacts) -> tuple[str, ...]:
    _, notes, _ = read_checkpoint(Path("steps") / str(len(_given(order.recipe, "recipe").steps) - 1))
    target = profile(order.device)
    elsewhere = () if target.key == host().key else (f"Made for {target.title}; latency and memory were measured on this host, not there.",)
    return (*notes, *facts.warnings, *elsewhere)


def evaluate(shop: Shop) -> None:
    """Measure one network alone on test data."""
    order = shop.order
    model, data = _open(shop)
    path = Path(_given(order.model, "model"))
    started_at = datetime.now(UTC)
    metrics = evaluation.score(_test(shop, path, data), model.contract, seed=order.seed)
    sample, (_, facts), device = sample_feed(data), formats.inspect(path), host()
    with shop.alone():
        study = evaluation.study_latency(path, path, sample, threads=device.threads, seed=order.seed, quick=order.quick)
        service = evaluation.study_service(path, sample, workers=order.cores)
    measured = Measured(
        size_bytes=facts.size_bytes, zip_bytes=facts.zip_bytes, params=facts.params, macs=facts.macs, metrics=metrics,
        peak_memory_bytes=evaluation.peak_memory(path, sample), latency=study.baseline, service=service,
    )  # fmt: skip
    shop.emit(Evaluated(measured=measured, environment=_environment(order, noise=study.noise, started_at=started_at)))


def _open(shop: Shop) -> tuple[LoadedModel, Data]:
    """Load the network and open the data under the contract given, or under the one guessed from both."""
    order = shop.order
    path, where = Path(_given(order.model, "model")), Path(_given(order.data, "dataset"))
    proto, facts = formats.inspect(path)
    contract = order.contract or _guess(proto, facts, where, order)
    (Path("out") / CONTRACT_FILE).write_text(contract.model_dump_json())
    data = datasets.open_data(where, options=order.options, contract=contract, seed=order.seed)
    return LoadedModel(proto=proto, contract=contract), data


def _guess(proto: object, facts: ModelFacts, where: Path, order: Order) -> Contract:
    return formats.guess_contract(proto, facts, datasets.inspect(where, options=order.options))


def _environment(order: Order, *, noise: dict[str, float], started_at: datetime) -> Environment:
    device = host()
    return Environment(
        device=device.key, cpu=host().title, isa=host().isa, cores=order.cores, threads=device.threads, provider=device.provider, seed=order.seed,
        versions=versions(), platform=platform.platform(), noise=noise, started_at=started_at.isoformat(timespec="seconds"),
    )  # fmt: skip


def _rows(facts: DatasetFacts, role: Role) -> int:
    return facts.roles[role].rows if role in facts.roles else 0


def _given(value, what: str):  # type: ignore[no-untyped-def]
    if value is None:
        raise YoursToFix(f"Expected a {what}, found none.", hint=f"Give a {what}.", code="order.incomplete")
    return value


KINDS: dict[str, Callable[[Shop], None]] = {
    "inspect": inspect,
    "try": try_samples,
    "compress": compress,
    "judge": judge,
    "evaluate": evaluate,
}
