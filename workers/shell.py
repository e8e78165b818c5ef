"""The command line's side of a job: the same foreman and the same children as on a worker, files instead of a store."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workers import bundle, intake
from workers.alone import Alone
from workers.contract import Contract
from workers.delivery import sha256
from workers.device import host, profile
from workers.emulation import emulator
from workers.errors import OursToFix, Problem, YoursToFix
from workers.events import (
    EVENT,
    DatasetInspected,
    Evaluated,
    Event,
    Finished,
    Log,
    ModelInspected,
    Progress,
    SensitivityMeasured,
    StepFinished,
    TrialMeasured,
)
from workers.facts import ModelFacts
from workers.foreman import Foreman
from workers.intake.companions import pack
from workers.recipe import Recipe
from workers.report import Loss, Sensitivity
from workers.sandbox import Nursery
from workers.store import StepCache
from workers.ticket import CONVERTED_FILES, Blob, DataOptions, Kind, Ticket

CACHE_BYTES = 10 << 30
TABLES = (".npz", ".csv", ".parquet", ".jsonl", ".txt")


class Folder:
    """Stands in for a store: inputs stay where they are, results are copied into one folder."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def fetch(self, blob: Blob, into: Path) -> Path:
        return Path(blob.key)

    def keep(self, path: Path, *, name: str) -> Blob:
        if name == bundle.BUNDLE_FILE:  # the folder itself is the bundle
            return Blob(key=str(path), name=name, sha256=sha256(path), size_bytes=path.stat().st_size)
        kept = Path(shutil.copyfile(path, self.out / name))
        return Blob(key=str(kept), name=name, sha256=sha256(kept), size_bytes=kept.stat().st_size)


