"""What a network is taught with: rows, labels, a teacher's answers, and the exam on validation rows."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from workers.contract import Contract, Task
from workers.errors import YoursToFix
from workers.evaluation import predictions as said
from workers.evaluation.answers import UNIT_AXES, answers_per, class_labels, see_classes_exist
from workers.facts import Role
from workers.metric import Metric, for_contract
from workers.model import LoadedModel
from workers.numerics import distillation
from workers.numerics.classes import NO_CLASS
from workers.numerics.next_token import NOTHING, next_token_losses
from workers.training import padding
from workers.training.network import first_output
from workers.training.samples import Samples, read
from workers.training.teacher import Answers, Teacher
from workers.training.views import PLAIN, View, axes, seen_each
from workers.workbench import Workbench

if TYPE_CHECKING:
    from workers.training.hints import Hints

EXAM_ROWS = 512
EXAM_WINDOWS = 4  # a window's scores over a vocabulary take tens of megabytes
UNLEARNABLE = ("labels",)


@dataclass(frozen=True)
class Weights:
    """How much labels and teacher count; ``temperature`` softens the teacher's class scores."""

    labels: float
    teacher: float
    temperature: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """Some training rows: their numbers, how each is seen (a number among the school's views), the network's inputs."""

    rows: Tensor
    views: Tensor
    inputs: list[Tensor]


