"""Students are narrower, learn from their teacher, and the log tells what the teacher was worth."""

import pytest

from tests.workers.techniques.lessons import agreement, classroom, discerning
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


def test_the_same_seed_gives_the_same_student(teacher, tmp_path):
    step = Distillation(start="fresh", compare=False, **QUICK)

    once, again = (step.apply(teacher, classroom(teacher, tmp_path)) for _ in range(2))

    assert once.proto.SerializeToString(deterministic=True) == again.proto.SerializeToString(deterministic=True)
