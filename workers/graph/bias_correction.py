"""Taking back what rounding weights adds to a layer's mean output.

Rounded weights are off by D, so that a layer's output is off by D x, whose mean over the data is not zero. It is
measured on calibration rows, for all layers in one pass over the float network, and taken off the layer's bias.

Source: Nagel et al. 2019, Data-Free Quantization, arXiv:1906.04721, section 4.2 and appendix D (from data).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from workers.graph import calibration, surgery
from workers.graph.operators import HEAVY
from workers.workbench import Workbench

Array = NDArray[np.float32]
BIAS_SLOT = 2


@dataclass(frozen=True)
class Layer:
    """A layer whose bias can be moved, and by how much its weights are off."""

    node: NodeProto
    off: Array

    @property
    def shown(self) -> str:
        return f"{self.node.name}::off"


def corrected(ready: ModelProto, quantized: ModelProto, bench: Workbench, samples: int) -> ModelProto:
    """A copy of a float network with biases that make up for the rounding of its weights.

    Args:
        ready: made ready by ``surgery.for_int8``.
        quantized: what the quantizer made of it; its rounded weights are compared with the exact ones.
        samples: most calibration rows to look at.

    Returns:
        The float network to quantize instead; layers that stay in float keep their bias, and so do products
        without one of their own.
    """
    layers = list(_layers(ready, quantized))
    result = surgery.copy(ready)
    if not layers:
        return result
    shifts = _mean_shifts(ready, layers, bench, samples)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in ready.graph.initializer}
    nodes = {node.name: node for node in result.graph.node}
    for layer in layers:
        node, shift = nodes[layer.node.name], shifts[layer.shown]
        before = known[node.input[BIAS_SLOT]] if len(node.input) > BIAS_SLOT else np.zeros_like(shift)
        name = f"{node.name}::bias"
        result.graph.initializer.append(numpy_helper.from_array((before - shift).astype(np.float32), name))
        node.input[:] = [*node.input[:BIAS_SLOT], name]
    return result


def _layers(ready: ModelProto, quantized: ModelProto) -> Iterator[Layer]:
    """The layers with weights in 8 bits and a place for a bias that is fixed, or free."""
    exact = {tensor.name: tensor for tensor in ready.graph.initializer}
    stored = {tensor.name: tensor for tensor in quantized.graph.initializer}
    rounded = {node.output[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    now = {node.name: node for node in quantized.graph.node}
    for node in ready.graph.node:
        if node.op_type not in HEAVY - {"MatMul"} or node.input[1] not in exact or node.name not in now:
            continue
        pair = rounded.get(now[node.name].input[1])
        has_free_bias = len(node.input) <= BIAS_SLOT or node.input[BIAS_SLOT] in exact
        if pair is not None and pair.input[0] in stored and has_free_bias:
            yield Layer(node, _value(pair, stored) - numpy_helper.to_array(exact[node.input[1]]))


def _value(pair: NodeProto, stored: dict[str, TensorProto]) -> Array:
    """What a DequantizeLinear makes of a stored weight with zero point 0, one scale for all or one for each channel."""
    levels, scale = (numpy_helper.to_array(stored[name]) for name in pair.input[:2])
    axis = next((item.i for item in pair.attribute if item.name == "axis"), 1)
    if scale.ndim and scale.size > 1:
        scale = scale.reshape([-1 if place == axis % levels.ndim else 1 for place in range(levels.ndim)])
    return np.asarray(levels.astype(np.float32) * scale, dtype=np.float32)


def _mean_shifts(
    ready: ModelProto, layers: list[Layer], bench: Workbench, samples: int
) -> dict[str, NDArray[np.float64]]:
    """The mean of D x for each layer and output channel, by the name it is shown under."""
    probe = surgery.copy(ready)
    for layer in layers:
        name = f"{layer.shown}::weight"
        probe.graph.initializer.append(numpy_helper.from_array(layer.off, name))
        probe.graph.node.append(surgery.relabelled(layer.node, [layer.node.input[0], name], [layer.shown]))
        probe.graph.value_info.append(helper.make_tensor_value_info(layer.shown, TensorProto.FLOAT, None))
    surgery.sort_topologically(probe.graph)
    observer = calibration.Observer(probe, [layer.shown for layer in layers], bench, samples)
    observer.size_up()
    sums = {layer.shown: np.zeros(1) for layer in layers}
    done = 0
    for rows, values in observer.seen():
        for name, array in values.items():
            others = tuple(axis for axis in range(array.ndim) if axis != 1)
            sums[name] = sums[name] + rows * array.mean(axis=others, dtype=np.float64)
        done += rows
        bench.progress(done, max(samples, done), "Measuring what rounding adds on average")
    return {name: total / max(done, 1) for name, total in sums.items()}
