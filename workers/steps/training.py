"""What every step that trains has: how long, how fast, and whom it learns from. Loads no tensor library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from workers.contract import Task
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.technique import Fit, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.training.loop import Plan
    from workers.training.school import School, Weights
    from workers.workbench import Workbench

LearnFrom: TypeAlias = Annotated[
    Literal["both", "labels", "baseline"],
    Field(
        title="Learn from",
        description=(
            "Labels, the answers of the untouched baseline, or both; without labels, the baseline. "
            "A language model learns from its text alone."
        ),
    ),
]
Epochs: TypeAlias = Annotated[
    int,
    Field(
        ge=1,
        le=500,
        title="Epochs",
        description="Passes over the training rows, at most.",
        json_schema_extra={"unit": "epochs", "step": 1},
    ),
]
LearningRate: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        title="Learning rate",
        description="The highest size of a training step.",
        json_schema_extra={"unit": "", "step": 0.0001},
    ),
]
Schedule: TypeAlias = Annotated[
    Literal["cosine", "one-cycle", "constant"],
    Field(
        title="Schedule",
        description="How the learning rate moves: falls along a cosine, rises and falls, or stays.",
    ),
]
BatchRows: TypeAlias = Annotated[
    int,
    Field(
        ge=2,
        le=4096,
        title="Batch",
        description="Rows in one training step.",
        json_schema_extra={"unit": "rows", "step": 16},
    ),
]
WeightDecay: TypeAlias = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        title="Weight decay",
        description="How strongly weights are pulled to zero.",
        json_schema_extra={"unit": "", "step": 0.0001},
    ),
]
TeacherWeight: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        title="Weight of the teacher",
        description=(
            "How much the answers of the untouched baseline count beside the labels; 1 leaves the labels out. "
            "Without effect on a language model, which learns from its text alone."
        ),
        json_schema_extra={"unit": "fraction", "step": 0.05},
    ),
]
Temperature: TypeAlias = Annotated[
    float,
    Field(
        ge=1,
        le=20,
        title="Temperature",
        description="Over 1, the teacher's small probabilities count more; for classification.",
        json_schema_extra={"unit": "", "step": 0.5},
    ),
]
Patience: TypeAlias = Annotated[
    int,
    Field(
        ge=0,
        le=100,
        title="Patience",
        description="Stops after this many epochs without a better exam; 0 never stops early.",
        json_schema_extra={"unit": "epochs", "step": 1},
    ),
]
Rows: TypeAlias = Annotated[
    int,
    Field(
        ge=0,
        le=10_000_000,
        title="Training rows",
        description="Use the first rows only; 0 uses all.",
        json_schema_extra={"unit": "rows", "step": 1000},
    ),
]
Vary: TypeAlias = Annotated[
    Literal["none", "shift", "shift-and-mirror"],
    Field(
        title="Vary pictures",
        description=(
            "Show each picture plain or shifted by 4 % of its side, or mirrored as well; the teacher answers to what "
            "is shown. Mirror only what means the same in a mirror: no letters, no digits."
        ),
    ),
]


class TrainingStep(Technique):
    """A step that trains the network on rows, labels and the answers of a teacher: the job's untouched baseline."""

    epochs: Epochs = 5
    learning_rate: LearningRate = 0.001
    schedule: Schedule = "cosine"
    batch: BatchRows = 64
    weight_decay: WeightDecay = 0.0001
    patience: Patience = 0
    teacher_weight: TeacherWeight = 0.7
    temperature: Temperature = 2.0
    rows: Rows = 0
    vary: Vary = "none"

    def cannot_train(self, model: ModelFacts, data: DatasetFacts | None) -> Fit | None:
        """Why the step cannot train this network on this data, if it cannot."""
        if model.quantized:
            return Fit(word="does-not-fit", reason=f"The network is quantized: put {self.about.title} before that.")
        if data is not None and not data.rows(Role.TRAIN):
            return Fit(word="does-not-fit", reason="The dataset has no training rows.")
        return None

    def plan(self, *, keep_zeros: bool = False) -> Plan:
        """How long and how fast to train."""
        from workers import training

        return training.Plan(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            patience=self.patience,
            keep_zeros=keep_zeros,
        )

    def school(self, model: LoadedModel, bench: Workbench) -> School:
        """The rows and the exam; the teacher is the job's baseline, or ``model`` where there is none.

        A language model has no teacher but its text, and the log says so where one was asked for.
        """
        from workers import training
        from workers.training.views import VIEWS

        weights = self.weights(bench)
        if bench.contract.task is Task.CAUSAL_LM and weights.teacher > 0:
            bench.log(
                "Learns from the text alone: a teacher's scores for every token of every text would not fit in memory.",
                level="warning",
            )
        return training.School(bench, weights, bench.baseline or model, self.rows or None, VIEWS[self.vary])

    def weights(self, bench: Workbench) -> Weights:
        """How much labels and teacher count: the teacher alone where there is no label to learn from."""
        from workers.training.school import Weights

        share = self.teacher_weight if bench.is_supervised else 1.0
        return Weights(labels=1 - share, teacher=share, temperature=self.temperature)


class RecoveryStep(TrainingStep):
    """A training step that may also learn from labels alone, or from the baseline alone."""

    learn_from: LearnFrom = "both"

    @property
    def has_teacher(self) -> bool:
        return self.learn_from != "labels"

    def cannot_train(self, model: ModelFacts, data: DatasetFacts | None) -> Fit | None:
        unlabelled = data is not None and data.target.kind == "none" and not data.are_pairs
        if unlabelled and self.learn_from == "labels":
            return Fit(word="does-not-fit", reason="The dataset has no labels: learn from the baseline.")
        return super().cannot_train(model, data)

    def weights(self, bench: Workbench) -> Weights:
        from workers.training.school import Weights

        if self.learn_from == "labels":
            return Weights(labels=1.0, teacher=0.0)
        if self.learn_from == "baseline":
            return Weights(labels=0.0, teacher=1.0, temperature=self.temperature)
        return super().weights(bench)
