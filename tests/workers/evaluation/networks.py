"""Small ONNX networks and data for the tests of evaluation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from workers.contract import Contract, InputSpec, Meaning, OutputSpec, Task
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.workbench import Batch

Size = int | str


def contract_for(task: Task = Task.CLASSIFICATION, meaning: Meaning = "logits") -> Contract:
    inputs = (InputSpec(name="x", shape=(4,), layout="vector"),)
    return Contract(task=task, inputs=inputs, outputs=(OutputSpec(name="y", meaning=meaning),))


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    shape: tuple[Size, ...] = ("n", 4),
    weights: dict[str, np.ndarray] | None = None,
    input_type: int = TensorProto.FLOAT,
    output_type: int = TensorProto.FLOAT,
    domain: str = "",
) -> Path:
    """Write a network with one input ``x`` and one output ``y``."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", input_type, shape)],
        [helper.make_tensor_value_info("y", output_type, None)],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(path: Path, *, shape: tuple[Size, ...] = ("n", 4), bias: float = 0.0) -> Path:
    """y = x W + bias, from 4 numbers to 3 classes; W is fixed."""
    weights = {"w": np.arange(12, dtype=np.float32).reshape(4, 3) / 10 - 0.5, "b": np.full(3, bias, np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    return save(path, nodes, shape=shape, weights=weights)


def stack(path: Path, *, layers: int, width: int = 128) -> Path:
    """``layers`` times MatMul and Relu, each ``width`` by ``width``."""
    rng = np.random.default_rng(1)
    names = ["x", *(f"h{layer}" for layer in range(1, layers)), "y"]
    nodes, weights = [], {}
    for layer in range(layers):
        weights[f"w{layer}"] = rng.normal(0, width**-0.5, (width, width)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [names[layer], f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Relu", [f"m{layer}"], [names[layer + 1]]))
    return save(path, nodes, shape=("n", width), weights=weights)


class Rows:
    """Data of one role, held in memory."""

    def __init__(self, x: np.ndarray, labels: np.ndarray | None = None, role: Role = Role.TEST) -> None:
        self.x, self.labels, self.role = x, labels, role
        self.facts = DatasetFacts(
            format="npz",
            size_bytes=x.nbytes,
            inputs=(),
            target=TargetFacts(kind="class"),
            roles={role: RoleFacts(rows=len(x), declared=True)},
        )

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        rows = np.arange(len(self.x))[:limit]
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            yield Batch({"x": self.x[part]}, None if self.labels is None else self.labels[part], part)
