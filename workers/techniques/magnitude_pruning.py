"""Magnitude pruning: the weights that matter least by size become zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    import numpy as np

    from workers.model import LoadedModel
    from workers.workbench import Workbench

PRUNED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"})
ZIPPED_NOTE = "Zeros make the file smaller only when it is compressed; this runtime computes with them all the same."


class MagnitudePruning(Technique):
    """Set the weights with the smallest absolute value to zero.

    Layers keep their shape. The file shrinks once it is stored sparse or compressed;
    latency improves only where the runtime has sparse kernels, which onnxruntime has not.
    Without retraining, small networks bear about 30 %: on a Fashion-MNIST CNN of ours
    30 % of the whole network cost 0.2 points of accuracy, 50 % cost 6.
    """

    about: ClassVar = About(
        title="Magnitude pruning", family=Family.PRUNING, source="Han et al. 2015, arXiv:1506.02626, section 3"
    )
    technique: Literal["magnitude-pruning"]
    sparsity: float = Field(
        0.3,
        gt=0,
        lt=1,
        title="Sparsity",
        description="Share of the weights that become zero.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    scope: Literal["layer", "network"] = Field(
        "network",
        title="Compare weights within",
        description="Take the same share from each layer, or the smallest of the whole network wherever they are.",
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Leave untouched",
        description="Names of layers to leave as they are, for example the first and the last.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized: prune first.")
        if not forecasts.params_in(model, PRUNED):
            return Fit(word="does-not-fit", reason="The network has no layer with weights to prune.")
        return Fit(
            word="smaller-only",
            reason="Zeros pay in a compressed file only; this runtime computes with them all the same.",
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_work(
            facts,
            result_bytes=Span(value=facts.size_bytes, low=facts.size_bytes, high=facts.size_bytes),
            weight_passes=8,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.errors import YoursToFix
        from workers.graph import surgery, weights
        from workers.numerics import masks

        if surgery.is_quantized(model.proto):
            raise surgery.AlreadyQuantized(self.about.title)
        model = model.with_proto(surgery.inlined(model.proto))
        chosen = weights.of_layers(model.proto, PRUNED, excluded=surgery.known_layers(model.proto, self.excluded))
        if not chosen:
            raise YoursToFix(
                "Expected layers with weights to prune, found none.",
                hint="Leave fewer layers untouched.",
                code="technique.nothing-to-do",
            )
        share = 1 - self.sparsity
        least = masks.threshold(weights.values(model.proto, chosen), share=share) if self.scope == "network" else None

        def prune(name: str, weight: np.ndarray) -> np.ndarray:
            if name not in chosen:
                return weight
            mask = masks.keep_largest(weight, share=share) if least is None else masks.keep_from(weight, least)
            return weight * mask

        pruned = model.with_weights(prune, progress=bench.progress)
        return pruned.with_proto(pruned.proto, ZIPPED_NOTE)
