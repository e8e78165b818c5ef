"""Predicting, reading what was predicted, and scoring it."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.dummy import DummyClassifier, DummyRegressor

from tests.workers.evaluation.networks import Rows, contract_for, linear, save
from workers.contract import Task
from workers.errors import Stopped, YoursToFix
from workers.evaluation import Predictions, chance_level, compare, open_session, predict, predicted_classes, score
from workers.facts import Role

X = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 50)
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 10 - 0.5


def made(outputs: np.ndarray, labels: np.ndarray | None = None) -> Predictions:
    return Predictions(np.asarray(outputs, np.float32), labels, np.arange(len(outputs)))


@pytest.mark.parametrize("shape", [("n", 4), (1, 4), (8, 4)])
def test_a_free_and_a_fixed_batch_size_give_the_same_answers(tmp_path, shape):
    found = predict(open_session(linear(tmp_path / "m.onnx", shape=shape)), Rows(X, Y), Role.TEST, batch=16)

    np.testing.assert_allclose(found.outputs, X @ WEIGHTS, rtol=1e-5, atol=1e-6)
    assert found.outputs.dtype == np.float32
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.rows, np.arange(50))


@pytest.mark.parametrize("size", [[1, 4], [1, -1]])
def test_a_batch_axis_that_is_free_in_name_only_is_fed_one_by_one(tmp_path, size):
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, weights={"s": np.array(size, np.int64)})

    found = predict(open_session(path), Rows(X, Y), Role.TEST)

    np.testing.assert_array_equal(found.outputs, X)


def test_limit_progress_and_labels_that_are_missing(tmp_path):
    said = []
    session = open_session(linear(tmp_path / "m.onnx"))

    found = predict(session, Rows(X), Role.TEST, batch=8, limit=20, progress=lambda *what: said.append(what))

    assert len(found) == 20 and found.labels is None
    assert [(done, total) for done, total, _ in said] == [(8, 20), (16, 20), (20, 20)]


def test_predicting_stops_between_batches_when_asked(tmp_path):
    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        predict(open_session(linear(tmp_path / "m.onnx")), Rows(X), Role.TEST, check=stop)


def test_a_role_without_rows_is_said_to_be_missing(tmp_path):
    with pytest.raises(YoursToFix) as caught:
        predict(open_session(linear(tmp_path / "m.onnx")), Rows(X), Role.VALIDATION)

    assert caught.value.code == "data.role-missing"


def test_an_output_without_a_row_for_each_sample_is_refused(tmp_path):
    path = save(tmp_path / "m.onnx", [helper.make_node("Transpose", ["x"], ["y"])])

    with pytest.raises(YoursToFix, match="one answer for each"):
        predict(open_session(path), Rows(X), Role.TEST)


def test_an_output_that_is_no_number_is_refused(tmp_path):
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING)]
    path = save(tmp_path / "m.onnx", nodes, output_type=TensorProto.STRING)

    with pytest.raises(YoursToFix) as caught:
        predict(open_session(path), Rows(X), Role.TEST)

    assert caught.value.code == "model.output-type"


@pytest.mark.parametrize(
    ("outputs", "meaning", "classes"),
    [
        ([[0.1, 0.9], [3.0, 1.0]], "logits", [1, 0]),
        ([[0.4], [0.6]], "probabilities", [0, 1]),
        ([0.4, 0.6], "probabilities", [0, 1]),
        ([[0.4], [-0.6]], "logits", [1, 0]),
        ([2.0, 0.0], "labels", [2, 0]),
        ([[2.0], [0.0]], "labels", [2, 0]),
        ([[[[0.1]], [[0.9]]], [[[3.0]], [[1.0]]]], "logits", [1, 0]),
        ([[np.nan, 1.0], [0.0, 1.0]], "logits", [-1, 1]),
    ],
)
def test_outputs_are_read_as_the_contract_says(outputs, meaning, classes):
    found = predicted_classes(np.asarray(outputs, np.float32), contract_for(meaning=meaning))

    assert found.tolist() == classes


def test_a_map_of_scores_is_no_classification():
    with pytest.raises(YoursToFix, match="one score for each class"):
        predicted_classes(np.zeros((2, 3, 8, 8), np.float32), contract_for())


def test_score_gives_every_metric_that_suits():
    labels = np.array([0, 1, 2, 0])

    found = score(made(np.eye(3)[[0, 1, 2, 1]], labels), contract_for(), seed=0)

    assert list(found) == ["accuracy", "ap", "auc", "macro_f1"]
    assert found["accuracy"].value == 0.75 and found["accuracy"].n == 4


def test_without_labels_there_is_no_score():
    assert score(made(np.eye(3)), contract_for(), seed=0) == {}
    assert compare(made(np.eye(3)), made(np.eye(3)), contract_for(), seed=0) == {}


@pytest.mark.parametrize(
    "labels", [np.array([[0], [1], [2]]), np.array([0.0, 1.0, 2.0]), np.array([0, 1, 2], np.uint8)]
)
def test_class_numbers_may_come_as_a_column_or_as_whole_floats(labels):
    assert score(made(np.eye(3), labels), contract_for(), seed=0)["accuracy"].value == 1


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (np.array([0.5, 1, 2]), "data.labels"),
        (np.array([-1, 1, 2]), "data.labels"),
        (np.eye(3), "data.labels"),
        (np.array(["a", "b", "c"]), "data.labels"),
        (np.array([0, 1, 3]), "data.labels-out-of-range"),
    ],
)
def test_labels_that_name_no_class_of_the_network_are_refused(labels, code):
    with pytest.raises(YoursToFix) as caught:
        score(made(np.eye(3), labels), contract_for(), seed=0)

    assert caught.value.code == code


def test_compare_is_after_minus_before_on_the_same_rows():
    labels = np.array([0, 1, 2, 0])
    before, after = made(np.eye(3)[[1, 1, 2, 1]], labels), made(np.eye(3)[[0, 1, 2, 1]], labels)

    assert compare(before, after, contract_for(), seed=0)["accuracy"].value == 0.25
    assert compare(after, before, contract_for(), seed=0)["accuracy"].value == -0.25


def test_predictions_for_other_rows_are_not_compared():
    labels = np.array([0, 1, 2])
    other = Predictions(np.eye(3, dtype=np.float32), labels, np.array([3, 4, 5]))

    with pytest.raises(ValueError, match="same rows"):
        compare(made(np.eye(3), labels), other, contract_for(), seed=0)


@pytest.mark.parametrize("labels", [np.array([1.0, 2.0]), np.array([[1.0], [2.0]])])
def test_numbers_are_scored_whether_or_not_they_stand_in_a_column(labels):
    found = score(made(np.array([[2.0], [4.0]]), labels), contract_for(Task.REGRESSION, "values"), seed=0)

    assert found["rmse"].value == pytest.approx(np.sqrt((1 + 4) / 2))


@pytest.mark.parametrize(
    ("outputs", "code"), [([[1.0], [np.inf]], "model.not-finite"), ([[1.0, 2.0], [3.0, 4.0]], "model.output-shape")]
)
def test_predictions_that_are_no_figure_are_refused(outputs, code):
    with pytest.raises(YoursToFix) as caught:
        score(made(np.array(outputs), np.array([1.0, 2.0])), contract_for(Task.REGRESSION, "values"), seed=0)

    assert caught.value.code == code


def test_chance_is_what_a_network_that_looks_at_nothing_reaches():
    labels = np.array([0, 0, 0, 1, 2, 2])
    numbers = np.array([1.0, 4.0, 2.5, 9.0])
    nothing = np.zeros((6, 1))

    guessed = DummyClassifier(strategy="most_frequent").fit(nothing, labels).score(nothing, labels)
    mean = DummyRegressor().fit(nothing[:4], numbers).predict(nothing[:4])

    assert chance_level(labels, contract_for()) == guessed
    assert chance_level(numbers, contract_for(Task.REGRESSION, "values")) == pytest.approx(
        np.sqrt(np.mean((numbers - mean) ** 2))
    )
