"""Runs a recipe through the engine's own command and a peer's script beside it, and measures both in one way.

Size is the file's; speed is the baseline's latency over the artifact's, both in this process on one thread, in turn;
the metric is on test rows, which no decision of a recipe has seen.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compressionhub.env import ROOT
from compressionhub.site.bench.peers.line import Took

if TYPE_CHECKING:
    import numpy as np

    from workers.contract import Contract
    from workers.evaluation import Predictions
    from workers.evaluation.decoding import Decoder
    from workers.workbench import Data

RECIPES = ROOT / "examples" / "recipes"
BY_HAND = ROOT / "examples" / "peers"
SEED = 0
BATCHES = (1, 32)


@dataclass(frozen=True)
class Artifact:
    """A file made of the baseline, and how long that took."""

    path: Path
    took: Took


@dataclass(frozen=True)
class Measured:
    """An artifact against its baseline: times smaller, times faster by batch size, the metric and its difference."""

    smaller: float
    faster: dict[int, float]
    metric: float
    change: float

    @property
    def speeds(self) -> str:
        return " / ".join(f"{value:.2f}×" for value in self.faster.values())

    @property
    def points(self) -> str:
        """The metric and what it lost, in percent and points."""
        return f"{self.metric:.2%} ({self.change * 100:+.2f})"

    def at_least(self, smaller: float, *faster: float) -> bool:
        return self.smaller >= smaller and all(
            value >= wanted for value, wanted in zip(self.faster.values(), faster, strict=True)
        )


def command(*arguments: object) -> tuple[str, Took]:
    """Run Python with these arguments in the repository.

    Raises:
        RuntimeError: with the end of what it said, if it fails.
    """
    began, used = time.monotonic(), _processor_seconds()
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    took = Took(time.monotonic() - began, _processor_seconds() - used)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-600:])
    return done.stdout, took


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def recipe(name: str, model: Path, data: Path, folder: Path, *, contract: Path | None = None) -> Artifact:
    """Apply a recipe of ``examples/recipes`` with the engine's own command."""
    out = folder / name
    stated = ("--contract", contract) if contract else ()
    arguments = (
        "-m", "workers", "run", "--model", model, "--data", data, "--recipe", RECIPES / f"{name}.yaml",
        "--out", out, "--cache", folder / "cache", "--seed", SEED, "--quick", *stated,
    )  # fmt: skip
    return _made(out / "model.onnx", arguments, source=RECIPES / f"{name}.yaml")


def by_hand(script: str, *arguments: object, out: Path) -> Artifact:
    """Run one of ``examples/peers``, which do the same with a peer's library and nothing of ours."""
    source = BY_HAND / f"{script}.py"
    return _made(out, (source, *arguments, out), source=source)


def _made(out: Path, arguments: tuple[object, ...], *, source: Path) -> Artifact:
    """Run a command that writes ``out``, unless it did so before from the same source; how long it took then."""
    note = out.with_suffix(".took.json")
    made_of = {"source": source.read_text(), "arguments": [str(each) for each in arguments]}
    if out.exists() and note.exists():
        before = json.loads(note.read_text())
        if before["made_of"] == made_of:
            return Artifact(out, Took(**before["took"]))
    _, took = command(*arguments)
    note.write_text(json.dumps({"made_of": made_of, "took": asdict(took)}))
    return Artifact(out, took)


class Rig:
    """One baseline, one dataset and the contract between them, as the engine settled it in a run before."""

    def __init__(self, baseline: Path, data: Path, run: Path) -> None:
        from workers.contract import Contract

        self.baseline = baseline
        self.contract: Contract = Contract.model_validate(json.loads((run / "manifest.json").read_text())["contract"])
        self.data = _opened(data, self.contract, run)
        self.before = self.answers(baseline)

    def answers(self, path: Path) -> Predictions:
        """What a network says about the test rows."""
        from workers import evaluation
        from workers.facts import Role

        return evaluation.predict(evaluation.open_session(path, threads=1), self.data, Role.TEST)

    def measure(
        self, path: Path, metric: str, *, batches: tuple[int, ...] = BATCHES, decoding: bool = False
    ) -> Measured:
        """Size, speed and a metric of an artifact against the baseline.

        Args:
            decoding: time one new token after earlier ones whose keys and values are kept, not a whole window.
        """
        from workers import evaluation
        from workers.facts import Role

        after = self.answers(path)
        sample = dict(next(iter(self.data.batches(Role.TEST, size=1))).inputs)
        files, samples = (self.baseline, path), (sample, sample)
        if decoding:
            made = tuple(self._decoder(file, sample) for file in files)
            files, samples = (made[0].file, made[1].file), (made[0].sample, made[1].sample)
        study = evaluation.study_latency(
            *files, samples[0], result_sample=samples[1], batches=batches, threads=1, seed=SEED, quick=True
        )
        return Measured(
            smaller=self.baseline.stat().st_size / path.stat().st_size,
            faster={batch: study.speedup[str(batch)].value for batch in batches},
            metric=evaluation.score(after, self.contract, seed=SEED)[metric].value,
            change=evaluation.compare(self.before, after, self.contract, seed=SEED)[metric].value,
        )

    def _decoder(self, file: Path, sample: dict[str, np.ndarray]) -> Decoder:
        from workers.evaluation.decoding import decoder
        from workers.ticket import DECODER_FILE

        derived = file.with_name(f"{file.stem}-decodes") / DECODER_FILE
        return decoder(file, sample, self.contract, file=derived, threads=1)


def _opened(data: Path, contract: Contract, run: Path) -> Data:
    from workers import datasets
    from workers.ticket import DataOptions

    return datasets.open_data(data, options=DataOptions(), contract=contract, seed=SEED, companions=run)


def converted(folder: Path) -> Path:
    """The ONNX file the engine made of a network in another form, in the cache of a run before."""
    from workers import formats

    kept = next(path for path in sorted((folder / "cache" / "converted").glob("*/model.*")) if path.stat().st_size)
    return formats.as_file(kept, folder / "baseline")
