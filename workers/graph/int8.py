"""Writing 8-bit networks with onnxruntime's quantizers, without their temporary files.

The number format follows the processor. Measured with onnxruntime 1.31: unsigned activations with signed weights
(U8S8) run 2 to 3 times as fast as float on VNNI, signed activations (S8S8) no faster at all; Arm kernels take both.
x86 processors without VNNI add pairs of 8-bit products in 16 bits, which saturates unless weights keep to 7 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode

from workers.device import ARM, DeviceProfile
from workers.errors import YoursToFix
from workers.graph import calibration, sharing, surgery
from workers.graph.operators import ARITHMETIC, CONVOLUTIONS, HEAVY, QUANTIZED

VNNI_NOTE = (
    "Made for processors with an 8-bit dot product (VNNI and the like): on an x86 processor without it "
    "sums can saturate and accuracy fall by several points."
)
SEVEN_BIT_NOTE = "Weights keep to 7 bits, so that sums cannot saturate on x86 processors without VNNI."
ARM_NOTE = "Made for Arm processors (signed 8-bit activations): on x86 processors with VNNI it brings no speed-up."


FLOAT_ENDS = frozenset({"Gemm", "MatMul"})


@dataclass(frozen=True)
class Choice:
    """How numbers are written, and what the file's user must know about it."""

    signed_activations: bool
    seven_bit: bool
    per_channel: bool
    note: str
    dynamic_note: str


def choose(device: DeviceProfile, reduce_range: Literal["auto", "always", "never"], *, per_channel: bool) -> Choice:
    """The number format for a device."""
    arm = device.arch in ARM
    seven_bit = reduce_range == "always" or (reduce_range == "auto" and not arm and not device.has_int8_dot_product)
    note = SEVEN_BIT_NOTE if seven_bit else ARM_NOTE if arm else VNNI_NOTE
    return Choice(
        signed_activations=arm,
        seven_bit=seven_bit,
        per_channel=per_channel,
        note=note,
        dynamic_note=SEVEN_BIT_NOTE if seven_bit else VNNI_NOTE,  # dynamic activations are always unsigned
    )


