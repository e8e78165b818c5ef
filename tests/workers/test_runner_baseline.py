"""Every step of a job is given the job's untouched network to learn from, also after other steps changed it."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from workers import datasets, runner
from workers.errors import YoursToFix
from workers.facts import Role
from workers.recipe import from_value
from workers.techniques.fine_tune import FineTune
from workers.ticket import Order

EXAMPLES = Path(__file__).parents[2] / "examples" / "digits"


class TestDataOpened(Exception):
    """Raised by the spy as soon as anybody draws a test row."""

    __test__ = False


def test_test_rows_are_drawn_by_the_judge_and_by_nobody_before(tmp_path, monkeypatch):
    for folder in ("in", "out", "steps", "scratch"):
        (tmp_path / folder).mkdir()
    for name in ("digits-mlp.onnx", "digits.npz"):
        shutil.copy(EXAMPLES / name, tmp_path / "in" / name)
    drawn, plain = [], datasets.OpenedData.batches

    def spy(self, role, **more):
        drawn.append(role)
        if role is Role.TEST:
            raise TestDataOpened
        return plain(self, role, **more)

    monkeypatch.setattr(datasets.OpenedData, "batches", spy)
    monkeypatch.chdir(tmp_path)
    recipe = from_value([{"technique": "magnitude-pruning"}, {"technique": "accuracy-int8"}])
    order = Order(kind="compress", model="in/digits-mlp.onnx", data="in/digits.npz", recipe=recipe)

    runner.perform(order, emit=lambda event: None, alone=nullcontext, should_stop=lambda: False)
    judged = order.model_copy(update={"kind": "judge"})

    assert {Role.VALIDATION, Role.CALIBRATION} <= set(drawn)
    with pytest.raises(TestDataOpened):
        runner.perform(judged, emit=lambda event: None, alone=nullcontext, should_stop=lambda: False)


def test_a_later_step_gets_the_network_as_it_came(tmp_path, monkeypatch):
    for folder in ("in", "out", "steps", "scratch"):
        (tmp_path / folder).mkdir()
    for name in ("digits-mlp.onnx", "digits.npz"):
        shutil.copy(EXAMPLES / name, tmp_path / "in" / name)
    given = []

    def look(self, model, bench):
        given.append((bench.baseline.proto, model.proto))
        return model

    monkeypatch.setattr(FineTune, "apply", look)
    monkeypatch.chdir(tmp_path)
    recipe = from_value([{"technique": "magnitude-pruning"}, {"technique": "fine-tune"}])

    order = Order(kind="compress", model="in/digits-mlp.onnx", data="in/digits.npz", recipe=recipe)
    runner.perform(order, emit=lambda event: None, alone=nullcontext, should_stop=lambda: False)

    [(baseline, pruned)] = given
    assert baseline == onnx.load(EXAMPLES / "digits-mlp.onnx")
    assert pruned != baseline


def test_a_network_whose_training_diverged_is_refused_before_anything_is_done(tmp_path, monkeypatch):
    for folder in ("in", "out", "steps", "scratch"):
        (tmp_path / folder).mkdir()
    shutil.copy(EXAMPLES / "digits.npz", tmp_path / "in" / "digits.npz")
    proto = onnx.load(EXAMPLES / "digits-mlp.onnx")
    weight = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 2)
    values = numpy_helper.to_array(weight).copy()
    values[0, 0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(proto, tmp_path / "in" / "diverged.onnx")
    monkeypatch.chdir(tmp_path)
    recipe = from_value([{"technique": "tidy"}])
    order = Order(kind="compress", model="in/diverged.onnx", data="in/digits.npz", recipe=recipe)

    with pytest.raises(YoursToFix, match="not-a-number"):
        runner.perform(order, emit=lambda event: None, alone=nullcontext, should_stop=lambda: False)
