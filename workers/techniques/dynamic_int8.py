"""Dynamic INT8: weights in 8 bits, activations measured anew in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.steps.int8 import ALREADY, TOO_NARROW, Embeddings, Int8Step, OnlyWhereFaster
from workers.technique import About, Family, Fit, Forecast, whole

if TYPE_CHECKING:
    import onnx

    from workers.model import LoadedModel
    from workers.workbench import Workbench

# Never Conv: onnxruntime's ConvInteger is slower than float and has destroyed the accuracy of a speech model.
QUANTIZED = frozenset({"MatMul", "Gemm", "LSTM", "Attention"})
TABLES = frozenset({"Gather"})
LEAST_SHARE = 0.3


class DynamicInt8(Int8Step):
    """Store the weights of matrix products and LSTMs in 8 bits; no calibration data needed.

    The range of each activation is measured anew in every run, which costs a little time and keeps
    accuracy when inputs vary. Meant for transformers, recurrent and fully connected networks:
    convolutions stay in floating point, because their dynamic 8-bit kernel is slower than float. Large embeddings
    are stored in 8 bits too, with a scale for each row, and only the rows that are read become floats.

    On transformers, SmoothQuant before this step keeps answers closer to the float network's.
    """

    about: ClassVar = About(
        title="Dynamic INT8",
        family=Family.QUANTIZATION,
        lowers_precision=True,
        source=(
            "ONNX DynamicQuantizeLinear and MatMulInteger, opset 11; Zafrir et al. 2019, arXiv:1910.06188, section 3"
        ),
        version=3,
    )
    technique: Literal["dynamic-int8"]
    per_channel: bool = Field(
        True,
        title="A scale per channel",
        description=(
            "Give each output channel its own scale; one scale for a whole layer has cost several points on "
            "text networks."
        ),
    )
    only_where_faster: OnlyWhereFaster = False
    embeddings: Embeddings = True
    embedding_bits: Annotated[Literal[4, 8], BeforeValidator(whole)] = Field(
        8,
        title="Bits of embeddings",
        description="4 bits, with a scale for every 64 neighbours, take half the room of 8 and lose more.",
        json_schema_extra={"unit": "bits", "step": 4, "minimum": 4, "maximum": 8},
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return ALREADY
        share = forecasts.params_in(model, self._touched()) / max(model.params, 1)
        if not share:
            return Fit(
                word="does-not-fit",
                reason="No matrix product or LSTM with weights; convolutions would get slower in dynamic 8 bits.",
            )
        if share < LEAST_SHARE:
            return Fit(
                word="little-gain",
                reason=f"Only {share:.0%} of the weights lie in layers that fit in 8 bits; the rest stays in float.",
            )
        if forecasts.too_narrow_for_int8(model, QUANTIZED - {"LSTM"}):
            return TOO_NARROW
        if not device.has_int8_dot_product:
            return Fit(
                word="smaller-only", reason="This processor has no 8-bit dot product: smaller, but little or no faster."
            )
        return Fit(word="fits", reason=f"{share:.0%} of the weights lie in matrix products, LSTMs or embeddings.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = forecasts.int8_bytes(facts, self._touched())
        if self.embeddings and self.embedding_bits == 4:
            spared = 0.4 * forecasts.params_in(facts, TABLES)  # scales and zeros take a tenth of a byte
            size = Span(value=size.value - spared, low=size.low - 1.1 * spared, high=size.high)
        return forecasts.of_work(facts, result_bytes=size, other_seconds=0.7)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.evaluation import paying
        from workers.graph import int8, surgery, tables
        from workers.graph.fx import control_flow

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        bench.progress(0, 2, "Preparing the graph")
        decided = control_flow.folded(model.proto)  # recurrent networks come with their LSTM inside an If
        ready = surgery.for_int8(decided, bench.scratch, bench.threads)
        bench.progress(1, 2, "Quantizing weights")
        choice = int8.choose(bench.device, self.reduce_range, per_channel=self.per_channel)
        spared = surgery.still_called(ready, left)

        def quantize(floats: Sequence[str]) -> onnx.ModelProto:
            return int8.dynamic(surgery.copy(ready), choice, op_types=QUANTIZED, excluded=[*spared, *floats])

        decision = None
        if self.only_where_faster:
            units = [unit for unit in paying.single_layers(ready, QUANTIZED) if unit.name not in spared]
            decision = paying.decide(ready, units, quantize, bench)
        quantized = quantize(decision.floats if decision else ())
        store = tables.quantize if self.embedding_bits == 8 else tables.quantize_in_4_bits
        has_tables = bool(self.embeddings and store(quantized, left))
        bench.progress(2, 2, "Quantized")
        if decision and decision.is_all and not has_tables:
            return model.with_proto(model.proto, decision.note)
        if not has_tables:
            surgery.require_int8_weights(quantized, hint="Use static INT8 for a convolutional network.")
        notes = (choice.dynamic_note, *([decision.note] if decision else []))
        return model.with_proto(surgery.with_borders_of(quantized, model.proto), *notes)

    def _touched(self) -> frozenset[str]:
        return QUANTIZED | TABLES if self.embeddings else QUANTIZED
