"""Distillation: a narrower student learns from the answers of its teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.graph.operators import HEAVY
from workers.steps.training import Epochs, LearningRate, Schedule, TeacherWeight, Temperature, TrainingStep
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    from torch import fx

    from workers.model import LoadedModel
    from workers.training.loop import Trained
    from workers.workbench import Workbench


class Distillation(TrainingStep):
    """Train a narrower copy of the network to answer as the network itself does.

    The student has the teacher's own layers, each with a share of its channels: the most important ones,
    or fresh ones. The teacher is the job's untouched baseline, whose answers are computed once. Labels help where
    there are any. By default the same student is also trained without its teacher, so that the log tells
    what the teacher was worth; the better of the two is kept. Typical gains lie between 0 and 2 points.
    """

    about: ClassVar = About(
        title="Distillation",
        family=Family.DISTILLATION,
        needs=frozenset({Need.TRAINING}),
        source="Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2",
    )
    technique: Literal["distillation"]
    width: float = Field(
        0.5,
        gt=0.05,
        le=1,
        title="Width of the student",
        description="Share of the channels of each layer that the student has; 1 keeps the network as it is.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    start: Literal["largest", "fresh"] = Field(
        "largest",
        title="Start from",
        description="The teacher's largest channels, which is quicker, or fresh random weights.",
    )
    multiple: int = Field(
        4,
        ge=1,
        le=64,
        title="Multiples of channels",
        description="Widths are kept to multiples of this, which kernels run best.",
        json_schema_extra={"unit": "channels", "step": 1},
    )
    epochs: Epochs = 10
    learning_rate: LearningRate = 0.002
    schedule: Schedule = "one-cycle"
    teacher_weight: TeacherWeight = 0.9
    temperature: Temperature = 4.0
    compare: bool = Field(
        True,
        title="Compare with no teacher",
        description="Train the same student on labels alone as well, which takes as long again.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        refused = self.cannot_train(model, data)
        if refused is not None:
            return refused
        if sum(layer.op in HEAVY and layer.params > 0 for layer in model.layers) < 2:
            return Fit(word="does-not-fit", reason="The network has no layer between its first and its last.")
        return Fit(word="fits", reason="The student is narrower in every layer that may be.", expect="0 to +2 points.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        least = 0.8 * facts.size_bytes * self.width**2
        size = Span(value=(least + facts.size_bytes) / 2, low=0.5 * least, high=1.1 * facts.size_bytes + 4000)
        return forecasts.of_training(
            facts,
            epochs=self.epochs * (2 if self.compare else 1) * self.width,
            rows=self.rows or None,
            teacher=True,
            result_bytes=size,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training

        teacher = training.trainable(model, self.about.title, bench)
        student = self._student(teacher, bench)
        school = self.school(model, bench)
        alone = school.without_teacher() if self.compare else None
        lonely = training.copied(student) if alone is not None else None
        found = training.train(student, school, self.plan(), bench.part(0, 1 if alone is None else 0.5))
        bench.log(f"Distilled student: {school.exam_name} {found.best:.4f} on validation data.")
        if alone is not None and lonely is not None:
            other = training.train(lonely, alone, self.plan(), bench.part(0.5, 1), name="without teacher: ")
            student = self._better(student, found, lonely, other, bench)
        bench.progress(1, 1, "Trained")
        return training.written(student, model)

    def _better(
        self, student: fx.GraphModule, found: Trained, lonely: fx.GraphModule, other: Trained, bench: Workbench
    ) -> fx.GraphModule:
        """The better of the two students on validation data, after saying what the teacher was worth."""
        gain = found.best - other.best
        said = f"The same student without a teacher: {other.best:.4f}. The teacher brought {gain:+.4f}"
        if gain > 0:
            bench.log(f"{said}.")
            return student
        bench.log(f"{said}: no gain. Kept the student trained without it.", level="warning")
        return lonely

    def _student(self, teacher: fx.GraphModule, bench: Workbench) -> fx.GraphModule:
        from workers import training
        from workers.training import narrowing, samples

        student = training.copied(teacher)
        if self.width < 1:
            example = samples.example(bench)
            _, last = narrowing.borders(teacher)
            cut = narrowing.Cut("l2", across=False, multiple=self.multiple, kept=last)
            unsafe = narrowing.unsafe(teacher, example, cut, bench.check)
            cut = narrowing.Cut("l2", across=False, multiple=self.multiple, kept=last | unsafe)
            student = narrowing.narrowed(teacher, example, cut, 1 - self.width)
        if self.start == "fresh":
            training.forget(student, bench.seed)
        was, now = (sum(p.numel() for p in one.parameters()) for one in (teacher, student))
        bench.log(f"The student has {now:,} of {was:,} parameters.")
        return student
