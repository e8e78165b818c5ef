"""The fresh process that judges an artifact: reload, reproduce, open the test data, measure, report."""

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workers import datasets, evaluation, formats, intake
from workers.contract import Contract, Task
from workers.device import host, profile, versions
from workers.elsewhere import elsewhere
from workers.errors import OursToFix, YoursToFix
from workers.events import Evaluated, Judged, Progress, StepFinished, StepStarted
from workers.facts import ModelFacts, Role
from workers.report import (
    Changes,
    Delta,
    Environment,
    Latency,
    Measured,
    NetworkWork,
    Report,
    Service,
    StepReport,
    WindowTimes,
)
from workers.shop import Shop, StepNotes, given, rows, step_folder
from workers.ticket import DECODER_FILE, MODEL_FILE, OUTPUTS_FILE, SAMPLE_FILE
from workers.workbench import Data

if TYPE_CHECKING:
    import numpy as np

EVALUATE = "evaluate"
STAGES = 7
# The same file on the same host with the same threads gives the same answers; a float sum in another order may differ
# in the last bits, and one sample on the edge between two classes may then change sides.
OUTPUT_DRIFT, METRIC_DRIFT = 1e-4, 1e-3


@dataclass(frozen=True)
class Served:
    """What is timed of baseline and result, in that order: the files with a sample each, and what to say of it.

    ``past_tokens``: the files decode, with so many earlier tokens in each sample.
    """

    files: tuple[Path, Path]
    samples: "tuple[dict[str, np.ndarray], dict[str, np.ndarray]]"
    past_tokens: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Timings:
    """What was timed of baseline and result, in that order."""

    study: evaluation.LatencyStudy
    services: tuple[Service, Service]


def judge(shop: Shop) -> None:
    """Judge what ``compress`` made and emit the report."""
    last = len(shop.recipe.steps)
    shop.emit(StepStarted(step=last, technique=EVALUATE))
    started_at, started = datetime.now(UTC), time.perf_counter()
    tell = _teller(shop, last)
    shop.emit(Judged(report=_report(shop, tell, started_at)))
    tell(STAGES, "done")
    shop.emit(StepFinished(step=last, technique=EVALUATE, seconds=time.perf_counter() - started))


def _report(shop: Shop, tell: Callable[[int, str], None], started_at: datetime) -> Report:
    model, data = shop.open()
    before_path, after_path = shop.model, step_folder(len(shop.recipe.steps) - 1) / MODEL_FILE
    tell(1, "reloading in a clean process")
    see_it_reproduces(shop, after_path, data, model.contract)
    tell(2, "evaluating on test data")
    before, after = shop.predict(before_path, data, Role.TEST), shop.predict(after_path, data, Role.TEST)
    sample = sample_feed(data)
    keep_sample(shop, after_path, sample)
    intake.unpack(Path(given(shop.order.model, "model")), Path("out"))
    served = as_served(shop, before_path, after_path, sample, model.contract)
    weights_beside = served.files[1].parent.glob(f"{served.files[1].name}?*")  # of more than 2 GiB
    if served.past_tokens and not any(weights_beside):
        shutil.copyfile(served.files[1], Path("out") / DECODER_FILE)
    tell(3, "waiting to be alone on the host")
    timings = _time(shop, served, tell)
    window = _time_window(shop, before_path, after_path, sample) if served.past_tokens else None
    tell(6, "peak memory")
    facts = [formats.inspect(path)[1] for path in (before_path, after_path)]
    peaks = [evaluation.peak_memory(path, sample) for path in (before_path, after_path)]
    study, services = timings.study, timings.services
    baseline = _measured(facts[0], peaks[0], study.baseline, services[0], served.past_tokens)
    result = _measured(facts[1], peaks[1], study.result, services[1], served.past_tokens)
    return Report(
        baseline=baseline.model_copy(update={"metrics": shop.score(before, model.contract)}),
        result=result.model_copy(update={"metrics": shop.score(after, model.contract)}),
        delta=Delta(
            metrics=evaluation.compare(before, after, model.contract, seed=shop.order.seed), speedup=study.speedup
        ),
        verdict=evaluation.verdict(
            study,
            baseline_bytes=baseline.size_bytes,
            result_bytes=result.size_bytes,
            baseline_zip=baseline.zip_bytes,
            result_zip=result.zip_bytes,
            usual_batch=host().usual_batch,
        ),
        steps=_step_reports(shop),
        environment=_environment(shop, noise=study.noise, started_at=started_at),
        notes=(*_notes(shop, data), *evaluation.left_out(before, model.contract), *filter(None, [served.note])),
        emulation=elsewhere(shop, after_path, facts, data, model.contract),
        headline=next((metric.name for metric in evaluation.applying(before, model.contract)), ""),
        changes=_with_texts(
            evaluation.changes(before, after, model.contract, classes=data.facts.target.classes, seed=shop.order.seed),
            data,
        ),
        work={"baseline": _work(facts[0]), "result": _work(facts[1])},
        window=window,
    )


