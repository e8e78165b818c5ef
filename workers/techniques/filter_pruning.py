"""Filter pruning: whole filters, channels and neurons leave the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.graph.operators import HEAVY
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from torch import fx

    from workers.model import LoadedModel
    from workers.workbench import Workbench

TAYLOR_ROWS = 512  # see workers.training.evidence
LEAST_LAYERS = 3


class FilterPruning(Technique):
    """Remove whole filters, channels and neurons, so that every layer computes less.

    The network becomes smaller and faster on any processor, without special kernels. Layers that
    must keep in step, such as those on both sides of a shortcut, lose the same channels; what something fixed further
    on counts on, such as the width of attention, stays. The outputs never change their shape.

    Without training afterwards a pruned network is badly damaged: put Fine-tune behind this step.
    """

    about: ClassVar = About(
        title="Filter pruning",
        family=Family.PRUNING,
        source=(
            "Li et al. 2017, arXiv:1608.08710 (L1); Molchanov et al. 2019, arXiv:1906.10771 (Taylor); He et al. 2019, "
            "arXiv:1811.00250 (geometric median); Liu et al. 2017, arXiv:1708.06519 (batch-norm scale); "
            "Fang et al. 2023, arXiv:2301.12900 (dependency graph)"
        ),
        version=3,
    )
    technique: Literal["filter-pruning"]
    target: Literal["channels", "macs"] = Field(
        "channels",
        title="Counted in",
        description="Whether the amount counts channels of each layer or the network's multiply-accumulates (MACs).",
    )
    amount: float = Field(
        0.3,
        gt=0,
        lt=1,
        title="Amount to remove",
        description="Share of the channels, or of the MACs, that goes.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    criterion: Literal["l1", "l2", "taylor", "geometric-median", "batch-norm"] = Field(
        "l2",
        title="Criterion",
        description=(
            "What makes a channel expendable: small weights (L1, L2), little influence on the loss (Taylor, needs "
            "training data), being like the others (geometric median), or a small batch-norm scale."
        ),
    )
    scope: Literal["layer", "network"] = Field(
        "layer",
        title="Ranked within",
        description="Each layer loses the same share, or the least important channels of the whole network go.",
    )
    multiple: int = Field(
        4,
        ge=1,
        le=64,
        title="Multiples of channels",
        description="Widths are kept to multiples of this, which kernels run best.",
        json_schema_extra={"unit": "channels", "step": 1},
    )
    keep_first: bool = Field(True, title="Keep the first layer", description="Leave the layers that read the inputs.")
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left alone",
        description="Names of layers that keep all their channels.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is quantized: prune before that step.")
        layers = [layer for layer in model.layers if layer.op in HEAVY and layer.params]
        if len(layers) < 2:
            return Fit(word="does-not-fit", reason="The network has no layer between its first and its last.")
        if self.criterion == "taylor" and (data is None or not data.rows(Role.TRAIN)):
            return Fit(word="does-not-fit", reason="The Taylor criterion needs training data.")
        if self.criterion == "batch-norm" and "BatchNormalization" not in model.op_counts:
            return Fit(word="does-not-fit", reason="The network has no batch normalisation; choose another criterion.")
        if len(layers) < LEAST_LAYERS:
            return Fit(word="little-gain", reason="Only one layer lies between the inputs and the outputs.")
        return Fit(word="fits", reason="Layers become narrower, which any processor feels. Fine-tune afterwards.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        left = 1 - self.amount
        least = 0.8 * facts.size_bytes * (left if self.target == "macs" else left**2)
        size = Span(value=(least + facts.size_bytes) / 2, low=0.5 * least, high=1.1 * facts.size_bytes + 4000)
        return forecasts.of_training(facts, epochs=1, rows=TAYLOR_ROWS, result_bytes=size)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import formats, training
        from workers.graph import surgery
        from workers.training import narrowing, samples

        module = training.trainable(model, self.about.title, bench)
        example = samples.example(bench)
        before = formats.facts(model.proto)
        left = surgery.known_layers(model.proto, self.excluded)
        cut = narrowing.safe_cut(
            module,
            example,
            narrowing.Cut(self.criterion, self.scope == "network", self.multiple, frozenset()),
            bench,
            keep_first=self.keep_first,
            left=left,
        )
        self._weigh(module, model, bench)
        bench.progress(1, 3, "Ranking the channels")
        if self.target == "macs":

            def macs(made: fx.GraphModule) -> float:
                bench.check()
                return formats.facts(training.written(made, model).proto).macs

            made, _ = narrowing.narrowed_to(module, example, cut, macs, (1 - self.amount) * before.macs)
        else:
            made = narrowing.narrowed(module, example, cut, self.amount)
        result = training.written(made, model)
        names = narrowing.layer_names(module)
        was, now = ({names[path]: size for path, size in narrowing.widths(one).items()} for one in (module, made))
        self._tell(was, now, before, formats.facts(result.proto), bench)
        return result

    def _weigh(self, module: fx.GraphModule, model: LoadedModel, bench: Workbench) -> None:
        """Leave the gradients of the task's loss in the network, where the criterion asks for them."""
        if self.criterion != "taylor":
            return
        from workers.training import evidence, narrowing

        narrowing.gradients(evidence.losses(module, model, bench), module)

    def _tell(
        self,
        was: dict[str, int],
        now: dict[str, int],
        before: ModelFacts,
        after: ModelFacts,
        bench: Workbench,
    ) -> None:
        from workers import training

        narrower = [name for name in was if now[name] < was[name]]
        if not narrower:
            raise YoursToFix(
                "Expected layers that can lose channels, found none.",
                hint="Remove more, allow smaller multiples of channels, or leave out this step.",
                code="pruning.nothing-to-prune",
            )
        for name in narrower:
            bench.log(f"{name}: {was[name]} → {now[name]} channels")
        bench.log(f"{len(narrower)} of {len(was)} layers are narrower: {training.savings(before, after)}.")
        bench.progress(3, 3, f"{len(narrower)} layers are narrower")
