"""What steps put into a network beside its own layers: torch's own functions and activation modules, one way only.

Source: https://onnx.ai/onnx/operators/, the operator each name stands for.
"""

from __future__ import annotations

import math
import operator as python
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workers.graph.fx.table import writes_function, writes_module
from workers.graph.fx.writer import Call, Writer

PLAIN_MODULES: Mapping[type[nn.Module], str] = {
    nn.ReLU: "Relu",
    nn.Sigmoid: "Sigmoid",
    nn.Tanh: "Tanh",
    nn.Softplus: "Softplus",
    nn.Softsign: "Softsign",
    nn.Identity: "Identity",
}
PLAIN_FUNCTIONS: Mapping[Any, str] = {
    torch.relu: "Relu",
    functional.relu: "Relu",
    "relu": "Relu",
    torch.sigmoid: "Sigmoid",
    "sigmoid": "Sigmoid",
    torch.tanh: "Tanh",
    "tanh": "Tanh",
    python.add: "Add",
    torch.add: "Add",
    python.mul: "Mul",
    torch.mul: "Mul",
    python.sub: "Sub",
    torch.sub: "Sub",
    python.truediv: "Div",
    torch.div: "Div",
    python.matmul: "MatMul",
    torch.matmul: "MatMul",
    torch.exp: "Exp",
    torch.sqrt: "Sqrt",
    torch.abs: "Abs",
}


@writes_module(*PLAIN_MODULES)
def write_plain_module(writer: Writer, call: Call, module: nn.Module) -> None:
    kind = next(kind for kind in type(module).__mro__ if kind in PLAIN_MODULES)
    writer.emit(PLAIN_MODULES[kind], call.args, call.outputs, name=call.origin.name)


@writes_function(*PLAIN_FUNCTIONS)
def write_plain_function(writer: Writer, call: Call) -> None:
    """Numbers among the operands become float constants."""
    inputs = [arg if isinstance(arg, str) else writer.array(np.array(arg, np.float32), "number") for arg in call.args]
    writer.emit(PLAIN_FUNCTIONS[call.node.target], inputs, call.outputs)


@writes_module(nn.ReLU6, nn.Hardtanh)
def write_clip(writer: Writer, call: Call, module: nn.Hardtanh) -> None:
    ends = [writer.numbers(float(value), "limit") for value in (module.min_val, module.max_val)]
    writer.emit("Clip", [call.args[0], *ends], call.outputs)


@writes_module(nn.SiLU)
def write_silu(writer: Writer, call: Call, module: nn.SiLU) -> None:
    gate = writer.then("Sigmoid", call.args, f"{call.outputs[0]}/gate")
    writer.emit("Mul", [call.args[0], gate], call.outputs)


@writes_module(nn.GELU)
def write_gelu(writer: Writer, call: Call, module: nn.GELU) -> None:
    _gelu(writer, call, module.approximate)


@writes_function(functional.gelu)
def write_gelu_function(writer: Writer, call: Call) -> None:
    _gelu(writer, call, call.arg(1, "approximate", "none"))


def _gelu(writer: Writer, call: Call, approximate: str) -> None:
    """One node since opset 20, before that x / 2 · (1 + erf(x / √2)), exact form only."""
    if writer.opset >= 20:
        writer.emit("Gelu", call.args[:1], call.outputs, approximate=approximate)
        return
    if approximate != "none":
        raise writer.fail(call, "the tanh form of GELU needs opset 20")
    x, out = call.args[0], call.outputs[0]
    scaled = writer.then("Div", [x, writer.numbers(math.sqrt(2), "root")], f"{out}/scaled")
    raised = writer.then(
        "Add", [writer.then("Erf", [scaled], f"{out}/erf"), writer.numbers(1.0, "one")], f"{out}/raised"
    )
    half = writer.then("Mul", [x, writer.numbers(0.5, "half")], f"{out}/half")
    writer.emit("Mul", [half, raised], call.outputs)


@writes_module(nn.LeakyReLU)
def write_leaky(writer: Writer, call: Call, module: nn.LeakyReLU) -> None:
    writer.emit("LeakyRelu", call.args, call.outputs, alpha=module.negative_slope)


@writes_module(nn.Flatten)
def write_flatten(writer: Writer, call: Call, module: nn.Flatten) -> None:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise writer.fail(call, "only nn.Flatten() from the first axis on")
    writer.emit("Flatten", call.args, call.outputs, axis=1)


@writes_function(torch.flatten, "flatten")
def write_flatten_function(writer: Writer, call: Call) -> None:
    if (call.arg(1, "start_dim", 0), call.arg(2, "end_dim", -1)) != (1, -1):
        raise writer.fail(call, "only flatten(x, 1)")
    writer.emit("Flatten", call.args[:1], call.outputs, axis=1)


@writes_function(torch.cat)
def write_cat(writer: Writer, call: Call) -> None:
    writer.emit("Concat", call.args[0], call.outputs, axis=call.arg(1, "dim", 0))


@writes_function(torch.softmax, functional.softmax, "softmax")
def write_softmax(writer: Writer, call: Call) -> None:
    writer.emit("Softmax", call.args[:1], call.outputs, axis=call.arg(1, "dim", -1))


@writes_function(functional.dropout)
def write_nothing(writer: Writer, call: Call) -> None:
    """Dropout does nothing outside training."""
    writer.emit("Identity", call.args[:1], call.outputs)
