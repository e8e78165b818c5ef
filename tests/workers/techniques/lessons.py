"""A small problem that can be learnt: random rows, labelled by the very network that steps then spoil and repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from onnx import numpy_helper

from tests.workers.techniques.conftest import CONTRACT, VNNI, convolutional, run
from workers.contract import Contract
from workers.events import Event
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.model import LoadedModel
from workers.workbench import Batch, Workbench

SURE = 20  # so that scores of random weights differ as much as those of trained ones


class Lessons:
    """Rows for training, calibration and validation, all different; test rows would be an error to ask for."""

    def __init__(self, model: LoadedModel, shape: tuple[int, ...], rows: int, *, labelled: bool = True) -> None:
        self.values = np.random.default_rng(5).normal(size=(rows * 2, *shape)).astype(np.float32)
        self.labels = run(model.proto, self.values).argmax(1) if labelled else None
        thirds = {Role.TRAIN: (0, rows), Role.CALIBRATION: (0, 64), Role.VALIDATION: (rows, 2 * rows)}
        self.order = {role: np.arange(*ends) for role, ends in thirds.items()}
        self.asked: list[Role] = []
        self.facts = DatasetFacts(
            format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="class" if labelled else "none"),
            roles={role: RoleFacts(rows=len(order), declared=True) for role, order in self.order.items()},
        )  # fmt: skip

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        self.asked.append(role)
        order = self.order[role][:limit]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield Batch({"x": self.values[rows]}, None if self.labels is None else self.labels[rows], rows)


def classroom(
    model: LoadedModel,
    folder: Path,
    *,
    shape: tuple[int, ...] = (3, 12, 12),
    rows: int = 256,
    labelled: bool = True,
    contract: Contract = CONTRACT,
    emit: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Workbench:
    """A bench whose baseline is ``model`` and whose rows it labelled."""
    torch.set_num_threads(1)
    data = Lessons(model, shape, rows, labelled=labelled)
    return Workbench(
        data=data, contract=contract, device=VNNI, seed=0, threads=1, scratch=folder, step=0,
        emit=emit, should_stop=should_stop, baseline=model,
    )  # fmt: skip


def agreement(model: LoadedModel, other: LoadedModel, bench: Workbench) -> float:
    """Share of validation rows on which two networks name the same class, by ONNX Runtime."""
    values = next(bench.batches(Role.VALIDATION, size=10_000)).inputs["x"]
    return float(np.mean(run(model.proto, values).argmax(1) == run(other.proto, values).argmax(1)))


def discerning(width: int) -> LoadedModel:
    """The small convolutional network, its last biases set so that it names every class about as often."""
    model = convolutional(width)
    values = np.random.default_rng(6).normal(size=(512, 3, 12, 12)).astype(np.float32)
    weight, bias = (next(t for t in model.proto.graph.initializer if t.name == name) for name in ("w3", "b3"))
    weight.CopyFrom(numpy_helper.from_array(SURE * numpy_helper.to_array(weight), "w3"))
    settled = numpy_helper.to_array(bias) - run(model.proto, values).mean(0)
    bias.CopyFrom(numpy_helper.from_array(settled, "b3"))
    return model
