"""Iterative pruning: a little goes, the network recovers, and again, until a target is met."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from workers import forecasts
from workers.contract import Task
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.graph.operators import HEAVY
from workers.steps.training import Epochs, RecoveryStep
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    from torch import fx

    from workers.evaluation.drop import Yardstick
    from workers.evaluation.sessions import Feed
    from workers.model import LoadedModel
    from workers.training.rounds import Cutter
    from workers.training.school import School
    from workers.workbench import Workbench


class IterativePruning(RecoveryStep):
    """Prune a little, train, and again, until a target is met or too much is lost.

    Every round takes a share of what is left out of the network, trains it and measures it on validation data. The
    step ends as soon as the network is as small or as fast as asked for. It also ends when a round loses more than the
    limit: then the network of the round before is the result, and the log says how near to the target that came.

    Rounds bear much more pruning than one cut with one training. Weights alone neither shrink the file nor save time on
    this runtime, so they can only be pruned up to the limit on the loss.
    """

    about: ClassVar = About(
        title="Iterative pruning",
        family=Family.PRUNING,
        needs=frozenset({Need.TRAINING}),
        source=(
            "Han et al. 2015, arXiv:1506.02626, section 3.4 (rounds); Molchanov et al. 2017, arXiv:1611.06440; "
            "Fang et al. 2023, arXiv:2301.12900 (channels); Michel et al. 2019, arXiv:1905.10650 (heads)"
        ),
        version=2,
    )
    technique: Literal["iterative-pruning"]
    what: Literal["channels", "transformer", "weights"] = Field(
        "channels",
        title="What goes",
        description="Channels of convolutions and layers, heads and neurons of transformers, or single weights.",
    )
    until: Literal["macs", "size", "latency", "drop"] = Field(
        "macs",
        title="Until",
        description=(
            "What is left of the multiplications (MACs), of the file or of the measured latency of the untouched "
            "baseline meets the goal below; or, with drop, the limit on the loss is met."
        ),
    )
    goal: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Goal",
        description="The share of MACs, file size or latency that may be left.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    max_drop: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Largest drop",
        description="What a round may have lost on validation data against the baseline, in points.",
        json_schema_extra={"unit": "points", "step": 0.1},
    )
    share: float = Field(
        0.15,
        ge=0.01,
        le=0.8,
        title="Removed in a round",
        description="Share of what is left that goes each time.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    rounds: int = Field(
        8,
        ge=1,
        le=100,
        title="Rounds",
        description="How often, at most.",
        json_schema_extra={"unit": "rounds", "step": 1},
    )
    criterion: Literal["l1", "l2", "taylor", "geometric-median"] = Field(
        "l2",
        title="Criterion",
        description="What makes a channel, head or neuron expendable; of single weights the smallest go.",
    )
    multiple: int = Field(
        4,
        ge=1,
        le=256,
        title="Multiples",
        description="Widths are kept to multiples of this, which kernels run best.",
        json_schema_extra={"unit": "channels", "step": 1},
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left alone",
        description="Names of layers that stay as they are.",
    )
    epochs: Epochs = 3

    @model_validator(mode="after")
    def _zeros_save_neither_room_nor_time(self) -> Self:
        if self.what == "weights" and self.until != "drop":
            raise ValueError(
                f"expected until=drop for single weights, found {self.until}: zeros leave {self.until} as it was"
            )
        return self

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        untrainable = self.cannot_train(model, data)
        if untrainable is not None:
            return untrainable
        if data is not None and not data.rows(Role.VALIDATION):
            return Fit(word="does-not-fit", reason="The dataset has no validation rows to hold the limit on.")
        if sum(layer.op in HEAVY and layer.params > 0 for layer in model.layers) < 2:
            return Fit(word="does-not-fit", reason="The network has no layer between its first and its last.")
        if self.what == "weights":
            return Fit(
                word="smaller-only", reason="Zeros pay in a compressed file only; this runtime computes with them."
            )
        return Fit(word="fits", reason="Rounds of pruning and training bear more than one cut, and take their time.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        least = 0.05 * facts.size_bytes if self.what != "weights" else 0.9 * facts.size_bytes
        size = Span(
            value=max(least, facts.size_bytes * (self.goal if self.what != "weights" else 1.0)),
            low=least,
            high=1.1 * facts.size_bytes + 10_000,
        )
        return forecasts.of_training(
            facts,
            epochs=self.epochs * self.rounds * 0.7,  # networks become smaller on the way
            rows=self.rows or None,
            teacher=self.has_teacher,
            result_bytes=size,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training
        from workers.evaluation.drop import Yardstick
        from workers.graph import surgery
        from workers.training import rounds, samples

        left = surgery.known_layers(model.proto, self.excluded)
        module = training.trainable(model, self.about.title, bench)
        knife = rounds.Knife(self.what, self.criterion, self.share, self.multiple, left)
        work = _Work(
            step=self,
            model=model,
            bench=bench,
            cutter=rounds.Cutter(module, model, samples.example(bench), knife, bench),
            school=self.school(model, bench),
            yardstick=Yardstick((bench.baseline or model).proto, bench),
        )
        return work.run(module)


@dataclass
class _Work:
    """The rounds of one step."""

    step: IterativePruning
    model: LoadedModel
    bench: Workbench
    cutter: Cutter
    school: School
    yardstick: Yardstick

    def run(self, module: fx.GraphModule) -> LoadedModel:
        good, left = self.model, self._left(self.model)
        for number in range(1, self.step.rounds + 1):
            if left is not None and left <= self.step.goal:
                break
            pruned = self.cutter.narrower(module)
            if pruned is None and number == 1:
                raise _nothing()
            if pruned is None:
                self.bench.log("Nothing more can go.")
                break
            module = self._trained(pruned, number)
            made, drop = self._written(module)
            now = self._left(made)
            self._tell(number, made, drop, now)
            if drop > self.step.max_drop:
                break
            good, left = made, now
        return self._ended(good, left)

    def _trained(self, module: fx.GraphModule, number: int) -> fx.GraphModule:
        from workers import training

        bench = self.bench.part((number - 1) / self.step.rounds, number / self.step.rounds)
        training.train(module, self.school, self.step.plan(keep_zeros=True), bench, name=f"round {number}: ")
        return module

    def _written(self, module: fx.GraphModule) -> tuple[LoadedModel, float]:
        from workers import training

        made = training.written(module, self.model)
        return made, self.yardstick.drop(made.proto)

    def _left(self, made: LoadedModel) -> float | None:
        """The share of MACs, size or latency of the baseline that is left; None where only the loss counts."""
        from workers import formats

        whole = (self.bench.baseline or self.model).proto
        if self.step.until == "size":
            return float(made.proto.ByteSize() / whole.ByteSize())
        if self.step.until == "latency":
            return self._latency(made)
        if self.step.until == "drop":
            return None
        macs = formats.facts(whole).macs
        if not macs:
            raise YoursToFix(
                "Expected a network whose multiplications can be counted, found one whose shapes are not known.",
                hint="Prune until a size or a latency instead, or export the model with fixed shapes inside.",
                code="pruning.no-macs",
            )
        return formats.facts(made.proto).macs / macs

    def _latency(self, made: LoadedModel) -> float:
        """Latency at batch 1 as a part of the baseline's, both measured in turn, as reports measure it."""
        from workers.evaluation.latency import study_latency

        bench = self.bench
        with TemporaryDirectory(dir=bench.scratch) as folder:
            whole, pruned = Path(folder) / "whole.onnx", Path(folder) / "pruned.onnx"
            whole.write_bytes((bench.baseline or self.model).proto.SerializeToString())
            pruned.write_bytes(made.proto.SerializeToString())
            (before, sample), (after, other) = self._timed(whole, pruned)
            study = study_latency(
                before, after, sample, result_sample=other, batches=(1,), threads=bench.threads, seed=bench.seed,
                quick=True,
            )  # fmt: skip
        return 1 / study.speedup["1"].value

    def _timed(self, whole: Path, pruned: Path) -> tuple[tuple[Path, Feed], tuple[Path, Feed]]:
        """What is timed of both: of a language model that can keep keys and values the next token."""
        from workers.evaluation.decoding import DoesNotDecode, decoders

        bench = self.bench
        sample = dict(next(iter(bench.batches(Role.VALIDATION, size=1, limit=1))).inputs)
        if bench.contract.task is Task.CAUSAL_LM:
            try:
                made = decoders(whole, pruned, sample, bench.contract, folder=whole.parent, threads=bench.threads)
            except DoesNotDecode as fault:
                bench.log(f"Latency is that of whole windows, not of single tokens. {fault.message}")
            else:
                return (made[0].file, made[0].sample), (made[1].file, made[1].sample)
        return (whole, sample), (pruned, sample)

    def _tell(self, number: int, made: LoadedModel, drop: float, left: float | None) -> None:
        self.bench.point("points lost by round", x=number, y=drop)
        share = "" if left is None else f", {left:.1%} of {self._words()} left"
        if left is not None:
            self.bench.point(f"{self._words()} left by round", x=number, y=left)
        zeros = f", {_zeros(made):.1%} of the weights zero" if self.step.what == "weights" else ""
        self.bench.log(
            f"Round {number}: {drop:.2f} points of {self.yardstick.name} lost on validation data{share}{zeros}."
        )

    def _ended(self, good: LoadedModel, left: float | None) -> LoadedModel:
        """The last good network, after saying whether it is what was asked for."""
        if good is self.model:
            self.bench.log(
                f"The first round lost more than {self.step.max_drop:g} points: the network is as it came.",
                level="warning",
            )
        elif left is not None and left > self.step.goal:
            self.bench.log(
                f"The goal of {self.step.goal:.0%} was not met: {left:.1%} of {self._words()} is left in the last "
                f"network that lost at most {self.step.max_drop:g} points.",
                level="warning",
            )
        self.bench.progress(1, 1, "Kept the last good network")
        return good

    def _words(self) -> str:
        return {"macs": "MACs", "size": "the file", "latency": "the latency", "drop": ""}[self.step.until]


def _nothing() -> Exception:
    return YoursToFix(
        "Expected something that can go in rounds, found nothing.",
        hint="Prune single weights, remove more in a round, or allow smaller multiples.",
        code="pruning.nothing-to-prune",
    )


def _zeros(model: LoadedModel) -> float:
    """The share of zeros among the weights of two or more axes."""
    from onnx import numpy_helper

    weights = [numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer if len(tensor.dims) >= 2]
    return sum(int((weight == 0).sum()) for weight in weights) / max(sum(weight.size for weight in weights), 1)
