"""Small networks with known parts, and a workbench over arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.device import DeviceProfile
from workers.events import Progress
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.model import LoadedModel
from workers.workbench import Batch, Workbench

VNNI = DeviceProfile(key="vnni", title="x86 with VNNI", arch="x86_64", isa=("avx2", "avx512f", "avx512_vnni"))
AVX2 = DeviceProfile(key="avx2", title="x86 without VNNI", arch="x86_64", isa=("avx2",))
ARM = DeviceProfile(key="arm", title="Arm with dot product", arch="aarch64", isa=("asimd", "asimddp"))
CONTRACT = Contract(
    task=Task.CLASSIFICATION, inputs=(InputSpec(name="x", shape=(3, 12, 12)),), outputs=(OutputSpec(name="y"),)
)


class Rows:
    """Random rows as a dataset; calibration and validation rows differ."""

    def __init__(self, shape: tuple[int, ...], rows: int = 64) -> None:
        self.values = np.random.default_rng(3).normal(size=(2 * rows, *shape)).astype(np.float32)
        self.order = {Role.CALIBRATION: np.arange(rows), Role.VALIDATION: np.arange(rows, 2 * rows)}
        self.facts = DatasetFacts(
            format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="class"),
            roles={role: RoleFacts(rows=rows, declared=True) for role in self.order},
        )  # fmt: skip
        self.sizes: list[int] = []

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        order = self.order[role][:limit]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            self.sizes.append(len(rows))
            yield Batch({"x": self.values[rows]}, rows % 10, rows)


MakeBench = Callable[..., Workbench]


@pytest.fixture
def make_bench(tmp_path: Path) -> MakeBench:
    """A workbench with calibration rows of the given shape, for the given device."""

    def make(
        shape: tuple[int, ...] = (3, 12, 12),
        device: DeviceProfile = VNNI,
        emit: Callable[[Progress], None] = lambda event: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Workbench:
        return Workbench(
            data=Rows(shape), contract=CONTRACT, device=device, seed=0, threads=1, scratch=tmp_path, step=0,
            emit=emit, should_stop=should_stop,
        )  # fmt: skip

    return make


@pytest.fixture
def bench(make_bench: MakeBench) -> Workbench:
    return make_bench()


def loaded(proto: onnx.ModelProto) -> LoadedModel:
    onnx.checker.check_model(proto, full_check=True)
    return LoadedModel(proto=proto, contract=CONTRACT)


def run(proto: onnx.ModelProto, *inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """The first output of a network, after the checker has passed it."""
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    result: NDArray[np.float32] = session.run(None, dict(zip(names, inputs, strict=True)))[0]
    return result


def rows(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(11).normal(size=shape).astype(np.float32)


def network(
    nodes: list[onnx.NodeProto],
    weights: dict[str, NDArray[np.generic]],
    x: tuple[int | str, ...],
    y: tuple[int | str, ...],
) -> onnx.ModelProto:
    """A network from x to y, opset 17."""
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def gaussian(seed: int) -> Callable[..., NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return lambda *shape, scale=1.0: (generator.normal(size=shape) * scale).astype(np.float32)


@pytest.fixture
def cnn() -> LoadedModel:
    return convolutional(32)


def convolutional(width: int) -> LoadedModel:
    """Convolution, batch-norm, ReLU, pooling, convolution with a shortcut, and a Gemm over 10 classes."""
    make = gaussian(1)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="stem/conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "g", "beta", "mean", "var"], ["n1"], name="stem/norm"),
        node("Relu", ["n1"], ["r1"], name="stem/relu"),
        node("MaxPool", ["r1"], ["p1"], name="stem/pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"], name="body/conv", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "p1"], ["a2"], name="body/add"),
        node("Relu", ["a2"], ["r2"], name="body/relu"),
        node("GlobalAveragePool", ["r2"], ["gap"], name="pool"),
        node("Flatten", ["gap"], ["flat"], name="flat"),
        node("Gemm", ["flat", "w3", "b3"], ["y"], name="head", transB=1),
    ]
    weights = {
        "w1": make(width, 3, 3, 3, scale=0.3), "b1": make(width, scale=0.1),
        "w2": make(width, width, 3, 3, scale=0.5 / width**0.5), "b2": make(width, scale=0.1),
        "w3": make(10, width, scale=0.5), "b3": make(10, scale=0.1),
        "g": 1 + make(width, scale=0.1), "beta": make(width, scale=0.1),
        "mean": make(width, scale=0.1), "var": 1 + np.abs(make(width, scale=0.3)),
    }  # fmt: skip
    return loaded(network(nodes, weights, ("N", 3, 12, 12), ("N", 10)))


@pytest.fixture
def mlp() -> LoadedModel:
    """Two matrix products: one written as MatMul and Add, one as Gemm."""
    make = gaussian(2)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"], name="first"),
        helper.make_node("Add", ["m1", "b1"], ["a1"], name="first/bias"),
        helper.make_node("Relu", ["a1"], ["r1"], name="relu"),
        helper.make_node("Gemm", ["r1", "w2", "b2"], ["y"], name="second"),
    ]
    weights = {"w1": make(64, 256, scale=0.1), "b1": make(256), "w2": make(256, 10, scale=0.1), "b2": make(10)}
    return loaded(network(nodes, weights, ("N", 64), ("N", 10)))
