"""What every kind of order needs while a child carries it out."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workers import alike, datasets, evaluation, formats, intake, scaling
from workers.contract import Contract
from workers.device import profile
from workers.errors import Stopped, YoursToFix
from workers.evaluation.predictions import Predictions
from workers.events import Event, Log
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph import borders
from workers.intake.companions import TOKENIZER_FILE
from workers.model import LoadedModel
from workers.recipe import Recipe
from workers.report import Checkpoint, Interval
from workers.ticket import CHECKPOINT_FILE, CONTRACT_FILE, Order
from workers.workbench import Data, Workbench

if TYPE_CHECKING:
    import onnx

T = TypeVar("T")


@dataclass(frozen=True)
class Beside:
    """The networks a step may use beside the one it gets: the job's untouched one, and those that the recipe names."""

    baseline: LoadedModel
    others: Mapping[str, LoadedModel] = field(default_factory=dict)


@dataclass(frozen=True)
class Shop:
    """An order with the ways to the parent: events up, the wish to stop down, and the right to be alone."""

    order: Order
    emit: Callable[[Event], None]
    alone: Callable[[], AbstractContextManager[None]]
    should_stop: Callable[[], bool]

    @cached_property
    def model(self) -> Path:
        """The network as a file the runtime can open; one that came in a zip is written out first."""
        return formats.as_file(Path(given(self.order.model, "model")), Path("scratch") / "unpacked")

    @cached_property
    def companions(self) -> Path:
        """The folder with what travels beside the network, such as its tokenizer."""
        folder = Path("scratch") / "companions"
        intake.unpack(Path(given(self.order.model, "model")), folder)
        return folder

    @property
    def recipe(self) -> Recipe:
        return given(self.order.recipe, "recipe")

    def check(self) -> None:
        """Raise ``Stopped`` if somebody asked the work to stop."""
        if self.should_stop():
            raise Stopped()

    def log(self, text: str, *, level: str = "info", step: int | None = None) -> None:
        self.emit(Log(text=text[:2000], level=level, step=step))  # type: ignore[arg-type]

    def open(self) -> tuple[LoadedModel, Data]:
        """Load the network and open the data under the contract given, or under the one guessed from both."""
        where = Path(given(self.order.data, "dataset"))
        proto, facts = formats.inspect(self.model)
        contract = self.order.contract or self._settled() or self._guess(proto, facts, where)
        (Path("out") / CONTRACT_FILE).write_text(contract.model_dump_json())
        data = datasets.open_data(
            where, options=self.order.options, contract=contract, seed=self.order.seed, companions=self.companions
        )
        return LoadedModel(proto=proto, contract=contract), data

    def others(self, job: LoadedModel, data: Data) -> dict[str, LoadedModel]:
        """The networks that steps go on with, by the recipe's names, made to be fed and read like that of the job.

        Raises:
            YoursToFix: if one is missing, or takes or answers anything else.
        """
        named = {name: given(self.order.others.get(name), "file of the student") for name in self.recipe.other_models}
        return {name: self._other(Path(path), place, job, data) for place, (name, path) in enumerate(named.items())}

    def _other(self, path: Path, place: int, job: LoadedModel, data: Data) -> LoadedModel:
        proto, facts = formats.inspect(path)
        ours, name = formats.facts(job.proto), path.name
        alike.see_borders_match(ours, facts, name=name)
        folder = Path("scratch") / "others" / str(place)
        intake.unpack(path, folder)
        alike.see_vocabularies_match(_vocabulary(self.companions), _vocabulary(folder), name=name)
        if self.order.contract is None:  # else people confirmed both contracts, and those were compared
            guessed = formats.guess_contract(proto, facts, data.facts)
            alike.see_outputs_match(job.contract.outputs, guessed.outputs, name=name)
            alike.see_texts_match(job.contract, guessed, name=name)
        inputs = alike.paired(ours.inputs, facts.inputs, name=name, what="inputs")
        outputs = alike.paired(ours.outputs, facts.outputs, name=name, what="outputs")
        ends = [[(was.name, now.name) for was, now in pairs] for pairs in (inputs, outputs)]
        return LoadedModel(proto=borders.in_place_of(proto, job.proto, *ends), contract=job.contract)

    def _settled(self) -> Contract | None:
        """The contract that the process before this one guessed, for the judge to judge under the same one."""
        path = Path("out") / CONTRACT_FILE
        return Contract.model_validate_json(path.read_text()) if self.order.kind == "judge" and path.exists() else None

    def _guess(self, proto: "onnx.ModelProto", facts: ModelFacts, where: Path) -> Contract:
        order = self.order
        first = formats.guess_contract(proto, facts, datasets.inspect(where, options=order.options))
        session = evaluation.open_session(self.model, threads=order.threads)
        settled, said = scaling.settle(session, first, where, options=order.options, seed=order.seed, check=self.check)
        if said:
            self.log(said)
        return settled

    def predict(self, path: Path, data: Data, role: Role) -> Predictions:
        """Run a network on every row of a role."""
        session = evaluation.open_session(path, threads=self.order.threads)
        return evaluation.predict(session, data, role, check=self.check)

    def bench(self, model: LoadedModel, data: Data, position: int, beside: Beside) -> Workbench:
        """What the step at a position may use."""
        scratch = Path("scratch") / str(position)
        scratch.mkdir(parents=True, exist_ok=True)
        return Workbench(
            data=data,
            contract=model.contract,
            device=profile(self.order.device),
            seed=self.order.seed,
            threads=self.order.threads,
            scratch=scratch,
            step=position,
            emit=self.emit,
            should_stop=self.should_stop,
            baseline=beside.baseline,
            others=beside.others,
        )

    def score(self, predictions: Predictions, contract: Contract) -> dict[str, Interval]:
        return evaluation.score(predictions, contract, seed=self.order.seed)


def given(value: T | None, what: str) -> T:
    """The value, or an error that names what the order lacks."""
    if value is None:
        raise YoursToFix(f"Expected a {what}, found none.", hint=f"Give a {what}.", code="order.incomplete")
    return value


def _vocabulary(companions: Path) -> dict[str, int] | list[Any] | None:
    """Which number a tokenizer gives each token; None where there is no tokenizer."""
    path = companions / TOKENIZER_FILE
    return json.loads(path.read_bytes()).get("model", {}).get("vocab") if path.exists() else None


def rows(facts: DatasetFacts, role: Role) -> int:
    """How many rows a role holds; 0 where the dataset has no such role."""
    return facts.roles[role].rows if role in facts.roles else 0


@dataclass(frozen=True)
class StepNotes:
    """What a finished step wrote down beside its network."""

    checkpoint: Checkpoint
    notes: tuple[str, ...]
    seconds: float
    says: str = ""

    def write(self, folder: Path) -> None:
        said = asdict(self) | {"checkpoint": self.checkpoint.model_dump(mode="json")}
        (folder / CHECKPOINT_FILE).write_text(json.dumps(said))

    @classmethod
    def read(cls, folder: Path) -> "StepNotes":
        said = json.loads((folder / CHECKPOINT_FILE).read_text())
        checkpoint = Checkpoint.model_validate(said["checkpoint"])
        return cls(checkpoint, tuple(said["notes"]), float(said["seconds"]), said["says"])


def step_folder(position: int) -> Path:
    return Path("steps") / str(position)
