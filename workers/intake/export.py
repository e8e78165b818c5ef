"""torch → ONNX: trace, store tied weights once, and see that both answer alike.

The tracing exporter is used: on these networks it is ten times as fast as the one that compiles, and its result
does the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor, nn

from workers import evaluation
from workers.errors import OursToFix
from workers.graph import surgery
from workers.graph.sharing import share_weights

OPSET = 17
TOLERANCE = 1e-4
LANGUAGE_TOLERANCE = 5e-4  # some thirty layers with activations in the thousands; 1.3e-4 was seen on SmolLM2-135M
CHECKED_ROWS = 32
BATCHES = (1, 7)
Axes = Mapping[str, Mapping[int, str]]
Example = Callable[[int, int], dict[str, Tensor]]


def traced(
    module: nn.Module, example: dict[str, Tensor], outputs: tuple[str, ...], axes: Axes, file: Path
) -> ModelProto:
    """The network as ONNX.

    Args:
        example: two rows, by input name in the order of the module's arguments.
        axes: names of the free axes, by input or output name.
        file: where the exporter may write; weights of more than 2 GiB come to lie beside it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(example.values()), str(file), input_names=list(example), output_names=list(outputs),
            dynamic_axes={name: dict(free) for name, free in axes.items()}, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    proto = onnx.load(str(file))
    share_weights(proto.graph)
    share_turned(proto)
    proto.producer_name = "compressionhub"
    return proto


def share_turned(proto: ModelProto) -> int:
    """Replace a matrix that is an embedding table turned by the table itself: exporters store tied heads twice.

    Returns:
        How many matrices went.
    """
    graph = proto.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    tables = {node.input[0] for node in graph.node if node.op_type == "Gather" and node.input[0] in weights}
    gone = set()
    for node in list(graph.node):
        other = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if other is None or other.name in gone:
            continue
        table = next((weights[name] for name in tables if _is_turned(weights[name], other)), None)
        if table is not None:
            turn = helper.make_node("Transpose", [table.name], [f"{table.name}/turned"], perm=[1, 0])
            turn.name = turn.output[0]
            graph.node.insert(0, turn)
            surgery.rename(graph, {other.name: turn.output[0]})
            gone.add(other.name)
    return surgery.drop_weights(graph, gone)


def _is_turned(table: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    if list(table.dims) != list(other.dims)[::-1] or table.data_type != other.data_type:
        return False
    return bool(np.array_equal(numpy_helper.to_array(table).T, numpy_helper.to_array(other)))


def see_it_agrees(
    module: Callable[..., Tensor],
    file: Path,
    examples: Iterator[dict[str, Tensor]],
    *,
    threads: int,
    tolerance: float = TOLERANCE,
) -> float:
    """Compare the file's answers with torch's on every example.

    Returns:
        The largest difference as a share of the largest answer.

    Raises:
        OursToFix: if it is more than ``tolerance``.
    """
    session = evaluation.open_session(file, threads=threads)
    apart, largest = 0.0, 1e-6
    for example in examples:
        with torch.no_grad():
            expected = module(*example.values()).float().numpy()
        found = session.run(None, {name: value.numpy() for name, value in example.items()})[0]
        if found.shape != expected.shape:
            raise _differs(f"answers of shape {found.shape} in place of {expected.shape}")
        if not (np.isfinite(found).all() and np.isfinite(expected).all()):
            raise _differs("answers that are infinite or not a number")
        apart = max(apart, float(np.abs(found - expected).max(initial=0.0)))
        largest = max(largest, float(np.abs(expected).max(initial=0.0)))
    if apart > tolerance * largest:
        raise _differs(f"a difference of {apart:.2g} where answers go up to {largest:.3g}")
    return apart / largest


def _differs(found: str) -> OursToFix:
    return OursToFix(
        f"Expected the converted network to answer as torch does, found {found}.",
        hint="Export it yourself with torch.onnx.export and upload the .onnx file; please report the family.",
        code="intake.differs",
    )


def examples(make: Example, *, lengths: tuple[int, ...] = (1,)) -> Iterator[dict[str, Tensor]]:
    """32 rows one by one and 35 in sevens, of changing length; ``make`` takes rows and length."""
    for batch in BATCHES:
        for number in range(-(-CHECKED_ROWS // batch)):
            yield make(batch, lengths[number % len(lengths)])
