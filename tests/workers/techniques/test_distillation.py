"""Students are smaller, learn from their teacher, and the log tells what the teacher was worth."""

from dataclasses import replace

import numpy as np
import pytest

from tests.workers.techniques.lessons import agreement, classroom, discerning
from tests.workers.techniques.transformers import Material, bench_for, bert, decoder, residual
from workers.contract import Task
from workers.errors import YoursToFix
from workers.events import Log, Point
from workers.techniques.distillation import Distillation

QUICK = {"epochs": 6, "batch": 32, "learning_rate": 0.01}
ROWS = 768
GUESSING = 0.14  # share of the rows whose class is the most frequent one


@pytest.fixture
def teacher():
    return discerning(16)


def shapes(model):
    return {tensor.name: tuple(tensor.dims) for tensor in model.proto.graph.initializer}


def test_the_student_has_half_the_channels_and_answers_better_than_chance(teacher, tmp_path):
    bench = classroom(teacher, tmp_path, rows=ROWS)

    student = Distillation(compare=False, **QUICK).apply(teacher, bench)

    assert shapes(student)["w2"] == (8, 8, 3, 3) and shapes(student)["w3"] == (10, 8)
    assert agreement(student, teacher, bench) > 2 * GUESSING


def test_it_learns_without_labels(teacher, tmp_path):
    bench = classroom(teacher, tmp_path, labelled=False, rows=ROWS)

    student = Distillation(**QUICK).apply(teacher, bench)

    assert agreement(student, teacher, bench) > 2 * GUESSING


def test_fresh_weights_learn_too(teacher, tmp_path):
    bench = classroom(teacher, tmp_path, rows=ROWS)

    student = Distillation(start="fresh", compare=False, **QUICK | {"epochs": 8}).apply(teacher, bench)

    assert agreement(student, teacher, bench) > 1.4 * GUESSING


def test_the_log_tells_the_gain_over_the_same_student_alone_and_the_better_one_is_kept(teacher, tmp_path):
    events = []
    bench = classroom(teacher, tmp_path, emit=events.append)

    student = Distillation(**QUICK).apply(teacher, bench)

    curves = {name: [e.y for e in events if isinstance(e, Point) and e.series == name] for name in (
        "validation top-1 accuracy", "without teacher: validation top-1 accuracy")}  # fmt: skip
    together, alone = (max(curve) for curve in curves.values())
    told = next(event.text for event in events if isinstance(event, Log) and "without a teacher" in event.text)
    assert f"{together - alone:+.4f}" in told
    assert ("no gain" in told) == (together <= alone)
    assert agreement(student, teacher, bench) == pytest.approx(max(together, alone))


class Prose(Material):
    """Texts of which each token foretells the next: a word is followed by the next higher one."""

    def __init__(self, contract, rows):
        super().__init__(contract, rows)
        self.arrays = {name: (ids[:, :1] + np.arange(6)) % 40 for name, ids in self.arrays.items()}

    def batches(self, role, *, size, limit=None):
        for batch in super().batches(role, size=size, limit=limit):
            yield replace(batch, labels=batch.inputs["in0"], next_token=True)


def test_the_student_of_a_language_model_learns_from_text_alone_and_the_log_says_so(tmp_path):
    plain, events = decoder(), []
    model = replace(plain, contract=plain.contract.model_copy(update={"task": Task.CAUSAL_LM}))
    bench = replace(bench_for(model, tmp_path, emit=events.append), data=Prose(model.contract, 64))

    Distillation(epochs=4, batch=16, learning_rate=0.01).apply(model, bench)

    told = [event.text for event in events if isinstance(event, Log)]
    curve = [event.y for event in events if isinstance(event, Point) and event.series.startswith("validation")]
    assert any(text.startswith("Learns from the text alone") for text in told)
    assert not any("without a teacher" in text for text in told)  # the same lessons twice would compare nothing
    assert 1 < curve[-1] < curve[0]  # perplexity


def test_the_same_seed_gives_the_same_student(teacher, tmp_path):
    step = Distillation(start="fresh", compare=False, **QUICK)

    once, again = (step.apply(teacher, classroom(teacher, tmp_path)) for _ in range(2))

    assert once.proto.SerializeToString(deterministic=True) == again.proto.SerializeToString(deterministic=True)


def test_a_student_with_hints_has_the_same_file_as_one_without_and_the_log_names_the_pairs(teacher, tmp_path):
    events = []
    bench = classroom(teacher, tmp_path, rows=ROWS, emit=events.append)

    student = Distillation(features=1.0, compare=False, **QUICK).apply(teacher, bench)

    assert shapes(student)["w2"] == (8, 8, 3, 3)
    assert agreement(student, teacher, bench) > 2 * GUESSING
    assert any("learns from" in event.text for event in events if isinstance(event, Log))
    assert not any("adapter" in name for name in shapes(student))


def test_hints_are_the_same_under_the_same_seed(teacher, tmp_path):
    step = Distillation(features=1.0, compare=False, **QUICK | {"epochs": 2})

    once, again = (step.apply(teacher, classroom(teacher, tmp_path)) for _ in range(2))

    assert once.proto.SerializeToString(deterministic=True) == again.proto.SerializeToString(deterministic=True)


def test_a_student_may_have_fewer_blocks_and_heads(tmp_path):
    model = bert()
    step = Distillation(depth=0.5, width=0.5, compare=False, epochs=1, multiple=1)

    student = step.apply(model, bench_for(model, tmp_path, rows=32))

    assert sum(node.op_type == "Softmax" for node in student.proto.graph.node) == 1
    weights = [dims for dims in shapes(student).values() if len(dims) == 2]
    assert (32, 16) in weights and (64, 32) not in weights and (32, 64) not in weights


def test_a_residual_network_loses_branches(tmp_path):
    model = residual()

    student = Distillation(depth=0.5, width=1, compare=False, epochs=1).apply(
        model, bench_for(model, tmp_path, rows=16)
    )

    additions = [sum(node.op_type == "Add" for node in one.proto.graph.node) for one in (model, student)]
    assert additions == [2, 1]


def test_a_network_without_blocks_cannot_be_made_shorter(mlp, tmp_path):
    with pytest.raises(YoursToFix, match="found none"):
        Distillation(depth=0.5).apply(mlp, classroom(mlp, tmp_path, shape=(64,), rows=64))
