"""A directory and text from the command line to a bundle, in the real sandbox."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from tests.workers.intake import tiny

RECIPE = "steps: [{technique: dynamic-int8}]"


def ran(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=170, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def run(folder: Path, data: Path, recipe: str) -> dict:
    (folder / "r.yaml").write_text(recipe)
    tiny.tokenizer(folder / "net")
    ran(
        sys.executable, "-m", "workers", "run", "--quick", "--model", folder / "net", "--data", data,
        "--recipe", folder / "r.yaml", "--out", folder / "out",
    )  # fmt: skip
    return json.loads((folder / "out" / "report.json").read_text())


def words(seed: int, count: int) -> str:
    return " ".join(f"word{random.Random(seed * 100 + place).randrange(50)}" for place in range(count))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedding")
    tiny.bert(folder / "net")
    rows = [{"query": words(i, 4), "document": f"{words(i, 4)} {words(i + 500, 3)}"} for i in range(80)]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run(folder, folder / "d.jsonl", RECIPE)
    return folder / "out"


def test_an_embedding_network_is_compressed_and_measured_on_retrieval(bundle):
    report = json.loads((bundle / "report.json").read_text())

    for side in ("baseline", "result"):
        assert set(report[side]["metrics"]) == {"mrr", "recall_at_1", "recall_at_5", "recall_at_10"}
        assert report[side]["metrics"]["mrr"]["value"] > 0.3  # queries are the beginnings of their documents
    assert report["delta"]["metrics"]["mrr"]["low"] <= report["delta"]["metrics"]["mrr"]["value"]


def test_the_bundle_holds_the_tokenizer_and_its_script_reads_text(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())

    assert manifest["tokenizer"] == "tokenizer.json" and "tokenizer.json" in manifest["files"]
    assert "agree" in ran(sys.executable, "run.py", cwd=bundle)
    assert len(ran(sys.executable, "run.py", "word1 word2", cwd=bundle).split(",")) == 8


def test_layers_of_a_directory_are_measured_one_by_one_on_pairs(bundle):
    asked = ("--model", bundle.parent / "net", "--data", bundle.parent / "d.jsonl", "--technique", "dynamic-int8")

    found = json.loads(ran(sys.executable, "-m", "workers", "sensitivity", "--json", *asked))

    assert {layer["op"] for layer in found["layers"] if layer["treated"]} == {"MatMul"}
    assert {"Gather", "LayerNormalization"} <= {layer["op"] for layer in found["layers"]}
    assert found["rows"] % 2 == 0 and found["everything"]["points"] is not None


def test_a_language_model_is_compressed_and_measured_on_prose(tmp_path):
    tiny.llama(tmp_path / "net")
    text = "\n\n".join(f"{words(i, 60)}. {words(i + 1000, 60)}." for i in range(60))
    (tmp_path / "d.txt").write_text(text)

    report = run(
        tmp_path, tmp_path / "d.txt",
        "steps: [{technique: fine-tune, epochs: 1}, {technique: weight-only, bits: 8}]",
    )  # fmt: skip

    before, after = (report[side]["metrics"]["perplexity"] for side in ("baseline", "result"))
    assert 30 < before["value"] < 100  # sixty words, and a network that knows nothing yet
    assert after["value"] < before["value"] and report["delta"]["metrics"]["perplexity"]["distinguishable"]
    for side in ("baseline", "result"):
        assert report[side]["past_tokens"] == 63  # the network takes 64 tokens
    assert report["window"]["tokens"] == 64 and report["window"]["baseline"]["p50_ms"] > 0
    assert any("one new token after 63 earlier ones" in note for note in report["notes"])
    said = ran(sys.executable, "run.py", "word1 word2", "--tokens", 5, cwd=tmp_path / "out").splitlines()
    assert said[0].startswith("word1 word2") and said[1].endswith("with reading the text.")
    timed = ran(sys.executable, "run.py", "--bench", "t.json", "--device", "rpi5", cwd=tmp_path / "out").splitlines()
    assert re.fullmatch(r"Next token after 6\d earlier ones: [\d.]+ ms, [\d.]+ tokens a second\.", timed[-1])
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    ids = [2, 4, 5]  # the start, word1, word2
    for _ in range(5):
        ids.append(int(session.run(None, {"input_ids": [ids], "attention_mask": [[1] * len(ids)]})[0][0, -1].argmax()))
    words_then = " ".join(tiny.WORDS[number] for number in ids[3:])
    assert said[0] in (f"word1 word2{words_then}", f"word1 word2 {words_then}")
