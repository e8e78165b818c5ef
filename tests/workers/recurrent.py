"""A small speech-like detector with an LSTM and three inputs, as real ones are exported, and data for it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from workers.contract import Contract, InputSpec, OutputSpec, Task

WINDOW, WIDTH, ROWS = 96, 16, 240
CONTRACT = Contract(
    task=Task.CLASSIFICATION,
    inputs=(
        InputSpec(name="input", shape=(WINDOW,), layout="vector"),
        InputSpec(name="state", shape=(2, WIDTH), batch_axis=1),
        InputSpec(name="sr", dtype="int64", shape=(), batch_axis=None),
    ),
    outputs=(OutputSpec(name="output", meaning="probabilities"), OutputSpec(name="stateN")),
    classes=("silence", "speech"),
    headline="auc",
)


def detector(path: Path) -> Path:
    """input (batch, samples), state (2, batch, width) and sr, a single number → output (batch, 1), stateN."""
    make, node = np.random.default_rng(31).normal, helper.make_node
    weights = {
        "basis": make(size=(24, 1, 48)) / 7, "w": make(size=(WIDTH, 24, 3)) / 8, "b": make(size=WIDTH) / 9,
        "wi": make(size=(1, 4 * WIDTH, WIDTH)) / 4, "wh": make(size=(1, 4 * WIDTH, WIDTH)) / 4,
        "bi": make(size=(1, 8 * WIDTH)) / 9, "head": make(size=(1, WIDTH, 1)),
    }  # fmt: skip
    whole = {"zero": [0], "one": [1], "two": [2], "nought": 0, "first": 0, "second": 1}
    nodes = [
        node("Unsqueeze", ["input", "one"], ["signal"]),
        node("Conv", ["signal", "basis"], ["spectrum"], strides=[24], name="transform"),
        node("Abs", ["spectrum"], ["magnitude"]),
        node("Conv", ["magnitude", "w", "b"], ["features"], strides=[4], pads=[1, 1], name="features"),
        node("Relu", ["features"], ["active"]),
        node("Squeeze", ["active", "two"], ["frame"]),
        node("Unsqueeze", ["frame", "zero"], ["step"]),
        node("Gather", ["state", "first"], ["h"], axis=0),
        node("Gather", ["state", "second"], ["c"], axis=0),
        node("Unsqueeze", ["h", "zero"], ["h0"]),
        node("Unsqueeze", ["c", "zero"], ["c0"]),
        node("LSTM", ["step", "wi", "wh", "bi", "", "h0", "c0"], ["", "h1", "c1"], hidden_size=WIDTH, name="lstm"),
        node("Squeeze", ["h1", "zero"], ["memory"]),
        node("Unsqueeze", ["memory", "two"], ["column"]),
        node("Conv", ["column", "head"], ["score"], name="head"),
        node("Sigmoid", ["score"], ["probability"]),
        node("Squeeze", ["probability", "two"], ["output"]),
        node("Concat", ["h1", "c1"], ["next"], axis=0),
        node("Mul", ["sr", "nought"], ["nothing"]),
        node("Cast", ["nothing"], ["cast"], to=TensorProto.FLOAT),
        node("Add", ["next", "cast"], ["stateN"]),
    ]
    border = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "detector",
        [
            border("input", TensorProto.FLOAT, ["batch", "samples"]),
            border("state", TensorProto.FLOAT, [2, "batch", WIDTH]),
            border("sr", TensorProto.INT64, []),
        ],
        [border("output", TensorProto.FLOAT, ["batch", 1]), border("stateN", TensorProto.FLOAT, [2, "batch", WIDTH])],
        [
            *(numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()),
            *(numpy_helper.from_array(np.array(value, np.int64), name) for name, value in whole.items()),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def windows(path: Path, model: Path) -> Path:
    """Rows of each role as named arrays, with labels that the detector gets right nine times in ten."""
    rng = np.random.default_rng(32)
    given = {
        "input": rng.normal(size=(ROWS, WINDOW)).astype(np.float32),
        "state": rng.normal(size=(ROWS, 2, WIDTH)).astype(np.float32),
        "sr": np.full(ROWS, 16_000, np.int64),
    }
    fed = {"input": given["input"], "state": given["state"].transpose(1, 0, 2).copy(), "sr": np.array(16_000)}
    scores = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(["output"], fed)[0][:, 0]
    labels = (scores > np.median(scores)) ^ (rng.random(ROWS) < 0.1)
    parts = {"train": slice(0, ROWS // 2), "test": slice(ROWS // 2, ROWS)}
    arrays = {f"x_{role}__{name}": value[rows] for role, rows in parts.items() for name, value in given.items()}
    np.savez(path, **arrays, **{f"y_{role}": labels[rows].astype(int) for role, rows in parts.items()})
    return path
