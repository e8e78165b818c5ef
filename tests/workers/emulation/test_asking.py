import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.emulation.test_latency_file import a_file
from workers.device import FOLDER, profiles
from workers.emulation import ask_about, predict, read_ask
from workers.emulation.fit import write
from workers.errors import YoursToFix
from workers.facts import KindOfWork, ModelFacts

LAYER = {"model": "m", "op": "conv", "kind": "c1", "macs": "20072448", "weights": "648", "act_in": "3", "act_out": "7"}
DIGITS = Path(__file__).resolve().parents[3] / "examples" / "digits" / "digits-cnn.onnx"


def facts(**changes: object) -> ModelFacts:
    work = (KindOfWork(kind="c1", count=3, macs=3000, weights=30, act_in=20, act_out=10),)
    values = {"size_bytes": 1, "zip_bytes": 1, "params": 1, "macs": 3000, "opset": 17, "inputs": (), "outputs": ()}
    return ModelFacts.model_validate({**values, "work": work, **changes})


def ask(tmp_path: Path, text: str, device: str, *more: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "f.json"
    file.write_text(text)
    command = [sys.executable, "-m", "workers", "predict", "--facts", str(file), "--device", device, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_row_of_a_table_is_a_layer():
    layer = read_ask(json.dumps({"layers": [LAYER]})).layers[0]

    assert (layer.kind, layer.macs, layer.weights, layer.act_out, layer.count) == ("c1", 20072448, 648, 7, 1)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{}",
        '{"layers": []}',
        json.dumps({"layers": [{**LAYER, "macs": -1}]}),
        json.dumps({"layers": [{**LAYER, "macs": "NaN"}]}),
        json.dumps({"layers": [{**LAYER, "kind": "magic"}]}),
        json.dumps({"layers": [LAYER], "host": {"device": "rpi5", "p50_ms": 0}}),
        json.dumps({"layers": [LAYER], "surprise": 1}),
    ],
)
def test_what_is_no_question_is_refused_with_what_was_expected(said):
    with pytest.raises(YoursToFix, match="Expected") as caught:
        read_ask(said)

    assert "layer has kind" in caught.value.hint


def test_a_quantized_network_is_asked_about_as_int8():
    assert ask_about(facts(quantized=True)).precision == "int8"
    assert ask_about(facts()).layers[0].count == 3


def test_a_network_that_was_inspected_before_its_work_was_counted_has_to_be_inspected_again():
    with pytest.raises(YoursToFix, match="found none") as caught:
        ask_about(facts(work=()))

    assert "again" in caught.value.hint


def test_the_command_takes_latency_files_and_refuses_those_of_another_device(tmp_path):
    (tmp_path / "out.json").write_bytes(a_file(layers=[LAYER]))
    said = json.dumps({"layers": [LAYER]})

    there = ask(tmp_path, said, "rpi5", "--times", str(tmp_path / "out.json"), "--json")
    elsewhere = ask(tmp_path, said, "rpi4", "--times", str(tmp_path / "out.json"))

    assert json.loads(there.stdout)["latency_ms"] == {"value": 2.0, "low": 1.7, "high": 2.3, "class": "B"}
    assert (elsewhere.returncode, len(elsewhere.stderr.splitlines())) == (2, 1)


def test_the_command_answers_with_a_band_and_its_class(tmp_path):
    said = json.dumps({"layers": [LAYER], "host": {"device": "x86-d64s-v6-1t", "p50_ms": 1.0}})

    found = ask(tmp_path, said, "rk3566-cpu", "--json")

    answer = json.loads(found.stdout)["latency_ms"]
    assert found.returncode == 0
    assert 0 < answer["low"] < answer["value"] < answer["high"]
    assert answer["class"] == "C"


def test_the_command_says_why_where_nothing_is_fitted(tmp_path):
    found = ask(tmp_path, json.dumps({"layers": [LAYER]}), "coral-edgetpu", "--json")

    answer = json.loads(found.stdout)
    assert (found.returncode, answer["latency_ms"]) == (0, None)
    assert "upload a latency file" in answer["why"]


@pytest.mark.parametrize(("text", "device"), [('{"layers": 1}', "rpi5"), (json.dumps({"layers": [LAYER]}), "nowhere")])
def test_the_command_leaves_one_line_and_status_2_where_the_question_is_at_fault(tmp_path, text, device):
    found = ask(tmp_path, text, device)

    assert found.returncode == 2
    assert found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1


def test_a_network_itself_can_be_asked_about():
    command = [sys.executable, "-m", "workers", "predict", "--model", str(DIGITS), "--device", "rpi5-1t", "--json"]

    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert found.returncode == 0, found.stderr
    assert 0 < json.loads(found.stdout)["latency_ms"]["value"] < 5


def test_a_written_fit_reads_back_as_it_was(tmp_path):
    fit = profiles()["rk3566-cpu"].fit
    file = tmp_path / "rk3566-cpu.toml"
    file.write_text((FOLDER / "rk3566-cpu.toml").read_text().partition("\n[fit]\n")[0] + "\n[fit]\nthreads = 4\n")

    write(file, fit)

    assert file.read_text() == (FOLDER / "rk3566-cpu.toml").read_text()


@pytest.mark.parametrize("key", [key for key, profile in profiles().items() if profile.fit is not None])
def test_every_fitted_profile_predicts_and_names_its_source(key):
    found = predict(read_ask(json.dumps({"layers": [LAYER]})), profiles()[key])

    assert found.latency_ms is not None
    assert "README" in found.source
    assert any("calibrated on ncnn" in note for note in found.notes)