def delicate(proto: ModelProto) -> list[str]:
    """The sums, products of values and sigmoids that do not work on what convolutions made; best left in float.

    Between convolutions they let a whole block run in integers. In transformers they save nothing and do harm: a mask
    of -10,000 added to attention scores leaves one level for all of them (measured: MiniLM's embeddings became noise).
    The sums along which patches that a convolution made pass the blocks of a vision transformer are no better off.

    Products of two activations stay in float as well: they have no weights to make smaller, and onnxruntime 1.31 runs
    some of them wrongly (measured: a vision transformer of 17 tokens moved by 14 %, the same file without the runtime's
    fusions, or with these products in float, by 1 %).
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    behind: dict[str, bool] = {}
    found = []
    for node in proto.graph.node:
        sources = [behind[name] for name in node.input if name in behind]
        from_convolution = bool(sources) and (all(sources) if node.op_type == "Add" else any(sources))
        is_product = node.op_type == "MatMul" and not weights.intersection(node.input)
        if is_product or (node.op_type in ARITHMETIC and not from_convolution):
            found.append(node.name)
        keeps = node.op_type in CONVOLUTIONS or (from_convolution and node.op_type in QUANTIZED - HEAVY)
        behind.update(dict.fromkeys(node.output, keeps))
    return found


def static(
    proto: ModelProto,
    ranges: dict[str, tuple[float, float]],
    choice: Choice,
    *,
    op_types: frozenset[str],
    excluded: list[str],
) -> ModelProto:
    """Quantize weights and activations, written as QuantizeLinear and DequantizeLinear pairs.

    Args:
        proto: made ready by ``surgery.for_int8``; it is changed.
        ranges: lowest and highest value of each activation; what reads or makes others stays in float.
        op_types: operators to quantize.
        excluded: names of nodes to leave in float.
    """
    found = {
        name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    unknown = set(calibration.activations(proto, op_types)) - set(ranges)
    left = [*excluded, *(node.name for node in proto.graph.node if unknown.intersection((*node.input, *node.output)))]
    result = _quantized(
        lambda: QDQQuantizer(
            proto,
            choice.per_channel,
            choice.seven_bit,
            QuantType.QInt8,
            QuantType.QInt8 if choice.signed_activations else QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, found),
            [],
            left,
            sorted(op_types),
            {},
        )
    )
    _float_outputs(result)
    _shield_float_layers(result)
    return result


def dynamic(proto: ModelProto, choice: Choice, *, op_types: frozenset[str], excluded: list[str]) -> ModelProto:
    """Quantize weights; activations get their ranges anew in every run.

    Args:
        proto: made ready by ``surgery.for_int8``; it is changed.
        op_types: operators to quantize; never Conv, whose dynamic kernel is slower than float.
        excluded: names of nodes to leave in float.
    """
    left = [*excluded, *(f"{name}_MatMul" for name in excluded)]  # the quantizer splits Gemm before it looks at names
    return _quantized(
        lambda: ONNXQuantizer(
            proto,
            choice.per_channel,
            choice.seven_bit,
            QuantizationMode.IntegerOps,
            False,
            QuantType.QInt8,
            QuantType.QUInt8,
            None,
            [],
            left,
            sorted(op_types),
            {"MatMulConstBOnly": True},
        )
    )


def _float_outputs(proto: ModelProto) -> None:
    """Take the last rounding to 256 levels off the network's outputs, where the runtime computes them in float anyway.

    Its 8-bit Gemm and MatMul can hand out floats; an 8-bit convolution cannot, so that one keeps its pair.
    """
    graph = proto.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers = surgery.consumers(graph)
    for name in [item.name for item in graph.output]:
        after = makers.get(name)
        before = makers.get(after.input[0]) if after is not None and after.op_type == "DequantizeLinear" else None
        if after is None or before is None or before.op_type != "QuantizeLinear" or len(readers[before.output[0]]) != 1:
            continue
        source = makers.get(before.input[0])
        if source is not None and source.op_type in FLOAT_ENDS:
            surgery.drop_nodes(graph, [before, after])
            surgery.rename(graph, {before.input[0]: name}, definitions=True)
    sharing.drop_unused(graph)


def _shield_float_layers(proto: ModelProto) -> None:
    """Put a Clip without bounds, which changes nothing, before each layer left in float between quantized ones.

    Measured with onnxruntime 1.31: when it loads the file it rounds the weights of a float Conv or Gemm between a
    DequantizeLinear and a QuantizeLinear to 8 bits itself, with one scale for all channels, so that a layer spared for
    its accuracy lost more than before. A node between hides the layer from that pass.
    """
    graph = proto.graph
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type in surgery.FLOATS}
    backs = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    readers = surgery.consumers(graph)
    shielded: list[NodeProto] = []
    for node in graph.node:
        if (
            node.op_type in HEAVY
            and node.input[0] in backs
            and node.input[1] in weights
            and _is_rounded(node.output[0], readers)
        ):
            name = f"{surgery.layer_name(node)}::float"
            shielded.append(helper.make_node("Clip", [node.input[0]], [name], name=name))
            node.input[0] = name
    graph.node.extend(shielded)
    surgery.sort_topologically(graph)


def _is_rounded(name: str, readers: dict[str, list[NodeProto]]) -> bool:
    """Whether a value, or what an activation makes of it, goes into a QuantizeLinear."""
    after = readers.get(name, [])
    behind = [node for one in after if one.op_type in ("Relu", "Clip") for node in readers.get(one.output[0], [])]
    return any(node.op_type == "QuantizeLinear" for node in (*after, *behind))


def _quantized(make: Callable[[], QDQQuantizer | ONNXQuantizer]) -> ModelProto:
    """What a quantizer makes of the graph it was given, in an order the standard asks for.

    Raises:
        YoursToFix: where onnxruntime's quantizer cannot work on this graph.
    """
    try:
        quantizer = make()
        quantizer.quantize_model()
    except Exception as error:  # the quantizers raise whatever their arithmetic raises
        raise YoursToFix(
            f"Expected a graph that onnxruntime can quantize, found one on which it fails: {error}",
            hint="Leave the layer it names in float, or export the model again with fixed shapes inside.",
            code="technique.quantizer-failed",
        ) from error
    result: ModelProto = quantizer.model.model
    surgery.sort_topologically(result.graph)  # the quantizers put their nodes at the end
    del result.graph.value_info[:]
    return result
