"""Labels per frame and per pixel: losses against a slow loop, and networks that recover with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from sklearn.metrics import jaccard_score
from torch import Tensor, nn

from tests.workers.graph_fx.networks import UNet, exported
from tests.workers.techniques.conftest import VNNI, run
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.errors import YoursToFix
from workers.events import Log
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.model import LoadedModel
from workers.techniques.distillation import Distillation
from workers.techniques.fine_tune import FineTune
from workers.techniques.gradual_pruning import GradualPruning
from workers.techniques.iterative_pruning import IterativePruning
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.qat_int8 import QatInt8
from workers.training import School
from workers.training import teacher as teachers
from workers.training.school import Weights
from workers.training.views import VIEWS
from workers.workbench import Batch, Workbench

CONTRACTS = {
    per: Contract(
        task=Task.CLASSIFICATION,
        inputs=(InputSpec(name="in0", shape=shape),),
        outputs=(OutputSpec(name="out", meaning="logits", per=per),),
    )
    for per, shape in (("frame", (9, 6)), ("pixel", (1, 16, 16)))
}
TEMPERATURE = 3.0


class Tagger(nn.Module):
    """(N, 9, 6) → (N, 9, 4): a recurrent net that names a class for each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(6, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        made, _ = self.cell(x)
        return self.head(made)


class Positions:
    """Random rows whose every frame or pixel is labelled by a network; a tenth of them have no label."""

    def __init__(self, model: LoadedModel, per: str, rows: int) -> None:
        rng = np.random.default_rng(8)
        self.values = rng.normal(size=(2 * rows, *model.contract.inputs[0].shape)).astype(np.float32)
        scores = run(model.proto, self.values)
        self.labels = scores.argmax(-1 if per == "frame" else 1).astype(np.int64)
        self.labels[rng.random(self.labels.shape) < 0.1] = -1
        ends = {Role.TRAIN: (0, rows), Role.CALIBRATION: (0, 32), Role.VALIDATION: (rows, 2 * rows)}
        self.order = {role: np.arange(*places) for role, places in ends.items()}
        self.facts = DatasetFacts(
            format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="class", per=per),
            roles={role: RoleFacts(rows=len(order), declared=True) for role, order in self.order.items()},
        )  # fmt: skip

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        order = self.order[role][:limit]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield Batch({"in0": self.values[rows]}, self.labels[rows], rows)


def bench_for(model: LoadedModel, per: str, folder: Path, rows: int = 128, emit=lambda event: None) -> Workbench:
    torch.set_num_threads(1)
    return Workbench(
        data=Positions(model, per, rows), contract=model.contract, device=VNNI, seed=0, threads=1, scratch=folder,
        step=0, emit=emit, baseline=model,
    )  # fmt: skip


@pytest.fixture(params=["frame", "pixel"])
def per(request) -> str:
    return request.param


@pytest.fixture
def whole(per) -> LoadedModel:
    """A recurrent tagger or a U-Net, its scores spread and centred so that classes differ from place to place."""
    torch.manual_seed(2)
    network, example = (Tagger(), torch.randn(64, 9, 6)) if per == "frame" else (UNet(), torch.randn(64, 1, 16, 16))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2.0)
        scores = network(example)
        network.head.bias -= scores.mean((0, 1) if per == "frame" else (0, 2, 3))
    return LoadedModel(proto=exported(network, example), contract=CONTRACTS[per])


def mean_iou(model: LoadedModel, bench: Workbench) -> float:
    """Over the labelled places of all validation rows, by scikit-learn."""
    rows = next(bench.data.batches(Role.VALIDATION, size=10_000))
    said = run(model.proto, rows.inputs["in0"]).argmax(-1 if rows.labels.ndim == 2 else 1)
    known = rows.labels >= 0
    return float(jaccard_score(rows.labels[known], said[known], average="macro"))


def accuracy(model: LoadedModel, bench: Workbench) -> float:
    rows = next(bench.data.batches(Role.VALIDATION, size=10_000))
    said = run(model.proto, rows.inputs["in0"]).argmax(-1 if rows.labels.ndim == 2 else 1)
    return float(np.mean(said[rows.labels >= 0] == rows.labels[rows.labels >= 0]))


