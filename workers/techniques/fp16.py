"""FP16: weights and arithmetic in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench

# Squares, exponentials and sums over many entries leave float16's range (65,504) first.
SENSITIVE = ("Pow", "Exp", "Log", "CumSum", "ReduceSum", "ReduceSumSquare", "ReduceL2", "ReduceProd", "ReduceLogSumExp")


class Fp16(Technique):
    """Store weights as 16-bit floating point: half the size, nearly the same numbers.

    Inputs and outputs stay 32-bit, so programs that call the network do not change.
    Processors widen the numbers before computing, so only graphics processors and some
    accelerators get faster; a CPU usually gets a little slower.
    """

    about: ClassVar = About(
        title="FP16",
        family=Family.QUANTIZATION,
        lowers_precision=True,
        source="IEEE 754-2019 binary16; Micikevicius et al. 2018, arXiv:1710.03740, section 3",
    )
    technique: Literal["fp16"]
    cautious: bool = Field(
        True,
        title="Keep sensitive operations in 32 bits",
        description="Leave powers, exponentials and long sums in float32, where float16 overflows first.",
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left in 32 bits",
        description="Names of layers to leave as they are.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized.")
        if device.provider == "CPUExecutionProvider":
            return Fit(word="slower-here", reason="Half the size, but this CPU widens float16 before computing.")
        return Fit(word="fits", reason="This device computes in float16.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_work(facts, result_bytes=forecasts.half_bytes(facts), other_seconds=0.5)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import half, surgery

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        bench.progress(0, 1, "Converting weights")
        converted, notes = half.convert(
            model.proto, keep_ops=SENSITIVE if self.cautious else (), keep_layers=sorted(left)
        )
        bench.progress(1, 1, "Converted")
        return model.with_proto(surgery.with_borders_of(converted, model.proto), *notes)
