"""Runs the model of this folder on its sample. Needs onnxruntime and numpy only.

It checks every file against the hashes in manifest.json, feeds the sample, compares the answer
with the one that was measured, prints it, and exits 0 if they agree. On a processor with other
instructions than the one it was measured on, an int8 model may answer a little differently.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # must stand before the import: newer versions report home

import numpy as np
import onnxruntime as ort

HERE = Path(__file__).resolve().parent
CLOSE_ENOUGH = 0.02  # of the largest answer; other processors round int8 sums differently


def main() -> int:
    manifest = json.loads((HERE / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        found = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        if found != facts["sha256"]:
            print(
                f"{name}: expected sha256 {facts['sha256']}, found {found}. Download the bundle again.", file=sys.stderr
            )
            return 2
    sample = np.load(HERE / manifest["sample"], allow_pickle=False)
    feed = {name.removeprefix("input__"): sample[name] for name in sample.files if name.startswith("input__")}
    session = ort.InferenceSession(str(HERE / manifest["model"]), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for name, answer in zip(names, session.run(None, feed), strict=True):
        expected = sample[f"output__{name}"]
        print(f"{name}: {describe(answer, manifest['contract'])}")
        apart = float(np.abs(answer.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))
        if apart > CLOSE_ENOUGH * max(float(np.abs(expected).max(initial=0.0)), 1e-6):
            print(f"{name}: the answer is {apart:.3g} away from the measured one.", file=sys.stderr)
            return 1
    print("The answers agree with those that were measured.")
    return 0


def describe(answer: np.ndarray, contract: dict[str, Any]) -> str:
    """The class of a classifier, else the first numbers."""
    if contract["task"] == "classification" and answer.ndim == 2 and answer.shape[1] > 1:
        index = int(answer[0].argmax())
        classes = contract["classes"]
        return f"class {index}" + (f" ({classes[index]})" if index < len(classes) else "")
    return ", ".join(f"{value:.6g}" for value in answer.ravel()[:8])


if __name__ == "__main__":
    raise SystemExit(main())