class School:
    """The rows of one dataset as lessons, and its validation rows as an exam.

    Where each frame or pixel has a label, each counts alike; those without one count neither for the labels nor for
    the teacher, whose answers to padding are worth nothing.
    """

    def __init__(
        self,
        bench: Workbench,
        weights: Weights,
        teacher: LoadedModel | None,
        rows: int | None,
        views: tuple[View, ...] = PLAIN,
    ) -> None:
        self.bench = bench
        self.contract: Contract = bench.contract
        self.views = views
        self.axes = axes(self.contract) if views != PLAIN else (0, 0)
        # A teacher's scores for every token of every row would not fit in memory, and text is its own label.
        self.weights = Weights(labels=1.0, teacher=0.0) if self._is_language else weights
        self.hints: Hints | None = None
        self.meaning = self.contract.outputs[0].meaning if self.contract.outputs else "other"
        self._require_a_gradient()
        self._require_samples_first()
        self.names = [spec.name for spec in self.contract.inputs]
        self.train = read(bench, Role.TRAIN, rows)
        self.validation = read(bench, Role.VALIDATION)
        self.cuts: bool | None = None  # until a network was tried
        self.targets = self._targets(self.train)
        self.counted = self._counted(self.train)
        self._require_labels_of_every_pixel()
        asked = None if teacher is None else Teacher(teacher, self.names, bench)
        learns = self.weights.teacher > 0
        self.answers = Answers(asked, self.train, self.views, self.axes) if asked and learns else None
        self.metric = self._metric()
        self.expected = asked.answers(self.validation) if asked and self.metric is None else None
        if self.targets is None and self.answers is None:
            raise YoursToFix(
                "Expected labels or a teacher to learn from, found neither.",
                hint="Choose a dataset with labels, or let the step learn from the baseline.",
                code="training.nothing-to-learn",
            )

    @property
    def _is_language(self) -> bool:
        return self.contract.task is Task.CAUSAL_LM

    def steps(self, batch: int) -> int:
        """How many batches one epoch has."""
        return self.train.batches(batch)

    def without_teacher(self) -> School | None:
        """The same rows and exam with labels alone; None where there are no labels to learn from."""
        if self.targets is None:
            return None
        other = copy.copy(self)
        other.weights, other.answers, other.hints = Weights(labels=1.0, teacher=0.0), None, None
        return other

    def with_hints(self, hints: Hints) -> School:
        """The same rows and exam for a student that also comes near to its teacher inside."""
        other = copy.copy(self)
        other.hints = hints
        return other

    @property
    def exam_name(self) -> str:
        """What the exam measures, for people."""
        return self.metric.about.title if self.metric else "Distance from the teacher"

    def shown(self, value: float) -> float:
        """What an exam gave, as people read it: an error or a distance with its own sign."""
        return value if self.metric is not None and self.metric.about.higher_is_better else -value

    def lesson(self, rows: Tensor, generator: torch.Generator | None = None) -> Lesson:
        """Some training rows, each seen in a way drawn by ``generator``; all plainly without it or other views."""
        inputs = self.train.pick(rows, self.names)
        if generator is None or self.views == PLAIN:
            return Lesson(rows, torch.zeros_like(rows), inputs)
        views = torch.randint(len(self.views), rows.shape, generator=generator)
        return Lesson(rows, views, [seen_each(inputs[0], views, self.views, self.axes)])

    def answer(self, module: fx.GraphModule, lesson: Lesson) -> Tensor | tuple[Tensor, ...]:
        """What a network returns for a lesson; texts run without the padding that only longer ones need."""
        if self.hints is not None:
            return module(*lesson.inputs)  # type: ignore[no-any-return]
        return self._run(module, self.train, lesson.rows, lesson.inputs)

    def loss(self, result: Tensor | tuple[Tensor, ...], lesson: Lesson) -> Tensor:
        """The weighted loss of a batch; scalar.

        Args:
            result: what the network returned for the lesson.
        """
        outputs = first_output(result).float()
        total = outputs.new_zeros(())
        if self.targets is not None and self.weights.labels > 0:
            total = total + self.weights.labels * self._task_loss(outputs, self._seen(self.targets, lesson))
        if self.answers is not None:
            counted = None if self.counted is None else self._seen(self.counted, lesson)
            total = total + self.weights.teacher * self._teacher_loss(outputs, self.answers.to(lesson), counted)
        if self.hints is not None:
            total = total + self.hints.distance(result, lesson.inputs)
        return total

    def _seen(self, labels: Tensor, lesson: Lesson) -> Tensor:
        """What is known of a lesson's rows; labels of pixels move with their pictures."""
        chosen = labels[lesson.rows]
        if self.views == PLAIN or not self._has_positions:
            return chosen
        height, width = (lesson.inputs[0].shape[axis] for axis in self.axes)
        pictures = chosen.reshape(-1, height, width)  # (rows, pixels) -> (rows, height, width)
        return seen_each(pictures, lesson.views, self.views, (1, 2)).flatten(1)

    def exam(self, module: fx.GraphModule) -> float:
        """The headline metric on validation rows, or the distance from the teacher; higher is better.

        Errors such as RMSE and distances come with their sign turned; see ``shown``.
        """
        outputs = self.predict(module, self.validation)
        if self.metric is None:
            return -float(self._teacher_loss(outputs, self._expected(), None))
        found = said.Predictions(outputs.numpy(), self.validation.labels, np.arange(len(outputs)))
        scores, labels = said.readable(found, self.contract)
        value = self.metric.measure(scores, labels, seed=self.bench.seed).value
        return value if self.metric.about.higher_is_better else -value

    def predict(self, module: fx.GraphModule, samples: Samples) -> Tensor:
        """The first output for all rows, float32; of a language model the losses per next token."""
        module.eval()
        parts = []
        with torch.no_grad():
            for rows in samples.in_order(EXAM_WINDOWS if self._is_language else EXAM_ROWS):
                self.bench.check()
                inputs = samples.pick(rows, self.names)
                outputs = first_output(self._run(module, samples, rows, inputs)).float()
                parts.append(self._losses(outputs, samples, rows) if self._is_language else outputs)
        return torch.cat(parts)

    def _run(
        self, module: fx.GraphModule, samples: Samples, rows: Tensor, inputs: list[Tensor]
    ) -> Tensor | tuple[Tensor, ...]:
        if samples.lengths is None or not self._may_cut(module, samples):
            return module(*inputs)  # type: ignore[no-any-return]
        return padding.run(module, inputs, samples.lengths[rows])

    def _may_cut(self, module: fx.GraphModule, samples: Samples) -> bool:
        """Whether this kind of network answers the same without padding; tried once."""
        if self.cuts is None:
            was_training = module.training
            self.cuts = padding.is_unread(module.eval(), *self._padded(samples)) and not _counts_positions(module)
            module.train(was_training)
        return self.cuts

    def _padded(self, samples: Samples) -> tuple[list[Tensor], Tensor]:
        assert samples.lengths is not None  # the caller looked
        return samples.pick(torch.arange(len(samples)), self.names), samples.lengths

    def _losses(self, scores: Tensor, samples: Samples, rows: Tensor) -> Tensor:
        assert samples.labels is not None  # text under a language model's contract is its own label
        return torch.from_numpy(next_token_losses(scores.numpy(), samples.labels[rows.numpy()]))

    def _expected(self) -> Tensor:
        return self.expected if self.expected is not None else torch.zeros(len(self.validation), 1)

    def _metric(self) -> Metric | None:
        suited = for_contract(self.contract) if self.validation.labels is not None else ()
        return suited[0] if suited else None

    def _require_samples_first(self) -> None:
        found = next((spec.name for spec in self.contract.inputs if spec.batch_axis != 0), "")
        if found:
            raise YoursToFix(
                f"Expected the samples on the first axis of every input, found those of {found!r} on another.",
                hint="Steps that retrain do not work with such networks yet; those that only change weights do.",
                code="training.samples",
            )

    def _require_labels_of_every_pixel(self) -> None:
        """Labels that move with their pictures have to lie on the same grid."""
        if self.views == PLAIN or not self._has_positions or self.train.labels is None:
            return
        pictures, labels = self.train.inputs[self.names[0]].shape, self.train.labels.shape[1:]
        sides = tuple(pictures[axis] for axis in self.axes)
        if labels != sides:
            raise YoursToFix(
                f"Expected a label for each of {sides[0]} × {sides[1]} pixels, to vary pictures with their labels; "
                f"found {' × '.join(map(str, labels))} labels.",
                hint="Do not vary pictures.",
                code="training.no-pictures",
            )

    def _require_a_gradient(self) -> None:
        if self.meaning in UNLEARNABLE:
            raise YoursToFix(
                "Expected scores or values as the network's output, found class numbers, which have no gradient.",
                hint="Export the network with its class scores as first output.",
                code="training.no-gradient",
            )

    def _targets(self, samples: Samples) -> Tensor | None:
        """Labels as the loss wants them: class numbers, or floats; None where the task has no loss of its own."""
        if samples.labels is None or self.weights.labels == 0:
            return None
        if self._is_language:
            return torch.from_numpy(samples.labels.astype(np.int64))
        if self.contract.task is Task.CLASSIFICATION:
            return torch.from_numpy(class_labels(samples.labels, self.contract))
        if self.contract.task is Task.EMBEDDING:
            return torch.from_numpy(samples.labels) if self.bench.is_retrieval else None
        if self.contract.task is Task.REGRESSION:
            return torch.from_numpy(samples.labels.astype(np.float32)).flatten(1) if samples.labels.ndim > 1 else (
                torch.from_numpy(samples.labels.astype(np.float32))[:, None]
            )  # fmt: skip
        return None

    def _counted(self, samples: Samples) -> Tensor | None:
        """Which frames or pixels have a label, (rows, u); None where all count."""
        if samples.labels is None or not self._has_positions:
            return None
        return torch.from_numpy(class_labels(samples.labels, self.contract) != NO_CLASS)

    @property
    def _has_positions(self) -> bool:
        """Whether each frame or pixel is classified."""
        return self.contract.task is Task.CLASSIFICATION and answers_per(self.contract) != "sample"

    def _logits(self, outputs: Tensor) -> Tensor:
        if self._has_positions:
            per = answers_per(self.contract)
            outputs = distillation.scores_by_position(outputs, classes_last=per == "frame", axes=UNIT_AXES[per])
        return distillation.class_logits(outputs, probabilities=self.meaning == "probabilities")

    def _task_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self._is_language:  # each place foretells the token after it
            return functional.cross_entropy(
                outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), ignore_index=NOTHING
            )
        if self.contract.task is Task.CLASSIFICATION:
            logits = self._logits(outputs)
            see_classes_exist(int(targets.max()), logits.shape[1])
            return distillation.cross_entropy(logits, targets)
        if self.contract.task is Task.EMBEDDING:
            return distillation.in_batch_contrast(outputs, targets[:, 0], targets[:, 1] == 1)
        return functional.mse_loss(distillation.as_rows(outputs), targets)

    def _teacher_loss(self, outputs: Tensor, answers: Tensor, counted: Tensor | None) -> Tensor:
        if self.contract.task is Task.CLASSIFICATION:
            return distillation.soft_cross_entropy(
                self._logits(outputs), self._logits(answers), temperature=self.weights.temperature, counted=counted
            )
        if self.contract.task is Task.EMBEDDING:
            return distillation.cosine_distance(outputs, answers)
        return functional.mse_loss(distillation.as_rows(outputs), distillation.as_rows(answers))


def _counts_positions(module: nn.Module) -> bool:
    """Whether a layer learns from how many positions a batch has, with padding or without."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
