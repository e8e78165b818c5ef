"""Rough answers to "how long, how much memory, how big?", from the facts of a network alone.

The constants were measured with onnxruntime 1.31 on one AVX512 core, networks of 0.9 and 100 MB: a static INT8 step
on 256 rows took 0.3 and 2.9 s, tidy 0.1 and 0.9 s, FP16 0.1 and 1.5 s, beside 0.5 s for loading the libraries and
600 to 900 MB of memory for the larger one. The spans are wide on purpose: a forecast that is wrong costs more trust
than a vague one.
"""

from collections.abc import Collection
from math import prod

from workers.facts import LayerFacts, ModelFacts, Span
from workers.technique import Forecast

MACS_PER_SECOND = Span(value=15e9, low=4e9, high=60e9)  # float32, one core: depthwise layers at the low end
BASE_MEMORY_BYTES = 160 << 20  # Python, numpy, onnx and onnxruntime without a network
FLOAT_BYTES = 4
LEAST_WIDTH = 300
LEAST_MACS = 250_000
PAIR_BYTES = 300  # a QuantizeLinear and DequantizeLinear pair with names, scale and zero point
CHANNEL_BYTES = 13  # of one output channel: scale and zero point of its weights and of its bias


def params_in(facts: ModelFacts, ops: Collection[str]) -> int:
    """The parameters that lie in layers of these types."""
    return sum(layer.params for layer in facts.layers if layer.op in ops)


def width(facts: ModelFacts, ops: Collection[str]) -> float:
    """How many products a layer of these types adds up for one number it puts out; the mean over all products."""
    layers = [layer for layer in facts.layers if layer.op in ops and layer.macs and prod(layer.output_shape) > 0]
    work = sum(layer.macs for layer in layers)
    each = (layer.macs**2 / prod(layer.output_shape[1:]) for layer in layers)  # of one sample, as MACs are
    return sum(each) / work if work else 0.0


def too_narrow_for_int8(facts: ModelFacts, ops: Collection[str]) -> bool:
    """Whether rounding activations to 8 bits costs about what integer arithmetic saves, at batch 1.

    Measured on VNNI, static INT8 against float: 3x3 convolutions of 16, 32, 64 and 128 channels ran 0.7, 1.0, 1.8 and
    2.3 times as fast, fully connected networks of 256, 512 and 1,024 units 0.8, 1.1 and 2.2 times.
    """
    narrow = 0 < width(facts, ops) < LEAST_WIDTH
    return narrow or 0 < facts.macs < LEAST_MACS


def int8_bytes(facts: ModelFacts, ops: Collection[str]) -> Span:
    """The size after the weights of these layers went from 32 to 8 bits."""
    layers = [layer for layer in facts.layers if layer.op in ops]
    least = max(facts.size_bytes - (FLOAT_BYTES - 1) * params_in(facts, ops), facts.params)
    scales = CHANNEL_BYTES * sum(_channels(layer) for layer in layers)
    pairs = PAIR_BYTES * sum(facts.op_counts.values())
    return Span(value=least + scales + pairs, low=0.95 * least, high=least + 2 * scales + 3 * pairs)


TRAINING_ROWS = Span(value=10_000, low=300, high=100_000)  # the facts of a network do not tell how many there are
TORCH_BYTES = 260 << 20  # what importing torch adds


def of_training(
    facts: ModelFacts, *, epochs: float, result_bytes: Span, rows: int | None = None, teacher: bool = False
) -> Forecast:
    """What a step takes that trains: three products forward and backward for each of the network, on all rows.

    Args:
        epochs: passes over the training rows.
        rows: most rows used, where the step limits them.
        teacher: whether another network answers every row once.
    """
    span = Span(**{key: min(value, rows or value) for key, value in TRAINING_ROWS.model_dump().items()})
    each = (3 * epochs + int(teacher) + 1) * facts.macs
    memory = BASE_MEMORY_BYTES + TORCH_BYTES
    return Forecast(
        seconds=Span(
            value=2.0 + span.value * each / MACS_PER_SECOND.value + facts.size_bytes / 1e8,
            low=1.0 + span.low * each / MACS_PER_SECOND.high,
            high=10.0 + span.high * each / MACS_PER_SECOND.low + facts.size_bytes / 1e7,
        ),
        memory_bytes=Span(
            value=memory + 10 * facts.size_bytes + (200 << 20),
            low=memory + 5 * facts.size_bytes,
            high=memory + 20 * facts.size_bytes + (4 << 30),
        ),
        size_bytes=result_bytes,
    )


def beside(step: Forecast, seconds: Span, facts: ModelFacts) -> Forecast:
    """What a step takes while another network runs in it as well.

    Args:
        seconds: what that one takes; ``facts`` are its.
    """
    held = Span(value=3 * facts.size_bytes, low=facts.size_bytes, high=6 * facts.size_bytes)
    return step.model_copy(
        update={"seconds": _sum(step.seconds, seconds), "memory_bytes": _sum(step.memory_bytes, held)}
    )


def _sum(one: Span, other: Span) -> Span:
    return Span(value=one.value + other.value, low=one.low + other.low, high=one.high + other.high)


def about_the_same_bytes(facts: ModelFacts) -> Span:
    """The size of a file whose weights change and whose layers do not."""
    return Span(value=facts.size_bytes, low=0.9 * facts.size_bytes, high=1.1 * facts.size_bytes + 4000)


def _channels(layer: LayerFacts) -> int:
    """How many output channels, each with scales of its own: the second axis of a convolution, else the last."""
    shape = layer.output_shape
    return 0 if not shape else shape[1] if "Conv" in layer.op and len(shape) > 1 else shape[-1]


def half_bytes(facts: ModelFacts) -> Span:
    """The size after every weight went from 32 to 16 bits."""
    least = max(facts.size_bytes - 2 * facts.params, facts.size_bytes / 2)
    return Span(value=least, low=0.97 * least, high=1.1 * least + 2000)


def of_work(
    facts: ModelFacts, *, result_bytes: Span, float_runs: int = 0, weight_passes: int = 4, other_seconds: float = 0.5
) -> Forecast:
    """What a step takes that runs the network some times and walks over its weights some times.

    Args:
        float_runs: samples sent through the float network.
        weight_passes: how often the weights are copied or converted; about 0.5 GB a second each.
        other_seconds: fixed part, mostly imports and sessions.
    """
    passes = weight_passes * facts.size_bytes / 5e8 + other_seconds
    work = float_runs * facts.macs
    seconds = Span(
        value=passes + work / MACS_PER_SECOND.value,
        low=0.3 * passes + work / MACS_PER_SECOND.high,
        high=4 * passes + work / MACS_PER_SECOND.low,
    )
    memory = BASE_MEMORY_BYTES + 5 * facts.size_bytes
    activations = (256 << 20) if float_runs else 0  # see workers.graph.calibration.ACTIVATION_BYTES
    return Forecast(
        seconds=seconds,
        size_bytes=result_bytes,
        memory_bytes=Span(
            value=memory + activations / 2, low=BASE_MEMORY_BYTES + 2 * facts.size_bytes, high=2 * memory + activations
        ),
    )
