"""One operator at a time, as a model: what is fed, what is held, and its attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 6)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 4, 9, 7)).astype(np.float32)
POSITIVE = np.abs(X) + 0.1
INTEGERS = RNG.integers(-9, 9, (3, 4, 6))
FLAGS = X > 0
KERNEL = (RNG.normal(size=(6, 4, 3, 3)) / 6).astype(np.float32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@dataclass
class Case:
    """One node: fed inputs first, then constants (None leaves an input out)."""

    op_type: str
    fed: Sequence[np.ndarray]
    constants: Sequence[np.ndarray | None] = ()
    opset: int = 17
    outputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        names = [f"in{index}" for index in range(len(self.fed))]
        held = {f"c{index}": values for index, values in enumerate(self.constants) if values is not None}
        inputs = [*names, *(f"c{index}" if c is not None else "" for index, c in enumerate(self.constants))]
        outputs = [f"out{index}" for index in range(self.outputs)]
        node = helper.make_node(self.op_type, inputs, outputs, name="it", **self.attributes)
        kinds = [helper.np_dtype_to_tensor_dtype(values.dtype) for values in self.fed]
        graph = helper.make_graph(
            [node],
            "g",
            [
                helper.make_tensor_value_info(name, kind, values.shape)
                for name, kind, values in zip(names, kinds, self.fed, strict=True)
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(values, name) for name, values in held.items()],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(proto)
        for made, item in zip(proto.graph.output, inferred.graph.output, strict=True):
            made.CopyFrom(item)
        return proto

    def __str__(self) -> str:
        return f"{self.op_type}-{self.opset}"


def one(op_type: str, *fed: np.ndarray, opset: int = 17, outputs: int = 1, **attributes: Any) -> Case:
    return Case(op_type, fed, opset=opset, outputs=outputs, attributes=attributes)


def with_constants(
    op_type: str, fed: np.ndarray, *constants: np.ndarray | None, opset: int = 17, outputs: int = 1, **attributes: Any
) -> Case:
    return Case(op_type, [fed], constants, opset, outputs, attributes)
