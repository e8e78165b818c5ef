"""N:M pruning: a fixed number of weights left in every small group of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.steps.pruning import PRUNED, ZeroingStep
from workers.technique import About, Family, Fit, Forecast

if TYPE_CHECKING:
    import numpy as np

    from workers.model import LoadedModel
    from workers.workbench import Workbench

SPARSE_NOTE = (
    "The zeros follow a pattern of {keep} in {group}. Graphics processors with sparse tensor cores can use 2 in 4 "
    "through their own runtimes; on a CPU it runs no faster, and the file is smaller only when compressed."
)


class NmPruning(ZeroingStep):
    """Keep the N largest of every M neighbouring weights, as in 2:4 sparsity.

    Neighbours are weights of one output that stand at successive inputs (input channels of a convolution), as
    sparse tensor cores want them. The file shrinks when it is compressed; no CPU runtime gets faster by it, and
    onnxruntime computes with the zeros. Half of the weights go at 2:4, which most networks only bear with
    retraining afterwards.
    """

    about: ClassVar = About(
        title="N:M pruning",
        family=Family.PRUNING,
        source="Mishra et al. 2021, arXiv:2104.08378, section 3; Zhou et al. 2021, arXiv:2102.04010",
    )
    zeros_pay: ClassVar = (
        "No speed-up on this runtime: the pattern pays in a compressed file and on sparse tensor cores."
    )
    technique: Literal["nm-pruning"]
    keep: int = Field(
        2,
        ge=1,
        le=15,
        title="Kept (N)",
        description="Weights that stay in each group; less than the group holds.",
        json_schema_extra={"unit": "weights", "step": 1},
    )
    group: int = Field(
        4,
        ge=2,
        le=16,
        title="Group (M)",
        description="Neighbouring weights that form a group.",
        json_schema_extra={"unit": "weights", "step": 1},
    )

    @model_validator(mode="after")
    def _leaves_something_out(self) -> Self:
        if self.keep >= self.group:
            raise ValueError(f"expected fewer kept weights than a group holds, found {self.keep} of {self.group}")
        return self

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        return self.fit_of_zeros(model)

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = Span(value=facts.size_bytes, low=facts.size_bytes, high=facts.size_bytes)
        return forecasts.of_work(facts, result_bytes=size, weight_passes=12)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.errors import YoursToFix
        from workers.graph import surgery, weights
        from workers.numerics import masks

        if surgery.is_quantized(model.proto):
            raise surgery.AlreadyQuantized(self.about.title)
        model = model.with_proto(weights.laid_bare(model.proto))
        axes = weights.input_axes(model.proto, PRUNED, excluded=surgery.known_layers(model.proto, self.excluded))
        if not axes:
            raise YoursToFix(
                "Expected layers with weights to prune, found none.",
                hint="Leave fewer layers untouched.",
                code="technique.nothing-to-do",
            )

        def prune(name: str, weight: np.ndarray) -> np.ndarray:
            if name not in axes:
                return weight
            return weight * masks.keep_in_groups(weight, keep=self.keep, group=self.group, axis=axes[name])

        pruned = model.with_weights(prune, progress=bench.progress)
        return pruned.with_proto(pruned.proto, SPARSE_NOTE.format(keep=self.keep, group=self.group))