class Shell:
    """Runs one ticket for a person at a terminal; events go to ``events.jsonl`` and, in short, to stderr."""

    def __init__(self, options: argparse.Namespace, *, cache: Path) -> None:
        self.options = options
        self.out: Path = options.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.folder = cache.resolve()
        self.cache = StepCache(self.folder, limit_bytes=CACHE_BYTES)
        self.heard: list[Event] = []

    def run(self, recipe: Recipe, others: Mapping[str, Path]) -> int:
        """Apply a recipe; leaves the artifact, the report, the manifest and the sample script in the folder.

        Args:
            others: where the other networks lie that the recipe names.
        """
        if (unfit := self._convert()) is not None:
            return self._complain(unfit)
        blobs = {}
        for name, path in others.items():
            found = self._as_onnx(path)
            if isinstance(found, Finished):
                return self._complain(found)
            blobs[name] = _blob(found).model_copy(update={"name": path.name})
        ticket = self._ticket(Kind.COMPRESS, recipe).model_copy(update={"others": blobs})
        finished = self._carry_out(ticket)
        if finished.outcome != "succeeded":
            return self._complain(finished)
        bundle.add_run_script(self.out)
        report = json.loads((self.out / "report.json").read_text())
        word = report["verdict"]["word"] or "not measured"
        print(f"{word}: {' '.join(report['verdict']['reasons'])}")
        return 0

    def evaluate(self) -> int:
        """Measure one model and print the figures as JSON."""
        if (unfit := self._convert()) is not None:
            return self._complain(unfit)
        finished = self._carry_out(self._ticket(Kind.EVALUATE, None))
        for event in self.heard:
            if isinstance(event, Evaluated):
                print(
                    json.dumps(
                        event.measured.model_dump(mode="json")
                        | {"environment": event.environment.model_dump(mode="json")},
                        indent=1,
                    )
                )
        return self._complain(finished)

    def sensitivity(self, recipe: Recipe) -> int:
        """Measure each layer alone and print what was found, as JSON or as a table in graph order."""
        if (unfit := self._convert()) is not None:
            return self._complain(unfit)
        finished = self._carry_out(self._ticket(Kind.SENSITIVITY, recipe))
        for event in self.heard:
            if isinstance(event, SensitivityMeasured):
                self._print_sensitivity(event.sensitivity, recipe)
        return self._complain(finished)

    def _print_sensitivity(self, found: Sensitivity, recipe: Recipe) -> None:
        step = recipe.steps[0].model_copy(update={"excluded": found.excluded}).model_dump(mode="json")
        if self.options.json:
            print(json.dumps({**found.model_dump(mode="json"), "recipe": {"steps": [step]}}, indent=1))
            return
        print(f"{found.unit} of {found.metric} lost on {found.rows} validation rows")
        for layer in found.layers:
            said = _loss(layer.loss) if layer.treated else "not treated"
            group = f"  with {layer.together - 1} neighbours" if layer.together > 1 else ""
            print(f"{layer.name:40} {said:30} {layer.distance:.4f}{group}")
        print(f"{'every layer':40} {_loss(found.everything)}")
        for one in found.calibration:
            print(f"{f'{one.samples} calibration rows':40} {_loss(one.loss)}")
        print(f"exclude: {', '.join(found.excluded) or 'none'}")

    def inspect(self, path: Path) -> int:
        """Print the facts of a model, with the guessed contract, or of a dataset."""
        path = self._packed(path)
        setattr(self.options, "data" if is_dataset(path) else "model", path)
        finished = self._carry_out(self._ticket(Kind.INSPECT, None))
        for event in self.heard:
            if isinstance(event, ModelInspected | DatasetInspected):
                self._print(event)
        return self._complain(finished)

    def facts(self, path: Path) -> ModelFacts:
        """What a network is, read in a child.

        Raises:
            EngineError: the problem that the child reported.
        """
        self.options.model = self._packed(path)
        finished = self._carry_out(self._ticket(Kind.INSPECT, None))
        for event in self.heard:
            if isinstance(event, ModelInspected):
                return event.facts
        problem = finished.problem or Problem(fault="ours", code="inspect.silent", message="Nothing was reported.")
        fault = YoursToFix if problem.fault == "yours" else OursToFix
        raise fault(problem.message, hint=problem.hint, code=problem.code)

    def _convert(self) -> Finished | None:
        """Bring the job's network into ONNX; how it ended where it did not work."""
        found = self._as_onnx(self.options.model)
        if isinstance(found, Finished):
            return found
        self.options.model = found
        return None

    def _as_onnx(self, path: Path) -> Path | Finished:
        """A network in ONNX, one of another form converted once for each file; how it ended where it did not work."""
        path = self._packed(path)
        if intake.form_of(path) is None:
            return path
        kept = self.folder / "converted" / sha256(path)[:32]
        if not kept.exists():
            unfinished = kept.with_name(f"{kept.name}.part")
            unfinished.mkdir(parents=True, exist_ok=True)
            ticket = Ticket(job="shell", kind=Kind.INSPECT, attempt=1, team="shell", model=_blob(path))
            finished = self._carry_out(ticket, into=unfinished)
            if finished.outcome != "succeeded":
                return finished
            unfinished.rename(kept)
        return next(kept / name for name in CONVERTED_FILES if (kept / name).exists())

    def _packed(self, path: Path) -> Path:
        """A folder as the zip in which it would be uploaded; links are followed, as people keep caches of them."""
        if not path.is_dir():
            return path
        packed = self.folder / "packed" / f"{path.resolve().name}.zip"
        packed.parent.mkdir(parents=True, exist_ok=True)
        files = {str(item.relative_to(path)): item for item in sorted(path.rglob("*")) if item.is_file()}
        visible = {name: item for name, item in files.items() if not any(part[0] == "." for part in Path(name).parts)}
        return pack(packed, visible)

    def _print(self, event: ModelInspected | DatasetInspected) -> None:
        said = event.model_dump(mode="json", exclude={"type"})
        if self.options.json:
            print(json.dumps(said, indent=1))
            return
        facts = said["facts"]
        for name in (
            "format",
            "converted_from",
            "size_bytes",
            "params",
            "macs",
            "opset",
            "inputs",
            "outputs",
            "target",
            "roles",
            "warnings",
        ):
            if name in facts:
                print(f"{name:12} {facts[name]}")

    def _ticket(self, kind: Kind, recipe: Recipe | None) -> Ticket:
        options = self.options
        profile(options.device)
        contract = Contract.model_validate_json(options.contract.read_text()) if options.contract else None
        return Ticket(
            job="shell",
            kind=kind,
            attempt=1,
            team="shell",
            model=_blob(options.model) if options.model else None,
            data=_blob(options.data) if options.data else None,
            options=DataOptions(target=options.target),
            contract=contract,
            recipe=recipe,
            device=options.device,
            seed=options.seed,
        )

    def _carry_out(self, ticket: Ticket, into: Path | None = None) -> Finished:
        cores = host().cores
        with tempfile.TemporaryDirectory(prefix="workers-") as scratch, Nursery(spare=False) as nursery:
            foreman = Foreman(
                store=Folder(into or self.out),
                cache=self.cache,
                nursery=nursery,
                alone=Alone(Path(tempfile.gettempdir()) / "workers-alone"),
                folder=Path(scratch).resolve(),
                threads=cores,
                cores=cores,
                quick=self.options.quick,
                aarch64=emulator.prepared(os.environ),
            )
            with (self.out / "events.jsonl").open("w") as file:

                def emit(event: Event) -> None:
                    self.heard.append(event)
                    file.write(EVENT.dump_json(event).decode() + "\n")
                    file.flush()
                    _narrate(event)

                finished = foreman.carry_out(ticket, emit=emit, should_stop=lambda: "")
                emit(finished)
        return finished

    def _complain(self, finished: Finished) -> int:
        if finished.outcome == "succeeded":
            return 0
        return complain(
            finished.problem or Problem(fault="ours", code="engine.lost", message="The child was killed from outside.")
        )


