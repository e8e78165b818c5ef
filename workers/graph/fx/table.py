"""The table of operators: what each ONNX operator computes in torch, and how its fields are laid out.

An operator without weights is one function. Its positional parameters are the inputs of the ONNX
operator in their order, its keyword-only parameters are the attributes with the defaults of the
specification (https://onnx.ai/onnx/operators/). So the table alone is enough for both directions:
a node becomes a call of the function, a call of the function becomes the node.

Operators with weights become torch modules: a *reader* makes the module, a *writer* the node.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

if TYPE_CHECKING:
    from onnx import NodeProto

    from workers.graph.fx.builder import Builder
    from workers.graph.fx.writer import Call, Writer

Run = Callable[..., Any]
Reader = Callable[["Builder", "NodeProto"], "fx.Node | None"]
ModuleWriter = Callable[["Writer", "Call", Any], None]
FunctionWriter = Callable[["Writer", "Call"], None]

RESERVED = frozenset({"opset", "outputs"})


@dataclass(frozen=True)
class Operator:
    """One operator that is a plain function.

    Attributes:
        run: the torch function, also the target of the fx node.
        inputs: names of the inputs in order; the last one takes all that follow when ``variadic``.
        host: inputs that are read as Python numbers: shapes, axes, sizes.
        floats: those of ``host`` that are stored as float32 even where they hold whole numbers or nothing.
        since: inputs that were attributes before this opset.
        attributes: names of the attributes; ``RESERVED`` names are facts about the node, not attributes.
    """

    op_type: str
    domain: str
    run: Run
    inputs: tuple[str, ...]
    variadic: bool
    host: frozenset[str]
    floats: frozenset[str]
    since: Mapping[str, int]
    attributes: frozenset[str]
    reserved: frozenset[str]

    def input_name(self, index: int) -> str:
        return self.inputs[min(index, len(self.inputs) - 1)]

    def takes(self, index: int) -> bool:
        return self.variadic or index < len(self.inputs)


@dataclass(frozen=True)
class Origin:
    """Which ONNX node an fx node came from; lies in ``node.meta["onnx"]``.

    ``notes`` holds what the torch form has no place for, for example that a Linear was MatMul + Add.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)


OPERATORS: dict[tuple[str, str], Operator] = {}
READERS: dict[tuple[str, str], list[Reader]] = {}
MODULE_WRITERS: dict[type[nn.Module], ModuleWriter] = {}
FUNCTION_WRITERS: dict[Any, FunctionWriter] = {}


def operator(
    op_type: str,
    *,
    domain: str = "",
    host: Iterable[str] = (),
    floats: Iterable[str] = (),
    since: Mapping[str, int] | None = None,
) -> Callable[[Run], Run]:
    """Enter a function into the table as what ``op_type`` computes.

    Args:
        host: inputs the function wants as Python numbers rather than tensors.
        floats: those of them that are floats.
        since: input → opset in which it stopped being an attribute of the same name.
    """

    def register(run: Run) -> Run:
        kinds = inspect.signature(run).parameters.values()
        inputs = tuple(p.name for p in kinds if p.kind is not p.KEYWORD_ONLY)
        named = frozenset(p.name for p in kinds if p.kind is p.KEYWORD_ONLY)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in kinds)
        call = _prepared(run, inputs, frozenset(host))
        entry = Operator(
            op_type,
            domain,
            call,
            inputs,
            variadic,
            frozenset(host),
            frozenset(floats),
            since or {},
            named - RESERVED,
            named & RESERVED,
        )
        OPERATORS[domain, op_type] = entry
        call.operator = entry  # type: ignore[attr-defined]
        return call

    return register


def reader(*op_types: str, domain: str = "") -> Callable[[Reader], Reader]:
    """Enter a function that turns nodes of these types into modules, or answers None where it cannot."""

    def register(read: Reader) -> Reader:
        for op_type in op_types:
            READERS.setdefault((domain, op_type), []).append(read)
        return read

    return register


def writes_module(*classes: type[nn.Module]) -> Callable[[ModuleWriter], ModuleWriter]:
    """Enter a function that writes calls of these modules, and of their subclasses, as nodes."""

    def register(write: ModuleWriter) -> ModuleWriter:
        MODULE_WRITERS.update(dict.fromkeys(classes, write))
        return write

    return register


def writes_function(*targets: Any) -> Callable[[FunctionWriter], FunctionWriter]:
    """Enter a function that writes calls of these functions, or methods by name, as nodes."""

    def register(write: FunctionWriter) -> FunctionWriter:
        FUNCTION_WRITERS.update(dict.fromkeys(targets, write))
        return write

    return register


def _prepared(run: Run, inputs: tuple[str, ...], host: frozenset[str]) -> Run:
    """The function with its host inputs turned into numbers and its tensors on one device.

    Under ``torch.fx`` tracing a call stays one call, whatever the function does inside.
    """
    positions = [index for index, name in enumerate(inputs) if name in host]

    @functools.wraps(run)
    def call(*args: Any, **attributes: Any) -> Any:
        traced = next((value.tracer for value in args if isinstance(value, fx.Proxy)), None)
        if traced is not None:
            return traced.create_proxy("call_function", call, args, attributes)
        values = list(args)
        for index in positions:
            if index < len(values) and isinstance(values[index], Tensor):
                values[index] = numbers(values[index])
        return run(*_together(values), **attributes)

    return call


def numbers(value: Any) -> Any:
    """A tensor as Python numbers: a number for rank 0, else a tuple."""
    listed = value.tolist()
    return tuple(listed) if isinstance(listed, list) else listed


def _together(values: list[Any]) -> list[Any]:
    """Bring tensors to the device of the first one that is not on the CPU, where shapes are computed."""
    away = next((v.device for v in values if isinstance(v, Tensor) and v.device.type != "cpu"), None)
    if away is None:
        return values
    return [v.to(away) if isinstance(v, Tensor) and v.device != away else v for v in values]


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One number or several, as a tuple."""
    return tuple(value) if isinstance(value, tuple | list | torch.Size) else (value,)
