"""A recurrent network with three inputs goes the whole way: contract, arrays by name, steps, report, bundle."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from sklearn.metrics import roc_auc_score

from tests.workers import recurrent
from tests.workers.test_shell import workers

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "recipes" / "int8-recurrent.yaml"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("run")
    model = recurrent.detector(folder / "detector.onnx")
    data = recurrent.windows(folder / "windows.npz", model)
    (folder / "contract.json").write_text(recurrent.CONTRACT.model_dump_json())
    given = ("--model", model, "--data", data, "--contract", folder / "contract.json", "--recipe", RECIPE)
    ran = workers("run", "--quick", *given, "--out", folder / "out")
    assert ran.returncode == 0, ran.stderr
    return folder / "out"


def test_the_report_agrees_with_the_networks_run_by_hand(out):
    report = json.loads((out / "report.json").read_text())
    with np.load(out.parent / "windows.npz") as data:
        fed = {"input": data["x_test__input"], "state": data["x_test__state"].transpose(1, 0, 2).copy()}
        labels = data["y_test"]

    found = {}
    for which, path in (("baseline", out.parent / "detector.onnx"), ("result", out / "model.onnx")):
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        found[which] = roc_auc_score(labels, session.run(["output"], fed | {"sr": np.array(16_000)})[0][:, 0])

    said = {which: report[which]["metrics"]["auc"]["value"] for which in found}
    assert said["baseline"] == pytest.approx(found["baseline"], abs=1e-9)
    assert said["result"] == pytest.approx(found["result"], abs=0.02)  # rows of a batch share the range they round in
    assert 0.8 < said["result"] < 1
    assert report["headline"] == "auc" and set(report["result"]["latency"]) == {"1", "32"}


def test_every_layer_of_the_artifact_is_in_8_bits(out):
    kinds = [node.op_type for node in onnx.load(out / "model.onnx").graph.node]

    assert "DynamicQuantizeLSTM" in kinds and kinds.count("MatMulInteger") == 3 and "Conv" not in kinds


def test_the_sample_holds_each_input_in_its_own_shape(out):
    with np.load(out / "sample.npz") as sample:
        shapes = {name: sample[name].shape for name in sample.files if name.startswith("input__")}

    assert shapes == {"input__input": (1, 96), "input__state": (2, 1, 16), "input__sr": ()}


def test_the_bundles_script_runs_and_compares_every_output(out):
    ran = subprocess.run([sys.executable, str(out / "run.py")], capture_output=True, text=True, cwd="/", check=False)

    assert ran.returncode == 0, ran.stderr
    assert [line.split(":")[0] for line in ran.stdout.splitlines()[:2]] == ["output", "stateN"]


def test_the_bundles_script_sees_an_answer_that_changed(out, tmp_path):
    for path in filter(Path.is_file, out.iterdir()):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with np.load(out / "sample.npz") as sample:
        arrays = {name: sample[name] for name in sample.files}
    arrays["output__stateN"] = arrays["output__stateN"] + 1
    np.savez(tmp_path / "sample.npz", **arrays)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["files"]["sample.npz"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    ran = subprocess.run([sys.executable, str(tmp_path / "run.py")], capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith("stateN: the answer is")