def slow_losses(outputs: Tensor, answers: Tensor, labels: np.ndarray, per: str) -> tuple[float, float]:
    """Cross entropy and softened divergence, one place after another."""
    hard, soft = [], []
    for place in np.argwhere(labels >= 0):
        at = tuple(place) if per == "frame" else (place[0], slice(None), *place[1:])
        said, wanted = outputs[at].tolist(), answers[at].tolist()
        hard.append(math.log(sum(map(math.exp, said))) - said[labels[tuple(place)]])
        p, q = ([math.exp(z / TEMPERATURE) for z in scores] for scores in (wanted, said))
        p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
        soft.append(TEMPERATURE**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return float(np.mean(hard)), float(np.mean(soft))


def test_both_losses_are_means_over_the_labelled_places(whole, per, tmp_path):
    bench = bench_for(whole, per, tmp_path, rows=8)
    rows = torch.tensor([5, 2, 7])
    answers = torch.from_numpy(run(whole.proto, bench.data.values[rows.numpy()]))
    outputs = answers + torch.randn(answers.shape, generator=torch.Generator().manual_seed(1))
    hard, soft = slow_losses(outputs, answers, bench.data.labels[rows.numpy()], per)

    for weights, expected in (
        (Weights(labels=1, teacher=0), hard),
        (Weights(labels=0, teacher=1, temperature=TEMPERATURE), soft),
        (Weights(labels=0.3, teacher=0.7, temperature=TEMPERATURE), 0.3 * hard + 0.7 * soft),
    ):
        school = School(bench, weights, whole, None)
        assert float(school.loss(outputs, school.lesson(rows))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("meaning", ["logits", "probabilities"])
def test_one_number_for_each_place_is_the_score_of_the_second_of_two_classes(whole, per, tmp_path, meaning):
    bench = bench_for(whole, per, tmp_path, rows=4)
    bench.contract = whole.contract.model_copy(update={"outputs": (OutputSpec(name="out", meaning=meaning, per=per),)})
    bench.data.labels = np.minimum(bench.data.labels, 1)
    labels = bench.data.labels[:4]
    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(4))
    share = torch.sigmoid(logits).numpy()
    slow = [-math.log(share[at] if labels[at] else 1 - share[at]) for at in map(tuple, np.argwhere(labels >= 0))]

    school = School(bench, Weights(labels=1, teacher=0), None, None)
    loss = school.loss(
        torch.from_numpy(share) if meaning == "probabilities" else logits, school.lesson(torch.arange(4))
    )

    assert float(loss) == pytest.approx(np.mean(slow), rel=1e-4)


def test_a_batch_without_any_label_teaches_nothing(whole, per, tmp_path):
    bench = bench_for(whole, per, tmp_path, rows=8)
    bench.data.labels[:4] = -1
    school = School(bench, Weights(labels=0.5, teacher=0.5), whole, None)
    outputs = torch.from_numpy(run(whole.proto, bench.data.values[:4])).requires_grad_()

    loss = school.loss(outputs, school.lesson(torch.arange(4)))
    loss.backward()

    assert float(loss.detach()) == 0 and not outputs.grad.any()


def test_a_teacher_whose_answers_would_not_fit_is_asked_by_lesson_and_says_the_same(whole, per, tmp_path, monkeypatch):
    events = []
    bench = bench_for(whole, per, tmp_path, rows=8, emit=events.append)
    held = School(bench, Weights(labels=0, teacher=1), whole, None)
    monkeypatch.setattr(teachers, "MOST_BYTES", 1000)

    asked = School(bench, Weights(labels=0, teacher=1), whole, None)

    lesson = held.lesson(torch.tensor([3, 1]))
    assert torch.allclose(held.answers.to(lesson), asked.answers.to(lesson), atol=1e-5)
    assert any("every epoch" in event.text for event in events if isinstance(event, Log))


def test_labels_of_pixels_move_with_the_pictures_that_are_varied(tmp_path):
    shifted = Weights(labels=1, teacher=0)
    torch.manual_seed(2)
    model = LoadedModel(proto=exported(UNet(), torch.randn(2, 1, 16, 16)), contract=CONTRACTS["pixel"])
    spec = model.contract.inputs[0].model_copy(update={"layout": "CHW"})
    model = replace(model, contract=model.contract.model_copy(update={"inputs": (spec,)}))
    bench = bench_for(model, "pixel", tmp_path, rows=64)
    school = School(bench, shifted, None, None, VIEWS["shift-and-mirror"])
    lesson = school.lesson(torch.arange(64), torch.Generator().manual_seed(3))
    outputs = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    labels = bench.data.labels[:64].copy()
    for row, number in enumerate(lesson.views.tolist()):
        view = VIEWS["shift-and-mirror"][number]
        down, right = (int(np.sign(share)) for share in (view.down, view.right))  # 4 % of 16 pixels: one
        ways = [np.clip(np.arange(16) - step, 0, 15) for step in (down, right)]
        labels[row] = labels[row][np.ix_(*ways)][:, :: -1 if view.mirrored else 1]

    loss = float(school.loss(outputs, lesson))

    known = np.argwhere(labels >= 0)
    scores = outputs.log_softmax(1).numpy()
    assert len(set(lesson.views.tolist())) == len(VIEWS["shift-and-mirror"])
    assert loss == pytest.approx(-np.mean([scores[row, labels[row, y, x], y, x] for row, y, x in known]), rel=1e-4)


def test_labels_on_a_coarser_grid_than_their_pictures_cannot_move_with_them(tmp_path):
    torch.manual_seed(2)
    model = LoadedModel(proto=exported(UNet(), torch.randn(2, 1, 16, 16)), contract=CONTRACTS["pixel"])
    spec = model.contract.inputs[0].model_copy(update={"layout": "CHW"})
    bench = bench_for(replace(model, contract=model.contract.model_copy(update={"inputs": (spec,)})), "pixel", tmp_path)
    bench.data.labels = bench.data.labels[:, ::4, ::4]

    with pytest.raises(YoursToFix, match=r"16 × 16 pixels.* found 4 × 4"):
        School(bench, Weights(labels=1, teacher=0), None, None, VIEWS["shift"])


QUICK = {"epochs": 6, "learning_rate": 0.01, "batch": 16}
STEPS = {
    "fine-tune": FineTune(**QUICK),
    "gradual-pruning": GradualPruning(sparsity=0.5, **QUICK),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_what_pruning_cost_comes_back(whole, per, tmp_path, step):
    bench = bench_for(whole, per, tmp_path)
    spoilt = MagnitudePruning(sparsity=0.7).apply(whole, bench)

    repaired = step.apply(spoilt, bench)

    assert mean_iou(repaired, bench) > mean_iou(spoilt, bench) + 0.05


def test_rounds_of_pruning_stay_within_their_limit_on_the_labelled_places(whole, per, tmp_path):
    bench = bench_for(whole, per, tmp_path)
    step = IterativePruning(what="weights", until="drop", share=0.3, rounds=2, max_drop=30, **QUICK)

    pruned = step.apply(whole, bench)

    zeros = [np.mean(numpy_helper.to_array(t) == 0) for t in pruned.proto.graph.initializer if len(t.dims) > 1]
    lost = {"frame": accuracy, "pixel": mean_iou}[per]
    assert max(zeros) > 0.25
    assert 1 - lost(pruned, bench) <= 0.3


def test_a_network_with_rounding_answers_for_each_place(whole, per, tmp_path):
    bench = bench_for(whole, per, tmp_path)

    quantized = QatInt8(samples=32, **QUICK | {"learning_rate": 0.001}).apply(whole, bench)

    assert any(node.op_type == "DequantizeLinear" for node in quantized.proto.graph.node)
    assert mean_iou(quantized, bench) > 0.6


def test_a_student_learns_each_place_from_its_teacher(whole, per, tmp_path):
    events = []
    bench = bench_for(whole, per, tmp_path, emit=events.append)
    step = Distillation(width=1 if per == "frame" else 0.5, start="fresh", multiple=1, **QUICK | {"epochs": 8})

    student = step.apply(whole, bench)

    untaught = 1 / 4  # what naming one class everywhere would give at the most
    assert mean_iou(student, bench) > 1.2 * untaught
    assert any("without a teacher" in event.text for event in events if isinstance(event, Log))