def _with_texts(changes: Changes, data: Data) -> Changes:
    """The changes with rows of the file, and how their texts begin."""
    samples = (
        one.model_copy(update={"row": datasets.line(data, one.row), "text": datasets.excerpt(data, one.row)})
        for one in changes.samples
    )
    return changes.model_copy(update={"samples": tuple(samples)})


def _work(facts: ModelFacts) -> NetworkWork:
    return NetworkWork(precision="int8" if facts.quantized else "float32", layers=facts.work)


def _teller(shop: Shop, step: int) -> Callable[[int, str], None]:
    def tell(done: int, text: str) -> None:
        shop.check()
        shop.emit(Progress(step=step, done=done, total=STAGES, text=text))

    return tell


def see_it_reproduces(shop: Shop, path: Path, data: Data, contract: Contract) -> None:
    """Evaluate the reloaded file on validation data and hold it against what the first process wrote down.

    Raises:
        OursToFix: if outputs or metrics differ by more than rounding explains.
    """
    import numpy as np

    said, outputs = StepNotes.read(path.parent).checkpoint, path.parent / OUTPUTS_FILE
    if not outputs.exists():  # no validation rows
        return
    predictions = shop.predict(path, data, Role.VALIDATION)
    found = shop.score(predictions, contract)
    kept = np.load(outputs, allow_pickle=False)
    drift = float(np.abs(kept - predictions.outputs[: len(kept)]).max(initial=0.0))
    largest = float(np.abs(kept).max(initial=1e-12))
    worst = max((abs(found[name].value - interval.value) for name, interval in said.metrics.items()), default=0.0)
    if drift > OUTPUT_DRIFT * largest or worst > METRIC_DRIFT * max(1.0, largest):
        raise OursToFix(
            f"Expected the reloaded artifact to reproduce its numbers; its outputs are {drift:.2g} apart "
            f"and a metric is {worst:.2g} apart.",
            hint="Run the job again; if it stays, report the recipe. The result is not kept.",
            code="artifact.not-reproduced",
        )
    agree = f"{len(kept)} outputs agree to {drift:.1g}, every validation metric to {worst:.1g}"
    shop.log(f"Reloaded in a clean process: {agree}.")


def sample_feed(data: Data) -> "dict[str, np.ndarray]":
    """The first test row as a batch of one, by input name."""
    role = Role.TEST if rows(data.facts, Role.TEST) else next(iter(data.facts.roles))
    return dict(next(iter(data.batches(role, size=1, limit=1))).inputs)


def keep_sample(shop: Shop, path: Path, sample: "dict[str, np.ndarray]") -> None:
    """Write one test sample and the artifact's answer: what the bundle's sample script must find again."""
    import numpy as np

    session = evaluation.open_session(path, threads=shop.order.threads)
    named = {f"input__{name}": array for name, array in sample.items()}
    answers = zip(session.get_outputs(), session.run(None, sample), strict=True)
    named |= {f"output__{node.name}": array for node, array in answers}
    np.savez(Path("out") / SAMPLE_FILE, **named)  # type: ignore[arg-type]


def as_served(shop: Shop, before: Path, after: Path, sample: "dict[str, np.ndarray]", contract: Contract) -> Served:
    """The networks as they are used: language models one token at a time, everything else by whole samples.

    A language model that cannot keep keys and values is timed over whole windows, and the report says why.
    """
    whole = Served((before, after), (sample, sample))
    if contract.task is not Task.CAUSAL_LM:
        return whole
    from workers.evaluation.decoding import decoders

    folder, threads = Path("scratch") / "decoding", shop.order.threads
    try:
        first, second = decoders(before, after, sample, contract, folder=folder, threads=threads)
    except YoursToFix as fault:
        said = f"Latency is that of whole windows, not of single tokens. {fault.message}"
        return replace(whole, note=said)
    shop.log(
        f"Decoding with kept keys and values says what whole windows say: scores {first.apart:.1g} apart for the "
        f"baseline, {second.apart:.1g} for the result."
    )
    note = (
        f"Latency and service time are those of writing one new token after {first.past} earlier ones, whose keys "
        "and values are kept; where requests are counted, as for money, one is one token. "
        "Peak memory is that of a whole window."
    )
    return Served((first.file, second.file), (first.sample, second.sample), first.past, note)


