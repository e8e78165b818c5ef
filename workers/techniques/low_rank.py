"""Low rank: layers become two or three thinner ones in a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.graph.operators import HEAVY
from workers.technique import About, Family, Fit, Forecast, Technique

if TYPE_CHECKING:
    from torch import Tensor, fx

    from workers.model import LoadedModel
    from workers.training.thinning import Thinned
    from workers.workbench import Workbench

LEAST_SIDE = 16
BATCH = 32


class LowRank(Technique):
    """Replace a layer by two or three thinner ones in a row that compute about the same.

    Matrices and 1x1 convolutions are split by singular values. Larger convolutions become a thin kernel between two
    1x1 convolutions (Tucker-2), or one small picture for each of some channels between them (CP), which takes fewer
    numbers and is harder to train. A layer is left as it is where its parts would not hold fewer numbers.

    With a look at activations, matrices stay near where their inputs lie, rather than everywhere; that helps most in
    transformers. Trained layers are seldom of low rank: put Fine-tune behind this step. More layers in a row can run
    slower although they compute less.
    """

    about: ClassVar = About(
        title="Low rank",
        family=Family.LOWRANK,
        source=(
            "Eckart & Young 1936, doi:10.1007/BF02288367 (SVD); Kim et al. 2016, arXiv:1511.06530 (Tucker-2); "
            "Lebedev et al. 2015, arXiv:1412.6553 (CP); "
            "Lan et al. 2020, arXiv:1909.11942 (embeddings); Wang et al. 2024, arXiv:2403.07378 (activations); "
            "Nakajima et al. 2013, JMLR 14 (variational Bayes)"
        ),
        version=3,
    )
    technique: Literal["low-rank"]
    rule: Literal["size", "energy", "vbmf"] = Field(
        "size",
        title="Ranks by",
        description=(
            "The share of each layer's numbers to keep, or of its energy (squared singular values), or as many ranks "
            "as variational Bayes (VBMF) tells from noise."
        ),
    )
    keep: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Share to keep",
        description="Of the numbers or of the energy of each layer, as chosen above; energies are best over 0.9.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    kernels: Literal["tucker", "cp"] = Field(
        "tucker",
        title="Larger convolutions",
        description="Become a thin kernel between two 1x1 convolutions (Tucker-2), or one picture per channel (CP).",
    )
    activations: bool = Field(
        False,
        title="Look at activations",
        description="Fit matrices to the inputs they get on calibration rows.",
    )
    samples: int = Field(
        256,
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows to look at for activations.",
        json_schema_extra={"unit": "rows", "step": 32},
    )
    matrices: bool = Field(True, title="Matrices", description="Factorize matrix products.")
    convolutions: bool = Field(True, title="Convolutions", description="Factorize convolutions.")
    embeddings: bool = Field(
        False,
        title="Embeddings",
        description="Split large tables that are looked up too: a narrower table, and a matrix that widens its rows.",
    )
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
        if self.activations and data is not None and not data.rows(Role.CALIBRATION):
            return Fit(word="does-not-fit", reason="The dataset has no calibration rows to look at activations on.")
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
        return forecasts.of_work(
            facts,
            result_bytes=size,
            float_runs=self.samples if self.activations else 0,
            weight_passes=40 if self.kernels == "tucker" else 400,
            other_seconds=2.0,
        )

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
        from workers.training import thinning

        wish = thinning.Wish(self.rule, self.keep, self.kernels)
        paths = [
            path
            for path in thinning.candidates(module)
            if names.get(path, path) not in left and self._is_meant(module.get_submodule(path))
        ]
        moments = self._moments(module, paths, bench)
        changed = []
        for done, path in enumerate(paths, start=1):
            found = thinning.thinned(module.get_submodule(path), wish, moments.get(path))
            if found is not None:
                module.set_submodule(path, found.layers)
                changed.append(found)
                ranks = " and ".join(map(str, found.ranks))
                bench.log(f"{names.get(path, path)}: rank {ranks}, {found.before:,} → {found.numbers:,} weights")
            bench.progress(done, len(paths), names.get(path, path))
        return changed

    def _is_meant(self, layer: Any) -> bool:
        from torch import nn

        asked = {nn.Linear: self.matrices, nn.modules.conv._ConvNd: self.convolutions, nn.Embedding: self.embeddings}
        meant = all(wanted for kind, wanted in asked.items() if isinstance(layer, kind))
        return bool(meant and min(layer.weight.shape[:2]) >= LEAST_SIDE)

    def _moments(self, module: fx.GraphModule, paths: list[str], bench: Workbench) -> dict[str, Tensor]:
        """Second moments of what matrices read on calibration rows, where they are asked for."""
        from workers.training import samples, thinning

        if not self.activations:
            return {}
        matrices = [path for path in paths if thinning.takes_moments(module.get_submodule(path))]
        rows = samples.read(bench, Role.CALIBRATION, self.samples)
        names = [spec.name for spec in bench.contract.inputs]
        return thinning.moments(
            module, matrices, _checked((rows.pick(part, names) for part in rows.in_order(BATCH)), bench)
        )


def _checked(batches: Iterator[list[Tensor]], bench: Workbench) -> Iterator[list[Tensor]]:
    for batch in batches:
        bench.check()
        yield batch
