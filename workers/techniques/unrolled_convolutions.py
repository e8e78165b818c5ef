"""Unrolled convolutions: convolutions over short sequences as matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, LayerFacts, ModelFacts, Span
from workers.steps.int8 import ALREADY
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench


class UnrolledConvolutions(Technique):
    """Write convolutions over short sequences as matrix products, which run faster and can go into 8 bits.

    Answers stay the same up to the last digits. The runtime has fast convolutions for pictures only; over a sequence
    with few positions, as networks for sound and sensors have behind their first layers, one matrix product is two to
    three times as fast. Taps that only ever meet padding go.

    The length of the sequence must be known: put Tidy with Fix sizes before this step. Put Dynamic INT8 behind it,
    which leaves convolutions in float but stores these products in 8 bits.
    """

    about: ClassVar = About(
        title="Unrolled convolutions",
        family=Family.SHARING,
        source=(
            "Chellapilla et al. 2006, High Performance Convolutional Neural Networks for Document Processing, "
            "section 3.1"
        ),
    )
    technique: Literal["unrolled-convolutions"]
    most_positions: int = Field(
        8,
        ge=1,
        le=4096,
        title="Most positions",
        description=(
            "Convolutions with more output positions stay as they are: from about 16 on a product in float is no "
            "faster. In 8 bits longer ones may pay."
        ),
        json_schema_extra={"unit": "positions", "step": 1},
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return ALREADY
        lengths = [layer.output_shape[2] for layer in model.layers if layer.op == "Conv" and _is_sequence(layer)]
        if not lengths:
            return Fit(word="does-not-fit", reason="The network has no convolution over a sequence.")
        short = sum(length <= self.most_positions for length in lengths)
        if not short:
            return Fit(
                word="little-gain",
                reason=f"Its convolutions over sequences have {min(lengths)} positions or more.",
            )
        return Fit(word="fits", reason=f"{short} of {len(lengths)} convolutions over sequences have few positions.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = facts.size_bytes
        return forecasts.of_work(
            facts, result_bytes=Span(value=size, low=0.3 * size, high=1.05 * size + 5000), weight_passes=6
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import folding, products, surgery, turning

        surgery.require_float32(model.proto, self.about.title)
        bench.progress(0, 2, "Looking for convolutions over short sequences")
        proto = surgery.raised(surgery.inlined(model.proto))
        folding.constants_to_weights(proto.graph)
        found = products.windows(proto, most_positions=self.most_positions)
        if not found:
            raise YoursToFix(
                f"Expected a convolution over a sequence of known length with at most {self.most_positions} output "
                "positions and weights of its own, found none.",
                hint="Put Tidy with Fix sizes before this step, or allow more positions.",
                code="technique.nothing-to-do",
            )
        products.multiplied(proto, found)
        bench.progress(1, 2, f"{len(found)} convolutions are products")
        turning.fewer_transposes(proto)
        bench.progress(2, 2, f"{len(found)} convolutions are products")
        return model.with_proto(surgery.with_borders_of(proto, model.proto))


def _is_sequence(layer: LayerFacts) -> bool:
    return len(layer.output_shape) == 3
