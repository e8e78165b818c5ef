"""Runs the model of this folder on its sample. Needs onnxruntime and numpy only.

Where a tokenizer is in the folder, ``python run.py "some text"`` runs it on that text; this needs tokenizers as well.
A language model continues the text, with the likeliest token each time, if decode.onnx is here: it keeps what earlier
tokens left, and reads its weights out of model.onnx.

It checks every file against the hashes in manifest.json, feeds the sample, compares the answer
with the one that was measured, prints it, and exits 0 if they agree. On a processor with other
instructions than the one it was measured on, an int8 model may answer a little differently.
With ``--bench out.json --device KEY`` it then times the model here and writes a latency file, which
can be uploaded on the page of that device. The file holds times of the whole sample; of a language model
the script also says how long one more token takes.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # must stand before the import: newer versions report home

import numpy as np
import onnxruntime as ort

HERE = Path(__file__).resolve().parent
CLOSE_ENOUGH = 0.02  # of the largest answer; other processors round int8 sums differently
NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
ROUNDS, RUNS_PER_ROUND, WARM_UP_RUNS, LONGEST_SECONDS = 20, 50, 10, 60.0
PAST, PAST_TOKENS = "past_key_values.", 64


def main() -> int:
    options = arguments()
    manifest = json.loads((HERE / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        found = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        if found != facts["sha256"]:
            print(
                f"{name}: expected sha256 {facts['sha256']}, found {found}. Download the bundle again.", file=sys.stderr
            )
            return 2
    if options.text:
        return answer_text(manifest, " ".join(options.text), options)
    sample = np.load(HERE / manifest["sample"], allow_pickle=False)
    feed = {name.removeprefix("input__"): sample[name] for name in sample.files if name.startswith("input__")}
    session = open_session(manifest, options.threads)
    names = [output.name for output in session.get_outputs()]
    for name, answer in zip(names, session.run(None, feed), strict=True):
        expected = sample[f"output__{name}"]
        print(f"{name}: {describe(answer, manifest['contract'])}")
        apart = float(np.abs(answer.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))
        if apart > CLOSE_ENOUGH * max(float(np.abs(expected).max(initial=0.0)), 1e-6):
            print(f"{name}: the answer is {apart:.3g} away from the measured one.", file=sys.stderr)
            return 1
    print("The answers agree with those that were measured.")
    if options.bench is not None:
        options.bench.write_text(json.dumps(latency_file(manifest, session, feed, options), indent=1))
        print(f"Wrote {options.bench}; upload it on the page of the device {options.device}.")
        if manifest.get("decoder"):
            print(next_token(manifest, feed, options))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run this model on its sample, and time it if asked to.")
    parser.add_argument("text", nargs="*", help="text to answer instead of the sample, where a tokenizer is here")
    parser.add_argument("--tokens", type=int, default=24, metavar="N", help="how many a language model adds to a text")
    parser.add_argument("--bench", type=Path, metavar="FILE", help="also time it, and write a latency file")
    parser.add_argument("--device", metavar="KEY", help="the device profile that this machine is; needed to time")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="without it those it was made for")
    options = parser.parse_args()
    if options.bench is not None and not options.device:
        parser.error("--bench needs --device KEY: the key of the profile that this machine is, for example rpi5")
    return options


def open_session(manifest: dict[str, Any], threads: int, file: str = "model") -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads or manifest.get("threads") or 1
    return ort.InferenceSession(str(HERE / manifest[file]), settings, providers=["CPUExecutionProvider"])


def latency_file(
    manifest: dict[str, Any], session: ort.InferenceSession, feed: dict[str, np.ndarray], options: argparse.Namespace
) -> dict[str, Any]:
    """What was timed, in rounds; nine of ten medians of the rounds lie between low and high."""
    for _ in range(WARM_UP_RUNS):
        session.run(None, feed)
    rounds: list[list[float]] = []
    begin = time.perf_counter()
    while len(rounds) < ROUNDS and (len(rounds) < 2 or time.perf_counter() - begin < LONGEST_SECONDS):
        rounds.append([timed(session, feed) for _ in range(RUNS_PER_ROUND)])
    everything, medians = np.concatenate(rounds), np.median(rounds, axis=1)
    p50, p95, p99 = (float(value) for value in np.percentile(everything, [50, 95, 99]))
    low, high = (float(value) for value in np.percentile(medians, [5, 95]))
    return {
        "format": "compressionhub-latency", "version": 1, "device": options.device,
        "machine": platform.machine(), "processor": platform.processor()[:200], "system": platform.platform()[:200],
        "runtime": "onnxruntime", "runtime_version": ort.__version__,
        "threads": session.get_session_options().intra_op_num_threads, "precision": manifest["precision"],
        "model_sha256": manifest["files"][manifest["model"]]["sha256"], "batch": 1, "runs": len(everything),
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "low_ms": min(low, p50), "high_ms": max(high, p50),
        "layers": manifest["layers"], "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017 older Pythons run this
    }  # fmt: skip


def next_token(manifest: dict[str, Any], feed: dict[str, np.ndarray], options: argparse.Namespace) -> str:
    """How long one new token takes after those of the sample, 64 at most, whose keys and values are kept."""
    said = manifest["contract"]["tokenizer"]
    session = open_session(manifest, options.threads, "decoder")
    ids = feed[said["ids"]][feed[said["mask"]] > 0][None, : PAST_TOKENS + 1]
    kept = {said["ids"]: ids[:, :-1], said["mask"]: np.ones_like(ids[:, :-1])} | no_past(session)
    names = [name for name in kept if name.startswith(PAST)]
    past = dict(zip(names, session.run(None, kept)[1:], strict=True))
    one = {said["ids"]: ids[:, -1:], said["mask"]: np.ones_like(ids)} | past
    for _ in range(WARM_UP_RUNS):
        session.run(None, one)
    took = float(np.median([timed(session, one) for _ in range(RUNS_PER_ROUND)]))
    return f"Next token after {ids.shape[1] - 1} earlier ones: {took:.3g} ms, {1000 / took:.1f} tokens a second."


def no_past(session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """Keys and values of no token at all."""
    return {
        node.name: np.zeros([{"batch": 1, "past": 0}.get(side, side) for side in node.shape], NUMBERS[node.type])
        for node in session.get_inputs()
        if node.name.startswith(PAST)
    }


def timed(session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> float:
    """Milliseconds of one run."""
    begin = time.perf_counter()
    session.run(None, feed)
    return (time.perf_counter() - begin) * 1000


def answer_text(manifest: dict[str, Any], text: str, options: argparse.Namespace) -> int:
    """Feed a text through the tokenizer of this folder and print the answer."""
    said = manifest["contract"].get("tokenizer")
    if not manifest.get("tokenizer") or not said:
        print("Expected a tokenizer in this folder, found none: the model takes arrays, not text.", file=sys.stderr)
        return 2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(HERE / manifest["tokenizer"]))
    tokenizer.no_padding()
    if manifest.get("decoder"):
        return continue_text(manifest, text, tokenizer, options)
    tokenizer.enable_truncation(said["max_length"])
    ids = np.array([tokenizer.encode(text).ids])
    values = {said["ids"]: ids, said["mask"]: np.ones_like(ids), "position_ids": np.arange(ids.shape[1])[None]}
    session = open_session(manifest, options.threads)
    feed = {
        spec["name"]: values.get(spec["name"], np.zeros_like(ids)).astype(spec["dtype"])
        for spec in manifest["contract"]["inputs"]
    }
    answer = session.run(None, feed)[0]
    if manifest["contract"]["task"] == "causal-lm":
        print(f"next token: {tokenizer.decode([int(answer[0, -1].argmax())])!r}")
    else:
        print(describe(answer, manifest["contract"]))
    return 0


def continue_text(manifest: dict[str, Any], text: str, tokenizer: Any, options: argparse.Namespace) -> int:
    """Let a language model write on: the likeliest token each time, until a special one or ``--tokens``."""
    said = manifest["contract"]["tokenizer"]
    session = open_session(manifest, options.threads, "decoder")
    past = no_past(session)
    most = max(1, min(options.tokens, said["max_length"] - 1))
    new = tokenizer.encode(text).ids[-(said["max_length"] - most) :]
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    length, begin = 0, time.perf_counter()
    written: list[int] = []
    while len(written) < most:
        length += len(new)
        feed = {said["ids"]: np.array([new], np.int64), said["mask"]: np.ones((1, length), np.int64)}
        scores, *present = session.run(None, feed | past)
        past = dict(zip(past, present, strict=True))
        new = [int(scores[0, -1].argmax())]
        if new[0] in special:
            break
        written += new
    took = time.perf_counter() - begin
    print(f"{text}{tokenizer.decode(written) if written else ''}")
    print(f"{len(written)} tokens, {len(written) / took:.1f} a second with reading the text.")
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
