"""Which range each activation of a network takes on calibration data.

Two passes over the same batches: the first finds the ends of every tensor, the second, where the
method needs it, fills histograms between them. Memory is bounded by one batch: onnxruntime's own
histogram calibrators hold all activations of all samples at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto

from workers.contract import batch_axes
from workers.errors import YoursToFix
from workers.facts import Role
from workers.graph import sharing, surgery
from workers.graph.operators import HEAVY
from workers.numerics import quantization
from workers.workbench import Batch, Workbench

Method = Literal["min-max", "entropy", "percentile", "mse"]
Range = tuple[float, float]
BINS = 2048
MOST_ROWS = 32
ACTIVATION_BYTES = 256 << 20  # of one batch, all tensors together


def activations(proto: ModelProto, op_types: frozenset[str], but: Collection[str] = ()) -> list[str]:
    """The float tensors that nodes of these types read or write, weights left out, in graph order.

    Args:
        but: names of nodes that do not count.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    typed = {
        item.name: item.type.tensor_type.elem_type
        for item in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    }
    counted = [node for node in proto.graph.node if node.op_type in op_types and node.name not in but]
    touched = (name for node in counted for name in (*node.input, *node.output))
    return [name for name in dict.fromkeys(touched) if typed.get(name) == TensorProto.FLOAT and name not in weights]


class Observer:
    """Runs a network and shows what its activations hold."""

    def __init__(self, proto: ModelProto, tensors: list[str], bench: Workbench, samples: int) -> None:
        shown = surgery.copy(proto)
        graph = shown.graph
        typed = {item.name: item for item in (*graph.value_info, *graph.input, *graph.output)}
        surgery.refill(graph.output, [typed[name] for name in tensors])
        sharing.drop_unused(graph)  # what lies behind the last of them need not run
        options = surgery.session_options(bench.threads)
        # Fused or rewritten nodes would no longer write every tensor that is to be seen.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = ort.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.tensors = tensors
        self.bench = bench
        self.samples = samples
        self.fixed_rows = fixed_rows(proto)
        self.rows = self.fixed_rows or 1

    def seen(self) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
        """Each batch as (rows in it, activations by name); the first batch tells how many rows fit in memory."""
        for batch in self.bench.batches(Role.CALIBRATION, size=self.rows, limit=self.samples):
            if self.fixed_rows and len(batch) != self.fixed_rows:
                continue  # the last, short batch of a network with a fixed batch size
            yield len(batch), self._run(batch)

    def size_up(self) -> None:
        """Choose how many rows to run at once from what one row takes."""
        if self.fixed_rows:
            return
        for rows, values in self.seen():
            row_bytes = sum(array.nbytes for array in values.values()) / rows
            self.rows = int(np.clip(ACTIVATION_BYTES // max(row_bytes, 1), 1, MOST_ROWS))
            return

    def _run(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        wanted = {item.name for item in self.session.get_inputs()}
        feed = {name: array for name, array in batch.inputs.items() if name in wanted}
        return dict(zip(self.tensors, self.session.run(self.tensors, feed), strict=True))


def ranges(
    proto: ModelProto,
    op_types: frozenset[str],
    bench: Workbench,
    *,
    method: Method,
    samples: int,
    percentile: float,
) -> dict[str, Range]:
    """The range of every activation on the calibration rows.

    Infinite ones have none: masks of attention hold minus infinity. Layers that multiply cannot take such values.

    Args:
        proto: with inferred shapes; every activation's type must be known.
        op_types: the operators that will be quantized.
        samples: most rows to look at.

    Raises:
        YoursToFix: if there is no calibration row, or what a layer multiplies is infinite or no number.
    """
    tensors = activations(proto, op_types)
    if not tensors:
        return {}
    observer = Observer(proto, tensors, bench, samples)
    observer.size_up()
    ends = _ends(observer, passes=1 if method == "min-max" else 2)
    ends = _finite(ends, multiplied=set(activations(proto, HEAVY)))
    if method == "min-max":
        return ends
    return _narrowed(observer, ends, method, percentile)


def _ends(observer: Observer, passes: int) -> dict[str, Range]:
    """Smallest and largest value of each tensor."""
    ends = dict.fromkeys(observer.tensors, (np.inf, -np.inf))
    done = 0
    for rows, values in observer.seen():
        for name, array in values.items():
            if array.size:
                ends[name] = (min(ends[name][0], float(array.min())), max(ends[name][1], float(array.max())))
        done += rows
        observer.bench.progress(done, passes * observer.samples + 1, "Looking at the calibration rows")
    if not done:
        raise YoursToFix(
            "Expected calibration rows, found none that fill a batch.",
            hint="Choose a dataset with calibration data.",
            code="data.role-missing",
        )
    return ends


def _finite(ends: dict[str, Range], multiplied: Collection[str]) -> dict[str, Range]:
    """The ranges that are finite.

    Raises:
        YoursToFix: if what a layer multiplies has none, or nothing at all was seen of a tensor but not-a-number.
    """
    found = {name: bool(np.isfinite(pair).all()) for name, pair in ends.items()}
    for name, (low, high) in ends.items():
        if not found[name] and (name in multiplied or low > high):
            raise YoursToFix(
                f"Expected finite activations, found {low} to {high} in tensor {name!r} on calibration data.",
                hint="Check that the input contract scales the data as in training.",
                code="calibration.not-finite",
            )
    return {name: pair for name, pair in ends.items() if found[name]}


def _narrowed(observer: Observer, ends: dict[str, Range], method: Method, percentile: float) -> dict[str, Range]:
    """Ranges chosen from histograms between the ends."""
    wide = [name for name, (low, high) in ends.items() if high > low]
    hists = {name: np.zeros(BINS, np.int64) for name in wide}
    done = observer.samples
    for rows, values in observer.seen():
        for name in wide:
            low, high = ends[name]
            hists[name] += quantization.counts(values[name], low=low, high=high, bins=BINS)
        done += rows
        observer.bench.progress(done, 2 * observer.samples + 1, "Counting what the activations hold")
    chosen = dict(ends)
    for name, hist in hists.items():
        observer.bench.check()
        low, high = ends[name]
        chosen[name] = _choose(hist, low, high, method, percentile)
    return chosen


def _choose(hist: quantization.Counts, low: float, high: float, method: Method, percentile: float) -> Range:
    if method == "percentile":
        return quantization.percentile_range(hist, low=low, high=high, percentile=percentile)
    choose = quantization.mse_range if method == "mse" else quantization.entropy_range
    return choose(hist, low=low, high=high)


def fixed_rows(proto: ModelProto) -> int | None:
    """The batch size the network insists on, or nothing if it is free."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    shapes = [_sides(item) for item in proto.graph.input if item.name not in stored]
    sides = [shape[axis] for shape, axis in zip(shapes, batch_axes(shapes), strict=True) if axis is not None]
    return next((side for side in sides if side is not None), None)


def _sides(item: ValueInfoProto) -> list[int | None]:
    dims = item.type.tensor_type.shape.dim
    return [int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims]
