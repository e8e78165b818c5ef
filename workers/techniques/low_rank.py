"""Low rank: layers become two or three thinner ones in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.graph.operators import HEAVY
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from torch import fx

    from workers.model import LoadedModel
    from workers.training.thinning import Thinned
    from workers.workbench import Workbench

LEAST_SIDE = 16


class LowRank(Technique):
    """Replace a layer by two or three thinner ones in a row that compute about the same.

    Matrices and 1x1 convolutions are split by singular values, larger convolutions into a thin kernel between
    two 1x1 convolutions (Tucker-2). A layer is left as it is where its parts would not hold fewer
    numbers. Trained layers are seldom of low rank: put Fine-tune behind this step. More layers
    in a row can run slower although they compute less.
    """

    about: ClassVar = About(
        title="Low rank",
        family=Family.LOWRANK,
        source=(
            "Eckart & Young 1936, doi:10.1007/BF02288367 (SVD); Kim et al. 2016, arXiv:1511.06530 (Tucker-2); "
            "Denton et al. 2014, arXiv:1404.0736"
        ),
    )
    technique: Literal["low-rank"]
    rule: Literal["energy", "size"] = Field(
        "size",
        title="Ranks by",
        description="The energy (squared singular values) to keep, or the share of each layer's numbers to keep.",
    )
    keep: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Share to keep",
        description="Of the energy or of the numbers of each layer, as chosen above; energies are best over 0.9.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    convolutions: bool = Field(True, title="Convolutions", description="Factorize convolutions too, not only matrices.")
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left alone",
        description="Names of layers that stay as they are.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is quantized: factorize before that step.")
        if not forecasts.params_in(model, HEAVY):
            return Fit(word="does-not-fit", reason="The network has no convolution or matrix product with weights.")
        if model.params < 10_000:
            return Fit(word="little-gain", reason="The layers are so small that splitting them saves next to nothing.")
        return Fit(word="fits", reason="Layers become thinner where that pays. Fine-tune afterwards.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        share = self.keep if self.rule == "size" else 0.7
        size = Span(
            value=(0.2 + 0.8 * share) * facts.size_bytes,
            low=0.02 * facts.size_bytes,
            high=1.1 * facts.size_bytes + 10_000,
        )
        return forecasts.of_work(facts, result_bytes=size, weight_passes=40, other_seconds=2.0)

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training
        from workers.graph import surgery
        from workers.training import narrowing

        module = training.trainable(model, self.about.title, bench)
        left = surgery.known_layers(model.proto, self.excluded)
        names = narrowing.layer_names(module)
        layers = len(narrowing.widths(module))
        changed = self._factorize(module, names, left, bench)
        if not changed:
            raise YoursToFix(
                "Expected layers that are smaller in parts, found none.",
                hint="Keep a smaller share, or leave out this step.",
                code="low-rank.nothing-pays",
            )
        was, now = (sum(getattr(one, side) for one in changed) for side in ("before", "numbers"))
        bench.log(f"{len(changed)} of {layers} layers are thinner: {was:,} weights became {now:,}.")
        return training.written(module, model)

    def _factorize(
        self, module: fx.GraphModule, names: dict[str, str], left: frozenset[str], bench: Workbench
    ) -> list[Thinned]:
        """Replace every layer that is smaller in parts."""
        from torch import nn

        from workers.training import thinning

        wish = thinning.Wish(*((self.keep, 0.0) if self.rule == "energy" else (0.0, self.keep)))
        paths = [path for path in thinning.candidates(module) if names.get(path, path) not in left]
        changed = []
        for done, path in enumerate(paths, start=1):
            layer = module.get_submodule(path)
            skipped = min(layer.weight.shape[:2]) < LEAST_SIDE or (  # type: ignore[index, union-attr, arg-type]
                isinstance(layer, nn.Conv2d) and not self.convolutions
            )
            found = None if skipped else thinning.thinned(layer, wish)
            if found is not None:
                module.set_submodule(path, found.layers)
                changed.append(found)
                ranks = " and ".join(map(str, found.ranks))
                bench.log(f"{names.get(path, path)}: rank {ranks}, {found.before:,} → {found.numbers:,} weights")
            bench.progress(done, len(paths), names.get(path, path))
        return changed
