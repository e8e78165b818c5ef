"""Static INT8 through the engine against ONNX Runtime's own quantizer called by hand, on the digits CNN."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from compressionhub.env import ROOT
from compressionhub.site.bench.figure import Figure

TITLE = "static INT8 against quantizing by hand"
DIGITS = ROOT / "examples" / "digits"
MODEL, DATA = DIGITS / "digits-cnn.onnx", DIGITS / "digits.npz"
MOST_SIZE_OFF = 0.02
SEED = 0


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as made:
        folder = Path(made)
        (folder / "recipe.yaml").write_text("steps: [{technique: static-int8}]\n")
        engine = [
            "-m",
            "workers",
            "run",
            "--model",
            MODEL,
            "--data",
            DATA,
            "--recipe",
            folder / "recipe.yaml",
            "--quick",
        ]
        _python(*engine, "--out", folder / "engine")
        _python(DIGITS / "quantize_by_hand.py", MODEL, DATA, folder / "hand.onnx")
        return _compared(folder / "hand.onnx", folder / "engine" / "model.onnx")


def _python(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _compared(hand: Path, ours: Path) -> list[Figure]:
    from workers import datasets, evaluation
    from workers.contract import Contract
    from workers.facts import Role
    from workers.ticket import DataOptions

    contract = Contract.model_validate(json.loads(_python("-m", "workers", "inspect", MODEL, "--json"))["contract"])
    data = datasets.open_data(DATA, options=DataOptions(), contract=contract, seed=SEED)
    before, after = (
        evaluation.predict(evaluation.open_session(path, threads=1), data, Role.TEST) for path in (hand, ours)
    )
    accuracy = evaluation.compare(before, after, contract, seed=SEED)["accuracy"]
    sample = next(iter(data.batches(Role.TEST, size=1))).inputs
    ratio = evaluation.study_latency(hand, ours, sample, batches=(1,), threads=1, seed=SEED).speedup["1"]
    size = ours.stat().st_size / hand.stat().st_size
    worse = accuracy.distinguishable and accuracy.value < 0
    points = f"{accuracy.value * 100:+.2f} points ({accuracy.low * 100:+.2f} to {accuracy.high * 100:+.2f})"
    return [
        Figure("static INT8, size ÷ by hand", f"{size:.3f}", "1.00 ± 0.02", abs(size - 1) <= MOST_SIZE_OFF),
        Figure(
            "static INT8, latency by hand ÷ ours",
            f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
            "1.0 inside the interval or below it",
            ratio.high >= 1,  # below it: ours is the faster one, which is no fault
        ),
        Figure("static INT8, accuracy - by hand", points, "not distinguishably worse", not worse),
    ]
