"""Static INT8: weights and activations in 8 bits, with ranges measured on calibration data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import ARM, DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph.operators import HEAVY, QUANTIZED
from workers.steps.int8 import TOO_NARROW, CalibratedInt8Step, OnlyWhereFaster
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    import onnx

    from workers.model import LoadedModel
    from workers.workbench import Workbench

OWN_RUN = "3.6 times smaller and 2.1 to 2.4 times as fast on a small Fashion-MNIST CNN (our run on VNNI)."


class StaticInt8(CalibratedInt8Step):
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
        lowers_precision=True,
        needs=frozenset({Need.CALIBRATION}),
        source="Jacob et al. 2018, arXiv:1712.05877; ONNX QuantizeLinear and DequantizeLinear, per axis, opset 13",
        version=4,
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
    per_channel: bool = Field(
        True,
        title="A scale per channel",
        description="Give each output channel its own scale instead of one for the whole layer.",
    )
    bias_correction: bool = Field(
        False,
        title="Correct biases",
        description="Take what rounding the weights adds to each output's mean off its bias. Helps most with one scale "
        "for a whole layer or 7-bit weights.",
    )
    only_where_faster: OnlyWhereFaster = False

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        refused = self.cannot_quantize(model, data, (Role.CALIBRATION,))
        if refused is not None:
            return refused
        heavy = forecasts.params_in(model, HEAVY)
        if heavy < model.params / 2:
            return Fit(
                word="little-gain",
                reason=f"Only {heavy / model.params:.0%} of the weights lie in layers that can run in 8 bits.",
            )
        if forecasts.too_narrow_for_int8(model, HEAVY):
            return TOO_NARROW
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
        from workers.evaluation import paying
        from workers.graph import ablation, bias_correction, calibration, int8, surgery

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

        def quantize(proto: onnx.ModelProto, floats: Sequence[str] = ()) -> onnx.ModelProto:
            return int8.static(surgery.copy(proto), ranges, choice, op_types=QUANTIZED, excluded=[*spared, *floats])

        notes = [choice.note]
        if self.only_where_faster:
            units = [unit for unit in ablation.units(ready, QUANTIZED) if unit.name not in spared]
            decision = paying.decide(ready, units, partial(quantize, ready), bench)
            if decision.is_all:
                return model.with_proto(model.proto, decision.note)
            spared += decision.floats
            notes += [decision.note]
        if self.bias_correction:
            ready = bias_correction.corrected(ready, quantize(ready), bench.part(0.7, 0.95), self.samples)
        quantized = quantize(ready)
        surgery.require_int8_weights(
            quantized, hint="Layers inside branches and loops stay in float; leave out this step."
        )
        bench.progress(1, 1, "Quantized")
        return model.with_proto(surgery.with_borders_of(quantized, model.proto), *notes)


def _fit_on(device: DeviceProfile) -> Fit:
    if device.has_int8_dot_product:
        return Fit(word="fits", reason="This device multiplies 8-bit integers with one instruction.", expect=OWN_RUN)
    if device.arch in ARM:
        return Fit(word="smaller-only", reason="This processor has no 8-bit dot product: little faster, or not at all.")
    return Fit(
        word="smaller-only",
        reason="This processor has no VNNI: weights keep to 7 bits and layers gain little or no speed.",
    )