def _time(shop: Shop, served: Served, tell: Callable[[int, str], None]) -> Timings:
    """Time both networks alone on the host, interleaved; then with every core busy."""
    order, (before, after), (sample, other) = shop.order, served.files, served.samples
    with shop.alone():
        tell(4, "timing both networks in turn")
        study = evaluation.study_latency(
            before, after, sample, result_sample=other, threads=host().threads, seed=order.seed, quick=order.quick
        )
        tell(5, f"service time with {order.cores} busy")
        fed = tuple(zip(served.files, served.samples, strict=True))
        first, second = evaluation.study_services(fed, workers=order.cores)
    return Timings(study, (first, second))


def _time_window(shop: Shop, before: Path, after: Path, sample: "dict[str, np.ndarray]") -> WindowTimes:
    """Time a language model over the whole window as well: what reading a prompt takes."""
    with shop.alone():
        study = evaluation.study_latency(
            before, after, sample, batches=(1,), threads=host().threads, seed=shop.order.seed, quick=True
        )
    tokens = max(array.shape[-1] for array in sample.values())
    return WindowTimes(
        tokens=tokens, baseline=study.baseline["1"], result=study.result["1"], speedup=study.speedup["1"]
    )


def _measured(
    facts: ModelFacts, peak_memory_bytes: int, latency: dict[str, Latency], service: Service, past_tokens: int | None
) -> Measured:
    return Measured(
        size_bytes=facts.size_bytes,
        zip_bytes=facts.zip_bytes,
        params=facts.params,
        macs=facts.macs,
        peak_memory_bytes=peak_memory_bytes,
        metrics={},
        latency=latency,
        service=service,
        past_tokens=past_tokens,
    )


def _step_reports(shop: Shop) -> tuple[StepReport, ...]:
    reports = []
    for position, technique in enumerate(shop.recipe.steps):
        said, cached = StepNotes.read(step_folder(position)), position in shop.order.cached
        reports.append(
            StepReport(
                technique=technique.technique,
                title=technique.about.title,
                parameters=technique.model_dump(mode="json", exclude={"technique"}),
                seconds=0.0 if cached else said.seconds,
                cached=cached,
                checkpoint=said.checkpoint,
                says=said.says,
            )
        )
    return tuple(reports)


def _notes(shop: Shop, data: Data) -> tuple[str, ...]:
    """What a user of the artifact must be told."""
    said = [*StepNotes.read(step_folder(len(shop.recipe.steps) - 1)).notes, *data.facts.warnings]
    target = profile(shop.order.device)
    if target.key != host().key:
        said.append(f"Made for {target.title}; latency and memory were measured on this host, not there.")
    return tuple(said)


def evaluate(shop: Shop) -> None:
    """Measure one network alone on test data."""
    started_at = datetime.now(UTC)
    model, data = shop.open()
    metrics = shop.score(shop.predict(shop.model, data, Role.TEST), model.contract)
    sample = sample_feed(data)
    served = as_served(shop, shop.model, shop.model, sample, model.contract)
    timings = _time(shop, served, lambda done, text: shop.check())
    facts, peak = formats.inspect(shop.model)[1], evaluation.peak_memory(shop.model, sample)
    measured = _measured(facts, peak, timings.study.baseline, timings.services[0], served.past_tokens)
    environment = _environment(shop, noise=timings.study.noise, started_at=started_at)
    shop.emit(Evaluated(measured=measured.model_copy(update={"metrics": metrics}), environment=environment))


def _environment(shop: Shop, *, noise: dict[str, float], started_at: datetime) -> Environment:
    device = host()
    return Environment(
        device=device.key,
        profile=shop.order.profile,
        fit=shop.order.fit,
        arch=device.arch,
        cpu=device.title,
        isa=device.isa,
        cores=shop.order.cores,
        threads=device.threads,
        provider=device.provider,
        seed=shop.order.seed,
        versions=versions(),
        platform=platform.platform(),
        noise=noise,
        started_at=started_at.isoformat(timespec="seconds"),
    )
