"""Depth pruning: whole blocks of a transformer leave the network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.technique import About, Family, Fit, Forecast, Need, Technique

if TYPE_CHECKING:
    from torch import fx

    from workers.model import LoadedModel
    from workers.training.depth import Block
    from workers.workbench import Workbench

ATTENDING = ("Softmax", "Attention")
ROWS = 64
BATCH = 16
VALIDATION_GUESS = 1000  # rows; the facts of a network do not tell how many there are


class DepthPruning(Technique):
    """Remove whole blocks of a transformer, the ones it misses least.

    A block is attention with the feed-forward part behind it. By effect, each block is left out in turn, the shorter
    network answers all validation rows, and the block whose loss is least goes; then the next one is chosen in the
    network that is left. By similarity, blocks that turn what enters them least go, which takes one look at a few
    calibration rows.

    Every block that goes makes the network faster on any processor by its whole share. One or two of six cost little
    after training: put Fine-tune behind this step.
    """

    about: ClassVar = About(
        title="Depth pruning",
        family=Family.PRUNING,
        needs=frozenset({Need.CALIBRATION}),
        source="Men et al. 2024, ShortGPT, arXiv:2403.03853; Sajjad et al. 2023, arXiv:2004.03844 (dropping layers)",
        version=2,
    )
    technique: Literal["depth-pruning"]
    blocks: int = Field(
        1,
        ge=1,
        le=200,
        title="Blocks to remove",
        description="At least one block always stays.",
        json_schema_extra={"unit": "blocks", "step": 1},
    )
    choose_by: Literal["effect", "similarity"] = Field(
        "effect",
        title="Choose by",
        description="What the network loses without each block on validation data, or how little a block changes.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is quantized: prune before that step.")
        count = _attentions(model)
        if count < 2:
            return Fit(word="does-not-fit", reason="The network is no stack of attention blocks.")
        if self.choose_by == "effect" and data is not None and not data.rows(Role.VALIDATION):
            return Fit(word="does-not-fit", reason="The dataset has no validation rows: choose by similarity.")
        return Fit(
            word="fits", reason=f"Each of about {count} blocks is a like share of the work. Fine-tune afterwards."
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        count = max(_attentions(facts), 1)
        each = facts.size_bytes / count
        size = Span(
            value=max(facts.size_bytes - 0.6 * min(self.blocks, count - 1) * each, 0.1 * facts.size_bytes),
            low=max(facts.size_bytes - 1.05 * self.blocks * each, 0.02 * facts.size_bytes),
            high=1.1 * facts.size_bytes + 10_000,
        )
        runs = VALIDATION_GUESS * count * self.blocks if self.choose_by == "effect" else ROWS
        return forecasts.of_work(facts, result_bytes=size, float_runs=runs, weight_passes=20, other_seconds=4.0)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import formats, training
        from workers.training import depth, narrowing, samples

        module = training.trainable(model, self.about.title, bench)
        found = depth.blocks(module, samples.example(bench))
        if len(found) <= self.blocks:
            raise YoursToFix(
                f"Expected more than {self.blocks} attention blocks with a stream around them, found {len(found)}.",
                hint="Remove fewer blocks, or use Transformer pruning, which makes them narrower.",
                code="pruning.too-few-blocks",
            )
        names = narrowing.layer_names(module)
        found = [replace(block, name=names[block.name]) for block in found]
        choose = self._by_effect if self.choose_by == "effect" else self._by_similarity
        gone = choose(module, model, found, bench)
        depth.without(module, gone)
        result = training.written(module, model)
        saved = training.savings(formats.facts(model.proto), formats.facts(result.proto))
        bench.log(f"{len(gone)} of {len(found)} blocks are gone: {saved}.")
        bench.progress(1, 1, f"{len(gone)} blocks are gone")
        return result

    def _by_similarity(
        self, module: fx.GraphModule, model: LoadedModel, found: list[Block], bench: Workbench
    ) -> list[Block]:
        from workers.training import depth, samples

        rows = samples.read(bench, Role.CALIBRATION, ROWS)
        names = [spec.name for spec in bench.contract.inputs]
        changes = depth.changes(module, found, (rows.pick(part, names) for part in rows.in_order(BATCH)))
        for place, change in enumerate(changes):
            bench.point("Change of its input by each block", x=place, y=change)
            bench.log(
                f"Block {place + 1}, {found[place].name}: one minus the cosine of input and output is {change:.4f}."
            )
        order = sorted(range(len(found)), key=changes.__getitem__)
        return [found[place] for place in order[: self.blocks]]

    def _by_effect(
        self, module: fx.GraphModule, model: LoadedModel, found: list[Block], bench: Workbench
    ) -> list[Block]:
        """The blocks whose removal loses least, one after the other."""
        from workers import training
        from workers.evaluation.drop import Yardstick
        from workers.training import depth

        yardstick = Yardstick(model.proto, bench)
        gone: list[Block] = []
        looks = sum(len(found) - taken for taken in range(self.blocks))
        done = 0
        for taken in range(self.blocks):
            drops: dict[Block, float] = {}
            for place, block in enumerate(found):
                if block in gone:
                    continue
                shorter = training.copied(module)
                depth.without(shorter, [*gone, block])
                drops[block] = yardstick.drop(training.written(shorter, model).proto)
                bench.point(f"Points lost without a block, {taken} gone", x=place, y=drops[block])
                done += 1
                bench.progress(done, looks + 1, f"Without block {place + 1}")
            least = min(drops, key=drops.__getitem__)
            gone.append(least)
            bench.log(f"Without {least.name}: {drops[least]:.3f} points of {yardstick.name} lost on validation data.")
        return gone


def _attentions(model: ModelFacts) -> int:
    return sum(model.op_counts.get(name, 0) for name in ATTENDING)
