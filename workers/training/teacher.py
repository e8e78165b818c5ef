"""The network that another one learns from, asked for its answers in ONNX Runtime, once for each row."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workers import evaluation
from workers.model import LoadedModel
from workers.training import padding
from workers.training.samples import Samples
from workers.training.views import PLAIN, View, seen
from workers.workbench import Workbench

if TYPE_CHECKING:
    from workers.training.school import Lesson

MOST_BYTES = 2 << 30
ASKED_ROWS = 32
ASKED_TEXTS = 256  # which run in pieces of like length


class Teacher:
    """A network in ONNX form that answers rows held in memory.

    Args:
        names: of the inputs, in order.
    """

    def __init__(self, model: LoadedModel, names: list[str], bench: Workbench) -> None:
        self.model, self.names, self.bench = model, names, bench

    @cached_property
    def _session(self) -> evaluation.Answerer:
        file = self.model.proto.SerializeToString()
        return evaluation.Answerer(evaluation.open_session(file, threads=self.bench.threads))

    def answers(self, samples: Samples, view: View = PLAIN[0], axes: tuple[int, int] = (0, 0)) -> Tensor:
        """The first output for all rows, (rows, ...), float32.

        Args:
            view: how pictures are shown.
            axes: of height and width, where pictures are not shown plainly.
        """
        lengths = self._lengths(samples)
        parts: list[Tensor] = []
        for rows in samples.in_order(ASKED_ROWS if lengths is None else ASKED_TEXTS):
            done = sum(map(len, parts))
            self.bench.progress(0, 1, f"The teacher answers {len(samples):,} rows: {done / len(samples):.0%}")
            inputs = samples.pick(rows, self.names)
            if view != PLAIN[0]:
                inputs = [seen(inputs[0], view, axes)]
            parts.append(self.answer(*inputs) if lengths is None else padding.run(self.answer, inputs, lengths[rows]))
        return torch.cat(parts)

    def answer(self, *inputs: Tensor) -> Tensor:
        """The first output for a batch, float32."""
        feed = {name: value.numpy() for name, value in zip(self.names, inputs, strict=True)}
        return torch.from_numpy(self._session(feed, len(inputs[0])))

    def _lengths(self, samples: Samples) -> Tensor | None:
        """The tokens of each row that count; None where they are not all this network reads."""
        if samples.lengths is None:
            return None
        everything = samples.pick(torch.arange(len(samples)), self.names)
        return samples.lengths if padding.is_unread(self.answer, everything, samples.lengths) else None


class Answers:
    """What a teacher says to lessons.

    It is asked once, before the first epoch: asking anew in every epoch costs about as much as the training itself.
    Where its answers do not fit in memory, as scores for every pixel may not, each lesson asks for its own.
    """

    def __init__(self, teacher: Teacher, samples: Samples, views: tuple[View, ...], axes: tuple[int, int]) -> None:
        self.teacher = teacher
        few = teacher.answer(*samples.pick(next(samples.in_order(ASKED_ROWS)), teacher.names))
        self._held: Tensor | None = None  # (views, rows, ...)
        if few[0].nbytes * len(samples) * len(views) <= MOST_BYTES:
            self._held = torch.stack([teacher.answers(samples, view, axes) for view in views])
        else:
            teacher.bench.log("Asks the teacher in every epoch: its answers do not fit in memory.")

    def to(self, lesson: Lesson) -> Tensor:
        """The answers to a lesson, as its rows are seen; (rows, ...)."""
        return self.teacher.answer(*lesson.inputs) if self._held is None else self._held[lesson.views, lesson.rows]
