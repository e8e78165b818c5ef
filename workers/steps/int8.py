"""What every step that stores a network in 8-bit integers has. Loads no tensor library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph.operators import HEAVY
from workers.technique import Fit, Technique

Samples: TypeAlias = Annotated[
    int,
    Field(
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows to look at; gains flatten beyond a few hundred.",
        json_schema_extra={"unit": "rows", "step": 32},
    ),
]
ReduceRange: TypeAlias = Annotated[
    Literal["auto", "always", "never"],
    Field(
        title="7-bit weights",
        description=(
            "Keep weights to 7 bits, so that sums cannot saturate on x86 processors without VNNI. Auto: where "
            "the device is one."
        ),
    ),
]
FloatLayers: TypeAlias = Annotated[
    tuple[str, ...],
    Field(
        max_length=500,
        title="Layers left in float",
        description="Names of layers to leave as they are, for example those that cost most accuracy.",
    ),
]
OnlyWhereFaster: TypeAlias = Annotated[
    bool,
    Field(
        title="Only where faster",
        description=(
            "Time the network with fewer and fewer layers in 8 bits, the smallest ones back in float first, and keep "
            "the fastest, even if that is the one in float. Times are those of the machine that does the job, so two "
            "runs may choose differently."
        ),
    ),
]
Embeddings: TypeAlias = Annotated[
    bool,
    Field(
        title="Embeddings too",
        description="Store large tables that are only looked up in 8 bits as well, with a scale for each row.",
    ),
]

TOO_NARROW = Fit(
    word="smaller-only",
    reason="The layers are so narrow that rounding to 8 bits costs the time integer arithmetic saves.",
)
ALREADY = Fit(word="does-not-fit", reason="The network is already quantized.")


class Int8Step(Technique):
    """A step that stores weights in 8 bits, in the number format of the job's device."""

    reduce_range: ReduceRange = "auto"
    excluded: FloatLayers = ()


class CalibratedInt8Step(Int8Step):
    """An 8-bit step that measures the ranges of activations on calibration rows."""

    samples: Samples = 256

    def cannot_quantize(self, model: ModelFacts, data: DatasetFacts | None, roles: Iterable[Role]) -> Fit | None:
        """Why the step cannot quantize this network on this data, if it cannot."""
        if model.quantized:
            return ALREADY
        if not forecasts.params_in(model, HEAVY):
            return Fit(word="does-not-fit", reason="The network has no convolution or matrix product with weights.")
        for role in roles:
            if data is not None and not data.rows(role):
                return Fit(word="does-not-fit", reason=f"The dataset has no {role} rows.")
        return None

    def no_faster(self, model: ModelFacts, device: DeviceProfile) -> Fit | None:
        """Why integers will not be faster on this device, if they will not."""
        if not device.has_int8_dot_product:
            return Fit(word="smaller-only", reason="This processor has no 8-bit dot product: little or no faster.")
        return TOO_NARROW if forecasts.too_narrow_for_int8(model, HEAVY) else None
