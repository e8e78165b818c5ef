"""The command line, from a model to a bundle, with the real sandbox and the digits."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
RECIPE = "steps: [{technique: magnitude-pruning, sparsity: 0.2}, {technique: static-int8, samples: 64}]"


def workers(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "r.yaml").write_text(RECIPE)
    model, data = DIGITS / "digits-mlp.onnx", DIGITS / "digits.npz"
    ran = workers("run", "--quick", "--model", model, "--data", data, "--recipe", folder / "r.yaml", "--out", folder)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def test_the_report_has_the_shape_that_comparisons_rely_on(report):
    sides = {
        "size_bytes", "zip_bytes", "params", "macs", "peak_memory_bytes", "metrics", "latency", "past_tokens",
        "service",
    }  # fmt: skip

    assert {"baseline", "result", "delta", "verdict", "steps", "environment"} <= set(report)
    for side in (report["baseline"], report["result"]):
        assert set(side) == sides
        assert set(side["metrics"]["accuracy"]) == {"value", "low", "high", "n"}
        assert set(side["latency"]) == {"1", "32"}
        assert set(side["latency"]["1"]) == {"p50_ms", "p95_ms", "p99_ms"}
        assert set(side["service"]) == {"workers", "mean_ms", "p95_ms", "cv2"}
    assert set(report["delta"]["metrics"]["accuracy"]) == {"value", "low", "high", "distinguishable"}
    assert set(report["delta"]["speedup"]["32"]) == {"value", "low", "high"}
    assert set(report["verdict"]) == {"word", "batches", "reasons"}
    assert [step["technique"] for step in report["steps"]] == ["magnitude-pruning", "static-int8"]


def test_sizes_and_accuracy_agree_with_the_files_themselves(out, report):
    data = np.load(DIGITS / "digits.npz")
    session = ort.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = data["x_test"].astype(np.float32).reshape(len(data["x_test"]), 1, 8, 8) / 255

    right = (session.run(None, {name: pixels})[0].argmax(axis=1) == data["y_test"]).mean()

    assert report["result"]["size_bytes"] == (out / "model.onnx").stat().st_size
    assert report["baseline"]["size_bytes"] == (DIGITS / "digits-mlp.onnx").stat().st_size
    assert report["result"]["metrics"]["accuracy"]["value"] == pytest.approx(right, abs=1e-9)


def test_what_changed_is_counted_on_the_test_rows(out, report):
    data = np.load(DIGITS / "digits.npz")
    pixels = data["x_test"].astype(np.float32).reshape(len(data["x_test"]), 1, 8, 8) / 255
    was, now = (
        session.run(None, {session.get_inputs()[0].name: pixels})[0].argmax(axis=1)
        for session in map(ort.InferenceSession, (DIGITS / "digits-mlp.onnx", out / "model.onnx"))
    )

    found = report["changes"]

    assert found["compared"] == len(pixels)
    assert found["agreement"]["value"] == pytest.approx((was == now).mean())
    assert found["broken"] == int(((was == data["y_test"]) & (now != data["y_test"])).sum())
    assert len(found["samples"]) == int((was != now).sum())


def test_the_bundle_runs_anywhere_with_onnxruntime_alone(out, tmp_path):
    shutil.copytree(out, tmp_path / "b")

    ran = subprocess.run(
        [sys.executable, str(tmp_path / "b" / "run.py")], capture_output=True, text=True, cwd="/", check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert "class" in ran.stdout


def test_a_damaged_bundle_says_which_file_is_damaged(out, tmp_path):
    shutil.copytree(out, tmp_path / "b")
    with (tmp_path / "b" / "model.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\1\2\3")

    ran = subprocess.run([sys.executable, str(tmp_path / "b" / "run.py")], capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "model.onnx" in ran.stderr


def test_a_second_run_takes_finished_steps_from_the_cache_and_measures_anew(out, report):
    model, data = DIGITS / "digits-mlp.onnx", DIGITS / "digits.npz"
    first = (out / "model.onnx").read_bytes()

    ran = workers("run", "--quick", "--model", model, "--data", data, "--recipe", out / "r.yaml", "--out", out)
    again = json.loads((out / "report.json").read_text())

    assert ran.returncode == 0, ran.stderr
    assert [step["cached"] for step in again["steps"]] == [True, True]
    assert (out / "model.onnx").read_bytes() == first
    assert again["result"]["metrics"] == report["result"]["metrics"]
    assert again["environment"]["started_at"] != report["environment"]["started_at"]


def test_events_are_lines_of_json_that_end_with_success(out):
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]

    assert events[-1]["type"] == "finished" and events[-1]["outcome"] == "succeeded"
    assert "baseline_measured" in {event["type"] for event in events}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "/nowhere.onnx"), "found nothing"),
        (("run", "--model", DIGITS / "digits.npz", "--data", DIGITS / "digits.npz"), "Expected a network"),
        (("run", "--model", DIGITS / "digits-mlp.onnx", "--data", DIGITS / "digits-cnn.onnx"), "Expected"),
        (
            ("run", "--device", "toaster", "--model", DIGITS / "digits-mlp.onnx", "--data", DIGITS / "digits.npz"),
            "toaster",
        ),
    ],
)
def test_an_input_at_fault_is_one_clear_line_and_status_two(arguments, said, tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    rest = ("--recipe", tmp_path / "r.yaml", "--out", tmp_path / "out") if arguments[0] == "run" else ()

    ran = workers(*arguments, *rest)

    assert ran.returncode == 2
    assert said in ran.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "recipe", ["steps: []", "[", "steps: [{technique: magic}]", "steps: [{technique: tidy, x: 1}]"]
)
def test_a_bad_recipe_is_refused_before_anything_runs(recipe, tmp_path):
    (tmp_path / "r.yaml").write_text(recipe)

    ran = workers(
        *("run", "--model", DIGITS / "digits-mlp.onnx", "--data", DIGITS / "digits.npz"),
        *("--recipe", tmp_path / "r.yaml", "--out", tmp_path / "out"),
    )

    assert ran.returncode == 2
    assert "Expected" in ran.stderr or "Step 1" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_techniques_list_what_a_recipe_may_say():
    listed = json.loads(workers("techniques", "--json").stdout)

    assert {"static-int8", "dynamic-int8", "fp16", "magnitude-pruning", "tidy"} <= {item["slug"] for item in listed}
    assert all({"slug", "title", "needs", "parameters"} <= set(item) for item in listed)


def test_the_environment_of_the_caller_does_not_reach_the_child(tmp_path):
    """A sitecustomize on PYTHONPATH would run inside the sandbox if it did."""
    (tmp_path / "sitecustomize.py").write_text("import os; open(os.environ['MARK'], 'a').write('x')")
    mark = tmp_path / "mark"
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "MARK": str(mark)}

    subprocess.run(
        [sys.executable, "-m", "workers", "inspect", str(DIGITS / "digits.npz")],
        env=env,
        check=True,
        capture_output=True,
    )

    assert mark.read_text() == "x"  # the parent alone


def test_a_run_for_another_device_answers_three_questions_and_its_bundle_says_where_it_was_tried(tmp_path):
    (tmp_path / "r.yaml").write_text("steps: [{technique: static-int8, samples: 64}]")
    model, data = DIGITS / "digits-mlp.onnx", DIGITS / "digits.npz"
    given = ("--model", model, "--data", data, "--recipe", tmp_path / "r.yaml", "--out", tmp_path)
    ran = workers("run", "--quick", "--device", "rpi5", *given)
    assert ran.returncode == 0, ran.stderr

    found = json.loads((tmp_path / "report.json").read_text())["emulation"]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (found["device"], found["threads"]) == ("rpi5", 4)
    assert [found["fits"][which]["fits"] for which in ("baseline", "result")] == [True, True]
    assert found["answers"]["same"] is True or found["answers"]["why"]
    assert found["predicted"]["result"]["class"] in ("C", "D")
    assert found["predicted"]["ratio"]["low"] < 1 < found["predicted"]["ratio"]["high"]
    assert manifest["validated_on"] == ["host-1t", "rpi5"]
    assert manifest["made_for"] == "rpi5"
    said = [json.loads(line)["type"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert said.count("judged") == 1
    assert not {"emulated", "compared"} & set(said)


def test_the_bundles_script_times_the_model_on_the_device_it_stands_on_and_writes_a_latency_file(out, tmp_path):
    from workers.emulation.latency_file import read

    target = tmp_path / "out.json"
    command = [sys.executable, str(out / "run.py"), "--bench", str(target), "--device", "host-1t"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert ran.returncode == 0, ran.stderr

    found = read(target.read_bytes())
    manifest = json.loads((out / "manifest.json").read_text())
    assert (found.device, found.threads, found.precision) == ("host-1t", 1, "int8")
    assert found.model_sha256 == manifest["files"]["model.onnx"]["sha256"]
    assert sum(layer.macs for layer in found.layers) == pytest.approx(
        json.loads((out / "report.json").read_text())["result"]["macs"]
    )


def test_timing_without_a_device_is_refused_before_anything_runs(out):
    command = [sys.executable, str(out / "run.py"), "--bench", "out.json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "--device KEY" in ran.stderr


def test_layers_are_measured_one_by_one_and_a_second_time_from_the_cache(tmp_path):
    model, data = DIGITS / "digits-mlp.onnx", DIGITS / "digits.npz"
    asked = ("sensitivity", "--model", model, "--data", data, "--technique", "magnitude-pruning", "--set",
             "sparsity=0.9", "--cache", tmp_path, "--json")  # fmt: skip

    first, second = workers(*asked), workers(*asked)

    found = json.loads(first.stdout)
    assert first.returncode == second.returncode == 0, first.stderr
    assert json.loads(second.stdout) == found
    assert [layer["op"] for layer in found["layers"]] == ["Gemm"] * len(found["layers"])
    assert found["recipe"]["steps"][0]["excluded"] == found["excluded"]
    assert len(list(tmp_path.glob("??/*"))) >= len(found["layers"]) + 1  # a measurement each
