"""Students are smaller, learn from their teacher, and the log tells what the teacher was worth."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from tests.workers.techniques.conftest import convolutional, gaussian, loaded, network
from tests.workers.techniques.lessons import agreement, classroom, discerning
from tests.workers.techniques.transformers import Material, bench_for, bert, decoder, residual
from workers import formats
from workers.contract import Task
from workers.errors import YoursToFix
from workers.events import Log, Point
from workers.model import LoadedModel
from workers.techniques.distillation import Distillation
from workers.techniques.fp16 import Fp16

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


def other_network(classes: int = 10) -> LoadedModel:
    """Two plain convolutions over the same pictures; none of its layers is one of the teacher's."""
    make = gaussian(9)
    nodes = [
        helper.make_node("Conv", ["x", "k1", "c1"], ["h1"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h1"], ["a1"], name="act1"),
        helper.make_node("Conv", ["a1", "k2", "c2"], ["h2"], name="second", strides=[2, 2]),
        helper.make_node("Relu", ["h2"], ["a2"], name="act2"),
        helper.make_node("GlobalAveragePool", ["a2"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "v", "c3"], ["y"], name="last", transB=1),
    ]
    weights = {
        "k1": make(12, 3, 3, 3, scale=0.3), "c1": make(12, scale=0.1),
        "k2": make(16, 12, 3, 3, scale=0.15), "c2": make(16, scale=0.1),
        "v": make(classes, 16, scale=0.5), "c3": make(classes, scale=0.1),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", classes)))


@pytest.mark.parametrize("start", ["largest", "fresh"])
def test_another_network_learns_from_the_teacher_and_keeps_its_layers(teacher, tmp_path, start):
    bench = replace(classroom(teacher, tmp_path, rows=ROWS), others={"small": other_network()})

    step = Distillation(student="small", start=start, compare=False, **QUICK | {"epochs": 8})

    student = step.apply(teacher, bench)

    assert shapes(student) == shapes(other_network())
    assert agreement(student, teacher, bench) > 1.4 * GUESSING > agreement(other_network(), teacher, bench)
    assert "before" in bench.conclusion


def test_another_network_may_learn_where_the_teacher_itself_cannot_train(teacher, tmp_path):
    bench = replace(classroom(teacher, tmp_path, rows=ROWS), others={"small": other_network()})
    half = Fp16().apply(teacher, bench)
    bench = replace(bench, baseline=half)

    student = Distillation(student="small", compare=False, **QUICK | {"epochs": 8}).apply(half, bench)

    assert agreement(student, teacher, bench) > 1.4 * GUESSING


def test_another_network_takes_hints_and_the_gain_over_itself_alone_is_the_conclusion(teacher, tmp_path):
    bench = replace(classroom(teacher, tmp_path), others={"small": discerning(8)})

    student = Distillation(student="small", features=0.5, **QUICK | {"epochs": 2}).apply(teacher, bench)

    assert shapes(student)["w2"] == (8, 8, 3, 3)
    assert "without a teacher" in bench.conclusion and "The teacher brought" in bench.conclusion


def test_another_network_that_answers_in_another_shape_is_refused(teacher, tmp_path):
    bench = replace(classroom(teacher, tmp_path), others={"small": other_network(classes=9)})

    with pytest.raises(YoursToFix, match=r"answer to two rows is 2, 9, not 2, 10"):
        Distillation(student="small", compare=False, **QUICK).apply(teacher, bench)


def test_forecasts_follow_the_student_and_count_the_teacher():
    big, small = (formats.facts(convolutional(width).proto) for width in (128, 8))
    step = Distillation(student="small")

    alone, taught = step.forecast(small), step.forecast_with(big, small)

    assert taught.size_bytes.high < big.size_bytes
    assert taught.memory_bytes.value > alone.memory_bytes.value
    assert taught.seconds.value < step.forecast(big).seconds.value
