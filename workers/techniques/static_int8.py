"""Static INT8: weights and activations in 8 bits, with ranges measured on calibration data."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import ARM, DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph.operators import HEAVY, QUANTIZED
from workers.technique import About, Family, Fit, Forecast, Need, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench

OWN_RUN = "3.6 times smaller and 2.1 to 2.4 times as fast on a small Fashion-MNIST CNN (our run on VNNI)."


class StaticInt8(Technique):
    """Store weights and compute layers in 8-bit integers, with ranges measured on calibration data.

    Weights take a quarter of their size. Convolutions and matrix products run in integer arithmetic where
    the processor has instructions for it; the number format is chosen for the device of the job.
    Works best on convolutional networks; recurrent layers stay in floating point.

    Calibration decides what happens to rare, extreme activations: min-max keeps them all,
    percentile cuts the given tail, entropy cuts where the distribution loses least, and mse cuts
    where the squared error of rounding and cutting together is smallest.
    """

    about: ClassVar = About(
        title="Static INT8",
        family=Family.QUANTIZATION,
        needs=frozenset({Need.CALIBRATION}),
        source="Jacob et al. 2018, arXiv:1712.05877; ONNX QuantizeLinear and DequantizeLinear, per axis, opset 13",
        version=3,
    )
    technique: Literal["static-int8"]
    calibration: Literal["min-max", "entropy", "percentile", "mse"] = Field(
        "min-max",
        title="Calibration",
        description="How the range of each activation is chosen.",
    )
    percentile: float = Field(
        99.99,
        gt=90,
        le=100,
        title="Percentile",
        description="Share of the values kept inside the range; used by percentile calibration only.",
        json_schema_extra={"unit": "%", "step": 0.01},
    )
    samples: int = Field(
        256,
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows to look at; gains flatten beyond a few hundred.",
        json_schema_extra={"unit": "rows", "step": 32},
    )
    per_channel: bool = Field(
        True,
        title="A scale per channel",
        description="Give each output channel its own scale instead of one for the whole layer.",
    )
    reduce_range: Literal["auto", "always", "never"] = Field(
        "auto",
        title="7-bit weights",
        description=(
            "Keep weights to 7 bits, so that sums cannot saturate on x86 processors without VNNI. Auto: where "
            "the device is one."
        ),
    )
    bias_correction: bool = Field(
        False,
        title="Correct biases",
        description="Take what rounding the weights adds to each output's mean off its bias. Helps most with one scale "
        "for a whole layer or 7-bit weights.",
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left in float",
        description="Names of layers to leave as they are, for example those that cost most accuracy.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized.")
        heavy = forecasts.params_in(model, HEAVY)
        if not heavy:
            return Fit(word="does-not-fit", reason="The network has no convolution or matrix product with weights.")
        if data is not None and (Role.CALIBRATION not in data.roles or not data.roles[Role.CALIBRATION].rows):
            return Fit(word="does-not-fit", reason="The dataset has no calibration rows.")
        if heavy < model.params / 2:
            return Fit(
                word="little-gain",
                reason=f"Only {heavy / model.params:.0%} of the weights lie in layers that can run in 8 bits.",
            )
        if forecasts.too_narrow_for_int8(model, HEAVY):
            return Fit(
                word="smaller-only",
                reason="The layers are so narrow that rounding to 8 bits costs the time integer arithmetic saves.",
            )
        return _fit_on(device)

    def forecast(self, facts: ModelFacts) -> Forecast:
        passes = 1 if self.calibration == "min-max" else 2
        return forecasts.of_work(
            facts,
            result_bytes=forecasts.int8_bytes(facts, HEAVY),
            float_runs=passes * self.samples,
            other_seconds=1.0,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import bias_correction, calibration, int8, surgery

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        ready = surgery.for_int8(model.proto, bench.scratch, bench.threads)
        ranges = calibration.ranges(
            ready,
            QUANTIZED,
            bench.part(0, 0.7) if self.bias_correction else bench,
            method=self.calibration,
            samples=self.samples,
            percentile=self.percentile,
        )
        choice = int8.choose(bench.device, self.reduce_range, per_channel=self.per_channel)
        spared = [*surgery.still_called(ready, left), *int8.delicate(ready)]
        if self.bias_correction:
            first = int8.static(surgery.copy(ready), ranges, choice, op_types=QUANTIZED, excluded=spared)
            ready = bias_correction.corrected(ready, first, bench.part(0.7, 0.95), self.samples)
        quantized = int8.static(ready, ranges, choice, op_types=QUANTIZED, excluded=spared)
        surgery.require_int8_weights(
            quantized, hint="Layers inside branches and loops stay in float; leave out this step."
        )
        bench.progress(1, 1, "Quantized")
        return model.with_proto(surgery.with_borders_of(quantized, model.proto), choice.note)


def _fit_on(device: DeviceProfile) -> Fit:
    if device.has_int8_dot_product:
        return Fit(word="fits", reason="This device multiplies 8-bit integers with one instruction.", expect=OWN_RUN)
    if device.arch in ARM:
        return Fit(word="smaller-only", reason="This processor has no 8-bit dot product: little faster, or not at all.")
    return Fit(
        word="smaller-only",
        reason="This processor has no VNNI: weights keep to 7 bits and layers gain little or no speed.",
    )
