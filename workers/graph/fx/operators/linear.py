"""Matrix products: Gemm and MatMul with trained weights as nn.Linear, all others as functions.

Source: https://onnx.ai/onnx/operators/, the pages of Gemm, MatMul and Einsum.
"""

from __future__ import annotations

import torch
from onnx import NodeProto
from torch import Tensor, fx, nn

from workers.graph.fx.builder import Builder
from workers.graph.fx.source import attributes_of
from workers.graph.fx.table import operator, reader, writes_module
from workers.graph.fx.writer import Call, Writer

TRANSPOSED = "transposed"  # layout of a parameter that lies the other way round in the file


@reader("Gemm")
def read_gemm(builder: Builder, node: NodeProto) -> fx.Node | None:
    """nn.Linear where the second factor is trained, the bias is one per column, and nothing is scaled."""
    attributes = attributes_of(node)
    scaled = attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0
    if scaled or attributes.get("transA", 0) or not builder.is_weight(node.input[1], 2):
        return None
    turned = bool(attributes.get("transB", 0))
    columns = builder.source.weights[node.input[1]].dims[0 if turned else 1]
    bias = builder.optional(node, 2)
    if bias and not is_row(builder, bias, columns):
        return None
    if not turned and not keeps_layout(builder, node.input[1]):
        return None
    return place_linear(
        builder,
        node,
        node.input[0],
        node.input[1],
        bias,
        stored_as_linear=turned,
        notes={"form": "Gemm", "transB": int(turned)},
    )


def is_row(builder: Builder, name: str, columns: int) -> bool:
    """Whether a value is a trained number for each column, (n,) or (1, n)."""
    return builder.is_weight(name, 1, 2) and list(builder.source.weights[name].dims) in ([columns], [1, columns])


def keeps_layout(builder: Builder, weight: str) -> bool:
    """Whether every reader of a weight takes it as (in, out), so that one turned parameter serves them all."""
    source = builder.source
    names = {source.real(weight)} | {alias for alias, real in source.alias.items() if real == source.real(weight)}
    for reading in (reading for name in names for reading in source.consumers.get(name, ())):
        matmul = reading.op_type == "MatMul" and reading.input[1] in names
        gemm = reading.op_type == "Gemm" and reading.input[1] in names and not attributes_of(reading).get("transB", 0)
        if not (matmul or gemm or reading.op_type == "Identity"):
            return False
    return True


def place_linear(
    builder: Builder,
    node: NodeProto,
    x: str,
    weight: str,
    bias: str,
    *,
    stored_as_linear: bool,
    notes: dict[str, object],
    outputs: list[str] | None = None,
) -> fx.Node:
    """Call an nn.Linear with these initializers.

    Args:
        stored_as_linear: the initializer is (out, in) as torch wants it; else it is turned.
    """

    def make() -> nn.Module:
        if stored_as_linear:
            held = builder.parameter(weight)
        else:
            held = builder.parameter(weight, TRANSPOSED, lambda tensor: tensor.T)
        module = nn.Linear(held.shape[1], held.shape[0], bias=bool(bias), device="meta")
        module.weight = held
        if bias:
            layout = None if builder.is_weight(bias, 1) else "row"
            module.bias = builder.parameter(bias, layout, lambda tensor: tensor.reshape(-1))
        return module

    weights = {"weight": weight} | ({"bias": bias} if bias else {})
    return builder.place(node, make, weights=weights, args=[builder.value(x)], notes=notes, outputs=outputs)


@writes_module(nn.Linear)
def write_linear(writer: Writer, call: Call, module: nn.Linear) -> None:
    """In the form it was read in; a layer a step added becomes MatMul and Add, which take any rank."""
    notes = call.origin.notes
    if notes.get("form") == "Gemm":
        _write_gemm(writer, call, module, bool(notes["transB"]))
        return
    weight = _matmul_weight(writer, module, turn_in_graph=bool(notes.get("turned")))
    if module.bias is None:
        writer.emit("MatMul", [call.args[0], weight], call.outputs, name=call.origin.name)
        return
    product = writer.fresh(str(notes.get("product") or f"{call.outputs[0]}/product"))
    writer.emit("MatMul", [call.args[0], weight], [product], name=str(notes.get("matmul", "")))
    operands = [product, writer.tensor(module.bias, "bias")]
    if notes.get("bias_first"):
        operands.reverse()
    writer.emit("Add", operands, call.outputs, name=call.origin.name)


def _write_gemm(writer: Writer, call: Call, module: nn.Linear, turned: bool) -> None:
    if turned:
        weight = writer.tensor(module.weight, "weight")
    else:
        weight = writer.tensor(module.weight, "weight", layout=TRANSPOSED, change=lambda tensor: tensor.T)
    inputs = [call.args[0], weight]
    if module.bias is not None:
        inputs.append(writer.tensor(module.bias, "bias"))
    writer.emit("Gemm", inputs, call.outputs, name=call.origin.name, transB=1 if turned else None)


def _matmul_weight(writer: Writer, module: nn.Linear, *, turn_in_graph: bool) -> str:
    """The second factor of MatMul: stored turned, or turned by a node where the file needs it unturned as well."""
    if not turn_in_graph and not writer.is_stored(module.weight):
        return writer.tensor(module.weight, "weight", layout=TRANSPOSED, change=lambda tensor: tensor.T)
    stored = writer.tensor(module.weight, "weight")
    return writer.then("Transpose", [stored], f"{stored}/turned", perm=(1, 0))


@operator("Gemm")
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1.0 else alpha * product
    return product if c is None else product + (c if beta == 1.0 else beta * c)


@operator("MatMul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


@operator("FusedMatMul", domain="com.microsoft")
def fused_matmul(a: Tensor, b: Tensor, *, alpha: float = 1.0, transA: int = 0, transB: int = 0) -> Tensor:
    """Transposed over the last two axes, then scaled."""
    return alpha * torch.matmul(a.mT if transA else a, b.mT if transB else b)


@operator("Einsum")
def einsum(*inputs: Tensor, equation: str) -> Tensor:
    made: Tensor = torch.einsum(equation, *inputs)  # type: ignore[no-untyped-call]
    return made


@operator("Det")
def determinant(x: Tensor) -> Tensor:
    found: Tensor = torch.linalg.det(x)
    return found
