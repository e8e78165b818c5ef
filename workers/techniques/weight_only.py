"""Weight-only quantization: matrices in 4 or 8 bits, everything between them in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.technique import About, Family, Fit, Forecast, Technique, whole

if TYPE_CHECKING:
    import onnx

    from workers.graph.nbits import Matrix
    from workers.model import LoadedModel
    from workers.numerics.blockwise import Stored
    from workers.workbench import Workbench

MATRICES = frozenset({"MatMul", "Gemm"})
TABLES = frozenset({"Gather"})
LEAST_SHARE = 0.3
FLOAT_BITS = 32


class WeightOnly(Technique):
    """Store matrices and embeddings in 4 or 8 bits with a scale for every few neighbours.

    Made for language models and other transformers, where reading weights takes most of the time and most of
    the file. Activations stay in float between layers; a product rounds them to 8 bits within each block.
    A table that is also multiplied with, as in tied embeddings, is stored once.

    Round to nearest needs no data and is all that 8 bits ask for. HQQ fits scales to heavy-tailed errors, without data
    as well, and gains little. GPTQ looks at calibration rows and lets the inputs not yet rounded make up for the ones
    that are; it keeps most at 4 bits: in blocks of 32, perplexity of SmolLM2-135M rose by 22 % with round to nearest,
    21 % with HQQ and 4 % with GPTQ. Convolutions and recurrent layers are left alone.
    """

    about: ClassVar = About(
        title="Weight-only quantization",
        family=Family.QUANTIZATION,
        lowers_precision=True,
        version=2,
        source=(
            "Frantar et al. 2022, GPTQ, arXiv:2210.17323; Badri and Shaji 2023, Half-Quadratic Quantization; "
            "onnxruntime contrib operators MatMulNBits and GatherBlockQuantized"
        ),
    )
    technique: Literal["weight-only"]
    bits: Annotated[Literal[4, 8], BeforeValidator(whole)] = Field(
        8,
        title="Bits",
        description="4 bits take half the room of 8 and lose clearly more.",
        json_schema_extra={"unit": "bits", "step": 4, "minimum": 4, "maximum": 8},
    )
    method: Literal["nearest", "hqq", "gptq"] = Field(
        "nearest",
        title="Method",
        description="How weights are rounded. GPTQ needs calibration rows and takes longest.",
    )
    block: Annotated[Literal[32, 64, 128], BeforeValidator(whole)] = Field(
        32,
        title="Block size",
        description=(
            "Neighbours that share a scale, at most: small blocks are more exact, large ones take less room. Rows that "
            "they do not fill get smaller ones."
        ),
        json_schema_extra={"unit": "weights", "step": 32, "minimum": 32, "maximum": 128},
    )
    symmetric: bool = Field(
        True,
        title="Zero in the middle",
        description="Store no zero point per block: a little smaller and, on many weights, a little less exact.",
    )
    embeddings: bool = Field(
        True,
        title="Embeddings too",
        description="Also quantize tables that are looked up.",
    )
    ends_bits: Annotated[Literal[4, 8], BeforeValidator(whole)] = Field(
        8,
        title="Bits at both ends",
        description="Of embeddings and of what gives the output, at least: both bear 4 bits badly.",
        json_schema_extra={"unit": "bits", "step": 4, "minimum": 4, "maximum": 8},
    )
    samples: int = Field(
        128,
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows GPTQ looks at.",
        json_schema_extra={"unit": "rows", "step": 32},
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left in float",
        description="Names of layers to leave as they are, for example the output layer.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized.")
        share = forecasts.params_in(model, self._touched()) / max(model.params, 1)
        if not share:
            return Fit(word="does-not-fit", reason="The network has no matrix product or embedding with weights.")
        if self.method == "gptq" and data is not None and not data.rows(Role.CALIBRATION):
            return Fit(word="does-not-fit", reason="GPTQ needs calibration rows, which the dataset does not have.")
        if share < LEAST_SHARE:
            return Fit(word="little-gain", reason=f"Only {share:.0%} of the weights lie in matrices or embeddings.")
        return Fit(
            word="smaller-only",
            reason=f"{share:.0%} of the weights shrink to {self.bits} bits; only single rows of large nets get faster.",
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        touched = forecasts.params_in(facts, self._touched())
        ends = min(touched, self._params_at_the_ends(facts))
        each = FLOAT_BITS / self.block + (0 if self.symmetric else self.bits / self.block)
        stored_bits = touched * (self.bits + each) + ends * (max(self.bits, self.ends_bits) - self.bits)
        size = max(facts.size_bytes - (touched * FLOAT_BITS - stored_bits) / 8, touched / 2)
        filled = facts.size_bytes + 400 * sum(facts.op_counts.values())  # tiny rows are filled up to a block
        work = {"nearest": 4, "hqq": 60, "gptq": 200}[self.method]
        return forecasts.of_work(
            facts,
            result_bytes=Span(value=size, low=0.9 * size, high=max(1.1 * size, filled)),
            float_runs=self.samples if self.method == "gptq" else 0,
            weight_passes=work,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import nbits, surgery

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        ready = nbits.ready(model.proto)
        found = nbits.matrices(ready, excluded=left, tables=self.embeddings)
        if not found:
            raise _nothing()
        stored = self._rounded(ready, found, bench)
        nbits.write(ready, found, lambda matrix: stored[matrix.key])
        bench.progress(1, 1, f"{len(found)} matrices in {self.bits} bits")
        del ready.graph.value_info[:]
        return model.with_proto(surgery.with_borders_of(ready, model.proto))

    def _rounded(self, proto: onnx.ModelProto, found: list[Matrix], bench: Workbench) -> dict[str, Stored]:
        """Every matrix in blocks, by its key."""
        from workers.graph import nbits
        from workers.numerics import blockwise

        outputs = frozenset(item.name for item in proto.graph.output)
        at_ends = {one.key for one in found if one.is_at_an_end(outputs) and self.ends_bits > self.bits}
        bits = {one.key: self.ends_bits if one.key in at_ends else self.bits for one in found}
        size = {one.key: nbits.block_for(one.values.shape[1], self.block, bits[one.key]) for one in found}
        begin, stored = 0.0, {}
        if self.method == "gptq":
            begin = 0.9
            within = [one for one in found if one.key not in at_ends]
            for matrix, seconds in nbits.second_moments(proto, within, bench.part(0, begin), self.samples):
                stored[matrix.key] = blockwise.compensated(
                    matrix.values, seconds, bits=self.bits, size=size[matrix.key], symmetric=self.symmetric
                )
        for matrix in (one for one in found if one.key not in stored):
            plainly = self.method != "hqq" or matrix.key in at_ends
            stored[matrix.key] = (blockwise.nearest if plainly else blockwise.half_quadratic)(
                matrix.values, bits=bits[matrix.key], size=size[matrix.key], symmetric=self.symmetric
            )
            bench.part(begin, 1).progress(len(stored), len(found) + 1, f"Rounded {matrix.name}")
        return stored

    def _params_at_the_ends(self, facts: ModelFacts) -> int:
        last = [layer.params for layer in facts.layers if layer.op in MATRICES][-1:]
        return forecasts.params_in(facts, TABLES) + sum(last)

    def _touched(self) -> frozenset[str]:
        return MATRICES | TABLES if self.embeddings else MATRICES


def _nothing() -> Exception:
    from workers.errors import YoursToFix

    return YoursToFix(
        "Expected a matrix product or an embedding with fixed weights, found none.",
        hint="Use static INT8 for a convolutional network.",
        code="technique.nothing-to-do",
    )
