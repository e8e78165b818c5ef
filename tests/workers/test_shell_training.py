"""Steps that train, from the command line: a student from a file of its own, and a label for each pixel."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from sklearn.metrics import jaccard_score

from tests.material import tiny_cnn, tiny_mlp, write
from tests.workers.graph_fx.networks import UNet, exported, randomize
from tests.workers.test_shell import DIGITS, workers

TAUGHT = {"technique": "distillation", "epochs": 1, "rows": 256}
THEN = [{"technique": "magnitude-pruning", "sparsity": 0.3}, {"technique": "static-int8", "samples": 32}]


def ran(folder: Path, *more: object, model: Path, data: Path, steps: list[dict[str, object]]):
    (folder / "r.yaml").write_text(json.dumps({"steps": steps}))
    given = ("--model", model, "--data", data, "--recipe", folder / "r.yaml", "--out", folder / "out")
    return workers("run", "--quick", *given, *more)


@pytest.mark.parametrize("how", ["option", "recipe"])
def test_a_student_from_a_file_is_taught_pruned_and_quantized(tmp_path, how):
    small = write(tiny_cnn(channels=16, seed=3), tmp_path / "small.onnx")  # its borders are called x and y
    step = TAUGHT if how == "option" else {**TAUGHT, "student": "small.onnx"}
    option = ("--student", small) if how == "option" else ()
    teacher, data = DIGITS / "digits-cnn.onnx", DIGITS / "digits.npz"

    done = ran(tmp_path, *option, model=teacher, data=data, steps=[step, *THEN])

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    named = {"name": str(small) if how == "option" else "small.onnx", "file": "small.onnx",
             "sha256": hashlib.sha256(small.read_bytes()).hexdigest()}  # fmt: skip
    assert report["others"] == manifest["others"] == [named]
    assert manifest["recipe"]["steps"][0]["student"] == named["name"]
    assert "The teacher brought" in report["steps"][0]["says"]
    result = onnx.load(tmp_path / "out" / "model.onnx").graph
    assert [one.name for one in (*result.input, *result.output)] == ["image", "logits"]
    convolutions = [node for node in result.node if node.op_type == "Conv"]
    assert len(convolutions) == 2 and any(node.op_type == "QuantizeLinear" for node in result.node)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (tiny_mlp(), "its shape of input 'x' is N × 64, not N × 1 × 8 × 8"),
        (tiny_cnn(classes=9), "its shape of output 'y' is N × 9, not N × 10"),
    ],
)
def test_a_student_that_does_not_suit_is_refused_before_the_first_step(tmp_path, student, said):
    write(student, tmp_path / "small.onnx")

    done = ran(
        tmp_path, "--student", tmp_path / "small.onnx", model=DIGITS / "digits-cnn.onnx", data=DIGITS / "digits.npz",
        steps=[THEN[0], TAUGHT],
    )  # fmt: skip

    assert done.returncode == 2
    assert f"Expected small.onnx to take and answer what the network of the job does; {said}" in done.stderr
    assert "step_started" not in (tmp_path / "out" / "events.jsonl").read_text()


@pytest.mark.parametrize(
    ("steps", "student", "said"),
    [
        (THEN, "digits-mlp.onnx", "Expected a step that takes a student"),
        ([TAUGHT], "nowhere.onnx", "found nothing"),
    ],
)
def test_a_student_for_nobody_and_one_that_is_not_there_are_one_clear_line(tmp_path, steps, student, said):
    done = ran(
        tmp_path, "--student", DIGITS / student, model=DIGITS / "digits-cnn.onnx", data=DIGITS / "digits.npz",
        steps=steps,
    )  # fmt: skip

    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_label_for_each_pixel_goes_from_the_file_through_training_to_the_report(tmp_path):
    torch.manual_seed(0)
    network = randomize(UNet())
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(200, 1, 16, 16)).astype(np.float32)
    with torch.no_grad():
        network.head.bias -= network(torch.from_numpy(pictures)).mean((0, 2, 3))
    model = write(exported(network, torch.zeros(2, 1, 16, 16)), tmp_path / "unet.onnx")
    labels = scores_of(model, pictures).argmax(1)
    labels[rng.random(labels.shape) < 0.1] = -1
    data = tmp_path / "pixels.npz"
    np.savez(data, x_train=pictures[:140], y_train=labels[:140], x_test=pictures[140:], y_test=labels[140:])
    steps = [{"technique": "magnitude-pruning", "sparsity": 0.8}, {"technique": "fine-tune", "epochs": 6,
             "batch": 16, "learning_rate": 0.005}]  # fmt: skip

    done = ran(tmp_path, model=model, data=data, steps=steps)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    pruned, tuned = (step["checkpoint"]["metrics"]["mean_iou"]["value"] for step in report["steps"])
    assert tuned > pruned + 0.05
    said, known = scores_of(tmp_path / "out" / "model.onnx", pictures[140:]).argmax(1), labels[140:] >= 0
    expected = jaccard_score(labels[140:][known], said[known], average="macro")
    assert report["headline"] == "mean_iou"
    assert report["result"]["metrics"]["mean_iou"]["value"] == pytest.approx(expected, abs=1e-6)
    shutil.rmtree(tmp_path / "out")


def scores_of(model: Path, pictures: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})[0]
