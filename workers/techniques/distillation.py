"""Distillation: a smaller student learns from the answers of its teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.alike import NotAlike
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.graph.operators import HEAVY
from workers.steps.training import Epochs, LearningRate, Schedule, TeacherWeight, Temperature, TrainingStep
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    from torch import Tensor, fx

    from workers.model import LoadedModel
    from workers.training.loop import Trained
    from workers.training.school import School
    from workers.workbench import Workbench


class Distillation(TrainingStep):
    """Train a smaller copy of the network, or another one, to answer as the network itself does.

    The student has the teacher's own layers, each with a share of its channels, heads and neurons: the most important
    ones, or fresh ones. It may also have fewer blocks. Or it is another model that takes the same inputs and answers
    the same questions; the steps after this one then work on that. The teacher is the job's untouched baseline, whose
    answers are computed once. With inner features, layers of the student also come near to those of the teacher that
    see the rows most alike, through adapters that are dropped at the end.

    By default the same student is also trained without its teacher, so that the log tells what the teacher was worth;
    the better of the two is kept. Typical gains lie between 0 and 2 points. The student of a language model learns from
    the text, and with inner features from those; the teacher's scores for every token would not fit in memory.
    """

    about: ClassVar = About(
        title="Distillation",
        family=Family.DISTILLATION,
        needs=frozenset({Need.TRAINING}),
        source=(
            "Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2; Romero et al. 2015, arXiv:1412.6550 (features); "
            "Kornblith et al. 2019, arXiv:1905.00414 (matching layers); Sanh et al. 2019, arXiv:1910.01108 (depth)"
        ),
        version=3,
    )
    technique: Literal["distillation"]
    student: str = Field(
        "",
        max_length=1000,
        title="Student",
        description="Another model that learns; without one, a copy of this model in the width and depth below.",
        json_schema_extra={"names": "model"},
    )
    width: float = Field(
        0.5,
        gt=0.05,
        le=1,
        title="Width of the student",
        description="Share of the channels, heads and neurons that the student has; 1 keeps them all.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    depth: float = Field(
        1,
        gt=0.05,
        le=1,
        title="Depth of the student",
        description="Share of the blocks that the student has, evenly spaced; 1 keeps them all.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    features: float = Field(
        0,
        ge=0,
        le=10,
        title="Weight of inner features",
        description="How much layers that match shall come near to the teacher's; 0 leaves them out.",
        json_schema_extra={"unit": "", "step": 0.1},
    )
    start: Literal["largest", "fresh"] = Field(
        "largest",
        title="Start from",
        description="The weights at hand, of a copy those of the largest channels, which is quicker; or fresh ones.",
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
        if self.student:
            return Fit(word="fits", reason="Another model learns from this one.", expect="0 to +2 points.")
        if sum(layer.op in HEAVY and layer.params > 0 for layer in model.layers) < 2:
            return Fit(word="does-not-fit", reason="The network has no layer between its first and its last.")
        return Fit(word="fits", reason="The student is smaller in every layer that may be.", expect="0 to +2 points.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        least = 0.8 * facts.size_bytes * self.width**2 * self.depth
        size = Span(value=(least + facts.size_bytes) / 2, low=0.5 * least, high=1.1 * facts.size_bytes + 4000)
        student = self.epochs * (2 if self.compare else 1) * self.width * self.depth
        inside = self.epochs / 3 if self.features else 0.0  # the teacher runs forward in every epoch
        return forecasts.of_training(
            facts, epochs=student + inside, rows=self.rows or None, teacher=True, result_bytes=size
        )

    def forecast_with(self, facts: ModelFacts, other: ModelFacts) -> Forecast:
        student = forecasts.of_training(
            other,
            epochs=self.epochs * (2 if self.compare else 1),
            rows=self.rows or None,
            result_bytes=forecasts.about_the_same_bytes(other),
        )
        asked = self.epochs / 3 if self.features else 0.0
        teacher = forecasts.of_training(facts, epochs=asked, rows=self.rows or None, result_bytes=student.size_bytes)
        return forecasts.beside(student, teacher.seconds, facts)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training

        whole = model
        if self.student:
            whole, model = bench.baseline or model, replace(bench.others[self.student], notes=model.notes)
        student = training.trainable(model, self.about.title, bench)
        student = self._as_it_came(student, whole, bench) if self.student else self._student(student, bench)
        school = self.school(whole, bench)
        has_teacher = school.weights.teacher > 0 or self.features > 0
        alone = school.without_teacher() if self.compare and has_teacher else None
        lonely = training.copied(student) if alone is not None else None
        found = self._taught(student, whole, school, bench.part(0, 1 if alone is None else 0.5))
        best, before = school.shown(found.best), school.shown(found.before)
        said = f"{school.exam_name} of the student {best:.4f} on validation data, {before:.4f} before."
        if alone is not None and lonely is not None:
            other = training.train(lonely, alone, self.plan(), bench.part(0.5, 1), name="without teacher: ")
            untaught = school.shown(other.best)
            said += f" The same student without a teacher: {untaught:.4f}. The teacher brought {best - untaught:+.4f}"
            if found.best > other.best:
                said += "."
            else:
                student, said = lonely, f"{said}: no gain. Kept the student trained without it."
        bench.conclude(said)
        bench.progress(1, 1, "Trained")
        return training.written(student, model)

    def _as_it_came(self, student: fx.GraphModule, teacher: LoadedModel, bench: Workbench) -> fx.GraphModule:
        """The other model, once it has answered in the shape in which the teacher does.

        Raises:
            NotAlike: if its answer has another shape.
        """
        import torch

        from workers import training
        from workers.training import samples
        from workers.training.network import first_output
        from workers.training.teacher import Teacher

        example = samples.example(bench)
        wanted = Teacher(teacher, [spec.name for spec in bench.contract.inputs], bench).answer(*example).shape
        with torch.no_grad():
            made = first_output(student(*example)).shape
        if made != wanted:
            raise NotAlike("the student", "answer to two rows", expected=tuple(wanted), found=tuple(made))
        if self.start == "fresh":
            training.forget(student, bench.seed)
        return student

    def _taught(self, student: fx.GraphModule, teacher: LoadedModel, school: School, bench: Workbench) -> Trained:
        """Train the student in place, with hints from inside the teacher where they are asked for."""
        from workers import training
        from workers.training import hints

        if self.features:
            whole = training.trainable(teacher, self.about.title, bench)
            found = hints.matched(whole, student, school.train, school.names)
            for hint in found:
                bench.log(f"{hint.student} learns from {hint.teacher}, alignment {hint.alignment:.2f}.")
            if found:
                example = school.train.pick(next(school.train.in_order(2)), school.names)
                inside = hints.Hints(whole, student, found, weight=self.features, example=example, seed=bench.seed)
                return training.train(inside.student, school.with_hints(inside), self.plan(), bench)
            bench.log("No layer of the student is like one of the teacher's: learns from its answers.", level="warning")
        return training.train(student, school, self.plan(), bench)

    def _student(self, teacher: fx.GraphModule, bench: Workbench) -> fx.GraphModule:
        from workers import training
        from workers.training import samples

        example = samples.example(bench)
        student = training.copied(teacher)
        if self.depth < 1:
            self._shorten(student, example, bench)
        if self.width < 1:
            student = self._narrowed(student, example, bench)
        if self.start == "fresh":
            training.forget(student, bench.seed)
        was, now = (sum(p.numel() for p in one.parameters()) for one in (teacher, student))
        bench.log(f"The student has {now:,} of {was:,} parameters.")
        return student

    def _shorten(self, student: fx.GraphModule, example: tuple[Tensor, ...], bench: Workbench) -> None:
        """Let blocks of a transformer, or branches of a residual network, go, evenly spaced."""
        from workers.training import depth

        found = depth.blocks(student, example) or depth.branches(student, example)
        left = max(1, round(self.depth * len(found)))
        if not found:
            raise YoursToFix(
                "Expected blocks that a stream could pass by, found none.",
                hint="Keep the depth of the student at 1 and make it narrower.",
                code="distillation.no-blocks",
            )
        kept = {index * len(found) // left for index in range(left)}
        depth.without(student, [block for place, block in enumerate(found) if place not in kept])
        bench.log(f"The student has {left} of {len(found)} blocks.")

    def _narrowed(self, student: fx.GraphModule, example: tuple[Tensor, ...], bench: Workbench) -> fx.GraphModule:
        """With a share of its heads and neurons where it has attention, else of its channels."""
        from workers.training import anatomy, narrowing, slimming

        organs = anatomy.organs(student, example)
        if any(organ.kind == "heads" for organ in organs):
            fine = slimming.removable(student, organs, example, bench.check)
            marks = [slimming.scores(student, organ, "l2") for organ in fine]
            shares: dict[anatomy.Kind, float] = {"heads": 1 - self.width, "neurons": 1 - self.width}
            losses = slimming.expendable(fine, marks, shares=shares, across=False, multiple=self.multiple)
            slimming.take_out(student, losses, example)
            return student
        wish = narrowing.Cut("l2", across=False, multiple=self.multiple, kept=frozenset())
        cut = narrowing.safe_cut(student, example, wish, bench, keep_first=False)
        return narrowing.narrowed(student, example, cut, 1 - self.width)
