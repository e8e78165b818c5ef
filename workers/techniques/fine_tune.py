"""Fine-tune: train the network further, so that it recovers what earlier steps cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.contract import Task
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.technique import About, Family, Fit, Forecast, Need, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.training.school import Weights
    from workers.workbench import Workbench


class FineTune(Technique):
    """Train the network further, so that it recovers what earlier steps cost.

    It learns from the labels, from the answers of the job's untouched baseline (which are computed once),
    or from both. After each epoch it is examined on validation data; the best network is kept, which is
    the one that came in if no epoch was better. Weights that are zero stay zero, so a pruned network stays pruned.

    Batch normalisation is often folded into the layers when a network is exported; such networks
    train as well, at a low learning rate.
    """

    about: ClassVar = About(
        title="Fine-tune",
        family=Family.RECOVERY,
        needs=frozenset({Need.TRAINING}),
        source=(
            "Han et al. 2015, arXiv:1506.02626, section 3 (retraining after pruning); "
            "Hinton et al. 2015, arXiv:1503.02531 (learning from a teacher); Loshchilov & Hutter 2019, arXiv:1711.05101"
        ),
    )
    technique: Literal["fine-tune"]
    learn_from: Literal["both", "labels", "baseline"] = Field(
        "both",
        title="Learn from",
        description="Labels, the answers of the untouched baseline, or both; without labels, the baseline.",
    )
    epochs: int = Field(
        5,
        ge=1,
        le=500,
        title="Epochs",
        description="Passes over the training rows, at most.",
        json_schema_extra={"unit": "epochs", "step": 1},
    )
    learning_rate: float = Field(
        0.001,
        gt=0,
        le=1,
        title="Learning rate",
        description="The highest size of a training step.",
        json_schema_extra={"unit": "", "step": 0.0001},
    )
    schedule: Literal["cosine", "one-cycle", "constant"] = Field(
        "cosine",
        title="Schedule",
        description="How the learning rate moves: falls along a cosine, rises and falls, or stays.",
    )
    batch: int = Field(
        64,
        ge=2,
        le=4096,
        title="Batch",
        description="Rows in one training step.",
        json_schema_extra={"unit": "rows", "step": 16},
    )
    weight_decay: float = Field(
        0.0001,
        ge=0,
        lt=1,
        title="Weight decay",
        description="How strongly weights are pulled to zero.",
        json_schema_extra={"unit": "", "step": 0.0001},
    )
    teacher_weight: float = Field(
        0.7,
        gt=0,
        lt=1,
        title="Weight of the baseline",
        description="How much the baseline's answers count beside the labels.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    temperature: float = Field(
        2.0,
        ge=1,
        le=20,
        title="Temperature",
        description="Over 1, the baseline's small probabilities count more; for classification.",
        json_schema_extra={"unit": "", "step": 0.5},
    )
    patience: int = Field(
        5,
        ge=0,
        le=100,
        title="Patience",
        description="Stops after this many epochs without a better exam; 0 never stops early.",
        json_schema_extra={"unit": "epochs", "step": 1},
    )
    keep_zeros: bool = Field(True, title="Keep zeros", description="Weights that are zero stay zero.")
    rows: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title="Training rows",
        description="Use the first rows only; 0 uses all.",
        json_schema_extra={"unit": "rows", "step": 1000},
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is quantized: fine-tune before that step.")
        if data is not None and (Role.TRAIN not in data.roles or not data.roles[Role.TRAIN].rows):
            return Fit(word="does-not-fit", reason="The dataset has no training rows.")
        if data is not None and self.learn_from == "labels" and data.target.kind == "none":
            return Fit(word="does-not-fit", reason="The dataset has no labels: learn from the baseline.")
        return Fit(word="fits", reason="Recovers what earlier steps cost; whether all layers can train shows at start.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_training(
            facts,
            epochs=self.epochs,
            rows=self.rows or None,
            teacher=self.learn_from != "labels",
            result_bytes=forecasts.about_the_same_bytes(facts),
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training

        module = training.trainable(model, self.about.title, bench)
        teacher = bench.baseline if bench.baseline is not None else model
        school = training.School(bench, self._weights(bench), teacher, self.rows or None)
        plan = training.Plan(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            patience=self.patience,
            keep_zeros=self.keep_zeros,
        )
        trained = training.train(module, school, plan, bench)
        gain = "" if trained.epoch else " No epoch was better: the network is as it came."
        bench.log(
            f"{school.exam_name} on validation data: {trained.before:.4f} before, "
            f"{trained.best:.4f} after epoch {trained.epoch}.{gain}"
        )
        return training.written(module, model) if trained.epoch else model

    def _weights(self, bench: Workbench) -> Weights:
        from workers.training.school import Weights

        labelled = bench.data is not None and bench.data.facts.target.kind != "none"
        supervised = labelled and bench.contract.task in (Task.CLASSIFICATION, Task.REGRESSION)
        if self.learn_from == "labels":
            return Weights(labels=1.0, teacher=0.0)
        if self.learn_from == "baseline" or not supervised:
            return Weights(labels=0.0, teacher=1.0, temperature=self.temperature)
        return Weights(labels=1 - self.teacher_weight, teacher=self.teacher_weight, temperature=self.temperature)
