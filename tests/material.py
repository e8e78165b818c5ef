"""Small real networks and datasets for tests, built without torch in milliseconds. All are seeded."""

import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


def _weight(name: str, *shape: int, seed: int) -> onnx.TensorProto:
    """Normal values scaled by the square root of what is summed, so that activations keep their size."""
    summed = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    values = np.random.default_rng(seed).normal(size=shape) / np.sqrt(summed)
    return numpy_helper.from_array(values.astype(np.float32), name)


def model_of(
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    *,
    inputs: dict[str, tuple[int | str, ...]],
    outputs: dict[str, tuple[int | str, ...]],
    input_type: int = TensorProto.FLOAT,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A model of these nodes; borders are given as name → shape with the batch axis."""
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info(name, input_type, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        weights,
    )
    opsets = [helper.make_opsetid("", opset)]
    if any(node.domain == "com.microsoft" for node in nodes):
        opsets.append(helper.make_opsetid("com.microsoft", 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tests")


def tiny_mlp(features: int = 64, hidden: int = 32, classes: int = 10, *, seed: int = 0) -> onnx.ModelProto:
    """Gemm → Relu → Gemm, (N, features) → (N, classes) logits."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first", transB=1),
        helper.make_node("Relu", ["h"], ["a"], name="act"),
        helper.make_node("Gemm", ["a", "w2", "b2"], ["y"], name="second", transB=1),
    ]
    weights = [
        _weight("w1", hidden, features, seed=seed),
        _weight("b1", hidden, seed=seed + 1),
        _weight("w2", classes, hidden, seed=seed + 2),
        _weight("b2", classes, seed=seed + 3),
    ]
    return model_of(nodes, weights, inputs={"x": ("N", features)}, outputs={"y": ("N", classes)})


def tiny_cnn(side: int = 8, channels: int = 8, classes: int = 10, *, seed: int = 0) -> onnx.ModelProto:
    """Two 3x3 convolutions, the second with stride 2, global average, Gemm: (N, 1, side, side) → (N, classes)."""
    nodes = [
        helper.make_node("Conv", ["x", "k1", "c1"], ["h1"], name="conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h1"], ["a1"], name="act1"),
        helper.make_node(
            "Conv", ["a1", "k2", "c2"], ["h2"], name="conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]
        ),
        helper.make_node("Relu", ["h2"], ["a2"], name="act2"),
        helper.make_node("GlobalAveragePool", ["a2"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], name="head", transB=1),
    ]
    weights = [
        _weight("k1", channels, 1, 3, 3, seed=seed),
        _weight("c1", channels, seed=seed + 1),
        _weight("k2", 2 * channels, channels, 3, 3, seed=seed + 2),
        _weight("c2", 2 * channels, seed=seed + 3),
        _weight("w", classes, 2 * channels, seed=seed + 4),
        _weight("b", classes, seed=seed + 5),
    ]
    return model_of(nodes, weights, inputs={"x": ("N", 1, side, side)}, outputs={"y": ("N", classes)})


def tiny_lstm(steps: int = 12, features: int = 6, hidden: int = 16, *, seed: int = 0) -> onnx.ModelProto:
    """One LSTM over (N, steps, features), its last state through a Gemm to one number: a regression."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], name="steps_first", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b"], ["", "last"], name="lstm", hidden_size=hidden),
        helper.make_node("Squeeze", ["last", "axis"], ["s"], name="state"),
        helper.make_node("Gemm", ["s", "wo", "bo"], ["y"], name="head", transB=1),
    ]
    weights = [
        _weight("w", 1, 4 * hidden, features, seed=seed),
        _weight("r", 1, 4 * hidden, hidden, seed=seed + 1),
        _weight("b", 1, 8 * hidden, seed=seed + 2),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "axis"),
        _weight("wo", 1, hidden, seed=seed + 3),
        _weight("bo", 1, seed=seed + 4),
    ]
    return model_of(nodes, weights, inputs={"x": ("N", steps, features)}, outputs={"y": ("N", 1)})


def write(proto: onnx.ModelProto, path: Path) -> Path:
    """Save a model in one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto.SerializeToString())
    return path


def write_with_external_data(proto: onnx.ModelProto, folder: Path, *, location: str = "weights.bin") -> Path:
    """Save a model as ``model.onnx`` with all its weights in one file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    outside = onnx.ModelProto()
    outside.CopyFrom(proto)
    data = bytearray()
    for tensor in outside.graph.initializer:
        raw = tensor.raw_data
        refer(tensor, location=location, offset=len(data), length=len(raw))
        data += raw
    (folder / location).write_bytes(bytes(data))
    return write(outside, folder / "model.onnx")


def refer(tensor: onnx.TensorProto, **said: object) -> None:
    """Make a tensor point into a file: ``location``, ``offset``, ``length``."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in said.items():
        tensor.external_data.add(key=key, value=str(value))


def write_zip(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack members into a zip."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def blobs(rows: int, features: int = 64, classes: int = 10, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated normal clouds, one per class: (rows, features) float32 and (rows,) int64."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, features)) * 2
    labels = np.arange(rows) % classes
    return (centres[labels] + generator.normal(size=(rows, features))).astype(np.float32), labels.astype(np.int64)


def write_npz(path: Path, *, train: int = 200, test: int = 100, shape: tuple[int, ...] = (64,), seed: int = 0) -> Path:
    """A dataset of separated clouds with declared train and test rows, samples shaped ``shape``."""
    x, y = blobs(train + test, int(np.prod(shape)), seed=seed)
    x = x.reshape(-1, *shape)
    np.savez(path, x_train=x[:train], y_train=y[:train], x_test=x[train:], y_test=y[train:])
    return path
