"""Transformer pruning: whole attention heads and feed-forward neurons leave the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from torch import Tensor, fx

    from workers.model import LoadedModel
    from workers.training.anatomy import Kind, Organ
    from workers.training.slimming import Loss
    from workers.workbench import Workbench

ATTENDING = frozenset({"Softmax", "Attention"})
PRODUCTS = frozenset({"MatMul", "Gemm"})
TAYLOR_ROWS = 512  # see workers.training.evidence


class TransformerPruning(Technique):
    """Remove whole attention heads and feed-forward neurons, so that every block computes less.

    Heads and neurons are found by what the network computes, whatever framework exported it: a softmax between two
    products, and linear layers that read each other. Heads that share keys and values leave together. Before a part is
    touched, the step tries on it that a head taken out is worth one that is silenced; parts that fail stay whole, and
    the log names them. The width between blocks, embeddings and outputs stay as they are.

    The network becomes smaller and faster on any processor. Beyond a fifth it loses accuracy: put Fine-tune behind.
    """

    about: ClassVar = About(
        title="Transformer pruning",
        family=Family.PRUNING,
        source=(
            "Michel et al. 2019, arXiv:1905.10650 (heads); Kwon et al. 2022, arXiv:2204.09656 (heads and neurons); "
            "Molchanov et al. 2019, arXiv:1906.10771 (Taylor); He et al. 2019, arXiv:1811.00250 (geometric median)"
        ),
        version=2,
    )
    technique: Literal["transformer-pruning"]
    heads: float = Field(
        0.25,
        ge=0,
        lt=1,
        title="Heads to remove",
        description="Share of the attention heads that goes; 0 keeps them all.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    neurons: float = Field(
        0.25,
        ge=0,
        lt=1,
        title="Neurons to remove",
        description="Share of the feed-forward neurons that goes; 0 keeps them all.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    criterion: Literal["l1", "l2", "taylor", "geometric-median"] = Field(
        "l2",
        title="Criterion",
        description=(
            "What makes a head or neuron expendable: small weights (L1, L2), little influence on the loss (Taylor, "
            "needs training data), or being like the others (geometric median)."
        ),
    )
    scope: Literal["layer", "network"] = Field(
        "layer",
        title="Ranked within",
        description="Each block loses the same share, or the least important of the whole network go.",
    )
    multiple: int = Field(
        8,
        ge=1,
        le=256,
        title="Multiples of neurons",
        description="Feed-forward widths are kept to multiples of this, which kernels run best.",
        json_schema_extra={"unit": "neurons", "step": 8},
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left alone",
        description="Names of layers whose heads or neurons all stay.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is quantized: prune before that step.")
        if sum(layer.op in PRODUCTS and layer.params > 0 for layer in model.layers) < 2:
            return Fit(word="does-not-fit", reason="The network has no two matrix products with weights in a row.")
        if self.criterion == "taylor" and (data is None or not data.rows(Role.TRAIN)):
            return Fit(word="does-not-fit", reason="The Taylor criterion needs training data.")
        if not ATTENDING & model.op_counts.keys():
            return Fit(word="little-gain", reason="The network has no attention: only neurons can go.")
        return Fit(word="fits", reason="Blocks become narrower, which any processor feels. Fine-tune afterwards.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        inside = 4 * forecasts.params_in(facts, PRODUCTS)
        share = (self.heads + 2 * self.neurons) / 3  # a usual block has twice as many weights in its neurons
        size = Span(
            value=facts.size_bytes - 0.9 * share * inside,
            low=max(facts.size_bytes - 1.1 * max(self.heads, self.neurons) * inside, 0.02 * facts.size_bytes),
            high=1.1 * facts.size_bytes + 10_000,
        )
        rows = TAYLOR_ROWS if self.criterion == "taylor" else 16
        return forecasts.of_training(facts, epochs=1, rows=rows, result_bytes=size)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import formats, training
        from workers.training import narrowing, samples, slimming

        module = training.trainable(model, self.about.title, bench)
        example = samples.example(bench)
        organs = self._organs(module, model, example, bench)
        bench.progress(1, 3, "Ranking heads and neurons")
        losses = self._losses(module, model, organs, bench)
        slimming.take_out(module, losses, example)
        result = training.written(module, model)
        names = narrowing.layer_names(module)
        for loss in losses:
            left = loss.organ.units - len(loss.gone)
            bench.log(f"{names[loss.organ.reader]}: {loss.organ.units} → {left} {loss.organ.kind}")
        saved = training.savings(formats.facts(model.proto), formats.facts(result.proto))
        bench.log(f"{len(losses)} parts are narrower: {saved}.")
        bench.progress(3, 3, f"{len(losses)} parts are narrower")
        return result

    def _organs(
        self, module: fx.GraphModule, model: LoadedModel, example: tuple[Tensor, ...], bench: Workbench
    ) -> list[Organ]:
        """The parts that may lose units: not those named, and not those whose shapes cannot follow."""
        from workers.graph import surgery
        from workers.training import anatomy, narrowing, slimming

        left = surgery.known_layers(model.proto, self.excluded)
        names = narrowing.layer_names(module)
        found = [
            organ
            for organ in anatomy.organs(module, example)
            if self._shares()[organ.kind] and not left & {names[path] for path in organ.paths}
        ]
        fine = slimming.removable(module, found, example, bench.check)
        for organ in found:
            if organ not in fine:
                bench.log(
                    f"{names[organ.reader]} keeps its {organ.kind}: something fixed counts on them.", level="warning"
                )
        return fine

    def _losses(self, module: fx.GraphModule, model: LoadedModel, organs: list[Organ], bench: Workbench) -> list[Loss]:
        from workers.training import evidence, slimming

        if self.criterion == "taylor":
            marks = slimming.influences(module, organs, evidence.losses(module, model, bench))
        else:
            marks = [slimming.scores(module, organ, self.criterion) for organ in organs]
        losses = slimming.expendable(
            organs, marks, shares=self._shares(), across=self.scope == "network", multiple=self.multiple
        )
        if not losses:
            raise YoursToFix(
                "Expected attention heads or feed-forward neurons that can go, found none.",
                hint="Remove more, allow smaller multiples, or use Filter pruning for a convolutional network.",
                code="pruning.nothing-to-prune",
            )
        return losses

    def _shares(self) -> dict[Kind, float]:
        return {"heads": self.heads, "neurons": self.neurons}
