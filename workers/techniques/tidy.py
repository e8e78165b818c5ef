"""Tidy: the same network in a smaller file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench


class Tidy(Technique):
    """Remove what the file does not need: constant work, decided branches, detours, duplicates and long names.

    Lossless: predictions stay the same, bit for bit wherever the order of operations allows.
    Equal weights are stored once, batch-norm is multiplied into the convolution before it, changes of shape in a row
    become one, arithmetic that changes nothing goes, and so do exporters' remarks. Small files gain most, because names
    weigh as much as numbers there.
    Put it last: layers have new, short names afterwards.
    """

    about: ClassVar = About(
        title="Tidy",
        family=Family.SHARING,
        takes_low_precision=True,
        source=(
            "ONNX IR specification, graphs and names; Aho et al., Compilers, sections 8.5 and 9.4 (common "
            "subexpressions, constant folding)"
        ),
        version=3,
    )
    technique: Literal["tidy"]
    merge_batch_norm: bool = Field(
        True,
        title="Merge batch-norm",
        description="Multiply batch-norm into the convolution before it; results may differ in the last bit.",
    )
    shorten_names: bool = Field(
        True,
        title="Shorten names",
        description="Rename layers and values inside the network; its inputs and outputs keep their names.",
    )

    fix_sides: bool = Field(
        False,
        title="Fix sizes",
        description=(
            "Write the sizes that the input contract names into the network, but for the number of rows; what was "
            "computed from them in every run goes. The network then takes no other sizes."
        ),
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        overhead = 1 - sum(model.weight_bytes.values()) / model.size_bytes if model.weight_bytes else 0.0
        if overhead > 0.05:
            return Fit(word="fits", reason=f"{overhead:.0%} of the file is not weights.")
        return Fit(word="little-gain", reason="Nearly all of the file is weights; only duplicates could be saved.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = facts.size_bytes
        return forecasts.of_work(
            facts, result_bytes=Span(value=0.97 * size, low=0.75 * size, high=size), weight_passes=6
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import axes, folding, half, neutral, sharing, surgery

        proto = surgery.inlined(model.proto)
        folding.weights_are_constants(proto)
        if self.fix_sides:
            folding.fix_sides(proto, model.contract)
        if any(node.op_type in ("If", "Loop") for node in proto.graph.node):
            from workers.graph.fx import control_flow

            proto = control_flow.folded(proto)
        sharing.drop_remarks(proto)
        removed, rounds = 1, 0
        while removed:
            rounds += 1
            bench.progress(0, 1, f"Round {rounds}")
            removed = folding.constants_to_weights(proto.graph) + folding.drop_passing_nodes(proto.graph)
            sharing.compact_weights(proto.graph)
            removed += folding.fold_shapes(proto) + folding.fold_constants(proto)
            removed += folding.drop_undone_squeezes(proto.graph)
            removed += neutral.drop_neutral(proto) + axes.fewer_views(proto)
            removed += folding.merge_batch_norm(proto) if self.merge_batch_norm else 0
            removed += (
                sharing.share_weights(proto.graph) + sharing.share_nodes(proto.graph) + sharing.drop_unused(proto.graph)
            )
        if self.shorten_names:
            sharing.shorten_names(proto.graph)
        if surgery.is_half(proto):
            half.note_shapes(proto)
        before, after = model.proto.ByteSize(), proto.ByteSize()
        bench.progress(1, 1, f"{before:,} bytes became {after:,}")
        proto = surgery.with_borders_of(proto, model.proto)
        if self.fix_sides:
            folding.fix_sides(proto, model.contract)
        return model.with_proto(proto)
