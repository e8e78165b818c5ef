"""SmoothQuant: channels of even size before activations go into 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.technique import About, Family, Fit, Forecast, Need, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench

NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
WRITTEN_OUT = frozenset({"ReduceMean", "Mul", "MatMul"})  # a normalization as older exporters write it
NOTHING_NOTE = "SmoothQuant changed nothing: no normalization of this network feeds a matrix product directly."


class SmoothQuant(Technique):
    """Move the large channels of activations into the weights, so that 8 bits suit both.

    In transformers a few channels behind each layer norm are many times larger than the rest, and one scale for
    all of them leaves the rest a handful of levels. This divides each channel by a number found on calibration
    data and multiplies the weights that read it by the same. In float nothing changes. Put it right before
    Static INT8, Accuracy-controlled INT8, or Weight-only quantization in 8 bits, whose products round activations too;
    convolutional networks have nothing to smooth.
    """

    about: ClassVar = About(
        title="SmoothQuant",
        family=Family.QUANTIZATION,
        needs=frozenset({Need.CALIBRATION}),
        source="Xiao et al. 2023, SmoothQuant, arXiv:2211.10438, section 4",
    )
    technique: Literal["smooth-quant"]
    strength: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Strength",
        description="How much of the difficulty moves from activations into weights; 0.5 shares it evenly.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    samples: int = Field(
        128,
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows to look at.",
        json_schema_extra={"unit": "rows", "step": 32},
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Leave untouched",
        description="Names of matrix products to leave as they are.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized: smooth it first.")
        if not NORMS & set(model.op_counts) and not set(model.op_counts) >= WRITTEN_OUT:
            return Fit(word="does-not-fit", reason="The network has no layer normalization before matrix products.")
        if data is not None and not data.rows(Role.CALIBRATION):
            return Fit(word="does-not-fit", reason="The dataset has no calibration rows.")
        return Fit(word="fits", reason="Makes a following INT8 step more exact; changes neither size nor speed itself.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = facts.size_bytes
        return forecasts.of_work(
            facts,
            result_bytes=Span(value=size, low=0.95 * size, high=1.05 * size + 20_000),
            float_runs=self.samples,
            weight_passes=8,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import smoothing, surgery
        from workers.numerics.smoothing import divisors

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        ready = smoothing.ready(model.proto)
        found = smoothing.spots(ready, left)
        if not found:
            bench.progress(1, 1, "Nothing to smooth")
            return model.with_proto(model.proto, NOTHING_NOTE)
        heard = smoothing.largest_activations(ready, found, bench, self.samples)
        weights = smoothing.float_weights(ready)
        for spot in found:
            bench.check()
            read = smoothing.largest_weights(spot, weights)
            smoothing.move(ready, spot, divisors(heard[spot.value], read, strength=self.strength))
        bench.progress(1, 1, f"Smoothed {sum(len(spot.products) for spot in found)} matrix products")
        del ready.graph.value_info[:]
        return model.with_proto(surgery.with_borders_of(ready, model.proto))
