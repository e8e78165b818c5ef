"""What steps that set single weights to zero have in common. Loads no tensor library."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from workers import forecasts
from workers.facts import ModelFacts
from workers.technique import Fit, Technique

PRUNED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"})

Sparsity: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        title="Sparsity",
        description="Share of the weights that become zero.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    ),
]
Scope: TypeAlias = Annotated[
    Literal["layer", "network"],
    Field(
        title="Compare weights within",
        description="Take the same share from each layer, or the smallest of the whole network wherever they are.",
    ),
]
Untouched: TypeAlias = Annotated[
    tuple[str, ...],
    Field(
        max_length=500,
        title="Leave untouched",
        description="Names of layers to leave as they are, for example the first and the last.",
    ),
]


class ZeroingStep(Technique):
    """A step after which layers keep their shape and hold zeros."""

    zeros_pay: ClassVar[str] = "Zeros pay in a compressed file only; this runtime computes with them all the same."

    excluded: Untouched = ()

    def fit_of_zeros(self, model: ModelFacts) -> Fit:
        """Whether there are weights to set to zero, and what zeros are good for."""
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized: prune first.")
        if not forecasts.params_in(model, PRUNED):
            return Fit(word="does-not-fit", reason="The network has no layer with weights to prune.")
        return Fit(word="smaller-only", reason=self.zeros_pay)
