"""Labels per frame and per pixel, from the file through the guessed contract to the metrics."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.metrics import jaccard_score, roc_auc_score

from workers import datasets, evaluation, formats
from workers.errors import YoursToFix
from workers.facts import Role
from workers.ticket import DataOptions

RNG = np.random.default_rng(5)


def network(path, nodes, shape, output, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", kind, output)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def speech(tmp_path):
    """A network that says a probability for each of 12 frames, and 40 recordings with labels for each frame."""
    model = network(tmp_path / "m.onnx", [helper.make_node("Sigmoid", ["x"], ["y"])], ["n", 12], ["n", 12])
    labels = RNG.integers(0, 2, (40, 12))
    x = (RNG.normal(size=(40, 12)) + labels).astype(np.float32)
    labels[7, 9:] = -1
    np.savez(tmp_path / "d.npz", x_train=x[:20], y_train=labels[:20], x_test=x[20:], y_test=labels[20:])
    return model, tmp_path / "d.npz"


@pytest.fixture
def pictures(tmp_path):
    """A network that gives each pixel three scores, and 30 pictures with a class for each pixel."""
    model = network(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], ["n", 3, 6, 5], ["n", 3, 6, 5])
    labels = RNG.integers(0, 3, (30, 6, 5))
    x = (RNG.normal(size=(30, 3, 6, 5)) + 2 * np.moveaxis(np.eye(3)[labels], -1, 1)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x_train=x[:15], y_train=labels[:15], x_test=x[15:], y_test=labels[15:])
    return model, tmp_path / "d.npz"


def evaluated(model, where):
    proto, facts = formats.inspect(model)
    contract = formats.guess_contract(proto, facts, datasets.inspect(where, options=DataOptions()))
    data = datasets.open_data(where, options=DataOptions(), contract=contract, seed=0)
    predictions = evaluation.predict(evaluation.open_session(model), data, Role.TEST)
    return contract, predictions, evaluation.score(predictions, contract, seed=0)


def test_a_speech_detector_is_scored_over_its_frames(speech):
    contract, predictions, scores = evaluated(*speech)

    assert contract.outputs[0].per == "frame" and contract.outputs[0].meaning == "probabilities"
    assert list(scores) == ["accuracy", "ap", "auc", "macro_f1"]
    assert scores["auc"].value == pytest.approx(roc_auc_score(predictions.labels.ravel(), predictions.outputs.ravel()))
    assert scores["auc"].n == 20 * 12


def test_a_segmenter_is_scored_over_its_pixels_with_mean_iou_first(pictures):
    contract, predictions, scores = evaluated(*pictures)

    said = predictions.outputs.argmax(axis=1).ravel()
    assert contract.outputs[0].per == "pixel"
    assert next(iter(scores)) == "mean_iou"
    assert scores["mean_iou"].value == pytest.approx(jaccard_score(predictions.labels.ravel(), said, average="macro"))


def test_facts_count_frames_by_class_and_leave_out_those_without_a_label(speech):
    facts = datasets.inspect(speech[1], options=DataOptions())

    assert facts.target.per == "frame"
    counted = sum(sum(role.class_counts.values()) for name, role in facts.roles.items() if name != Role.CALIBRATION)
    assert counted == 40 * 12 - 3


@pytest.mark.parametrize("value", [255, -2])
def test_a_mark_other_than_minus_one_for_no_label_is_refused(tmp_path, value):
    labels = np.zeros((30, 4, 4), np.int64)
    labels[0, 0, 0] = value
    np.savez(tmp_path / "d.npz", x=np.zeros((30, 1, 4, 4), np.float32), y=labels)

    with pytest.raises(YoursToFix) as caught:
        datasets.inspect(tmp_path / "d.npz", options=DataOptions())

    assert caught.value.code == "data.label-out-of-range"


def test_ten_tried_samples_say_the_usual_class_and_the_share_of_right_frames(speech):
    from workers import trial

    model, where = speech
    contract, _, _ = evaluated(model, where)
    data = datasets.open_data(where, options=DataOptions(), contract=contract, seed=0)

    tried = trial.attempt(evaluation.open_session(model), data, contract, seed=0, check=lambda: None)

    assert tried.samples[0].right is None and 0 <= tried.samples[0].score <= 1
    assert tried.samples[0].label.endswith("of 12)")
    assert tried.metric == "accuracy" and tried.chance >= 0.5


def test_a_mean_of_shares_is_a_share(tmp_path):
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("ReduceMean", ["s"], ["y"], axes=[1], keepdims=1),
    ]
    model = network(tmp_path / "m.onnx", nodes, ["n", 4], ["n", 1])
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(40, 4)).astype(np.float32), y=RNG.integers(0, 2, 40))

    contract, _, scores = evaluated(model, tmp_path / "d.npz")

    assert contract.outputs[0].meaning == "probabilities"
    assert "auc" in scores