def complain(problem: Problem) -> int:
    """Say a problem on stderr in one line; returns the exit status its fault asks for."""
    print(" ".join(part for part in (problem.message, problem.hint) if part).replace("\n", " "), file=sys.stderr)
    return 2 if problem.fault == "yours" else 1


def _loss(loss: Loss) -> str:
    return "no figure" if loss.points is None else f"{loss.points:7.2f}  ({loss.low:.2f} to {loss.high:.2f})"


def is_dataset(path: Path) -> bool:
    """Whether to read a file as a dataset: by its ending, and for a zip by whether no network lies in it."""
    import zipfile

    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            members = opened.infolist()[:10_000]
        if intake.form_of_members(members) is not None:
            return False
        return not any(member.filename.lower().endswith(".onnx") for member in members)
    return path.suffix.lower() in TABLES


def _blob(path: Path) -> Blob:
    if not path.is_file():
        raise YoursToFix(
            f"Expected a file, found a folder at {path}.",
            hint="Name the file itself, or zip the folder.",
            code="file.folder",
        )
    path = path.resolve()
    return Blob(key=str(path), name=path.name, sha256=sha256(path), size_bytes=path.stat().st_size)


def _narrate(event: Event) -> None:
    """One short line for a person who watches the terminal."""
    if isinstance(event, Log):
        print(event.text, file=sys.stderr)
    elif isinstance(event, TrialMeasured):
        print(f"{event.name}: {_loss(event.loss).strip()}", file=sys.stderr)
    elif isinstance(event, Progress) and event.done == event.total:
        print(f"step {event.step + 1}: {event.text or 'done'}", file=sys.stderr)
    elif isinstance(event, StepFinished):
        where = "from cache" if event.cached else f"{event.seconds:.1f} s"
        print(f"step {event.step + 1}: {event.technique}, {where}", file=sys.stderr)
