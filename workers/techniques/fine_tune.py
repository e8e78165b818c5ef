"""Fine-tune: train the network further, so that it recovers what earlier steps cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts
from workers.steps.training import Patience, RecoveryStep
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench


class FineTune(RecoveryStep):
    """Train the network further, so that it recovers what earlier steps cost.

    It learns from the labels, from the answers of the job's untouched baseline (which are computed once),
    or from both. After each epoch it is examined on validation data; the best network is kept, which is
    the one that came in if no epoch was better. Weights that are zero stay zero, so a pruned network stays pruned.

    A network of vectors takes pairs of query and document as labels: each query shall find its document among those of
    the batch, so that large batches teach more.

    Batch normalisation is often folded into the layers when a network is exported; such networks
    train as well, at a low learning rate.
    """

    about: ClassVar = About(
        title="Fine-tune",
        family=Family.RECOVERY,
        needs=frozenset({Need.TRAINING}),
        source=(
            "Han et al. 2015, arXiv:1506.02626, section 3 (retraining after pruning); "
            "Hinton et al. 2015, arXiv:1503.02531 (learning from a teacher); Henderson et al. 2017, arXiv:1705.00652 "
            "(pairs); Loshchilov & Hutter 2019, arXiv:1711.05101"
        ),
    )
    technique: Literal["fine-tune"]
    patience: Patience = 5
    keep_zeros: bool = Field(True, title="Keep zeros", description="Weights that are zero stay zero.")

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        return self.cannot_train(model, data) or Fit(
            word="fits", reason="Recovers what earlier steps cost; whether all layers can train shows at start."
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_training(
            facts,
            epochs=self.epochs,
            rows=self.rows or None,
            teacher=self.has_teacher,
            result_bytes=forecasts.about_the_same_bytes(facts),
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training

        module = training.trainable(model, self.about.title, bench)
        school = self.school(model, bench)
        trained = training.train(module, school, self.plan(keep_zeros=self.keep_zeros), bench)
        gain = "" if trained.epoch else " No epoch was better: the network is as it came."
        bench.log(
            f"{school.exam_name} on validation data: {school.shown(trained.before):.4f} before, "
            f"{school.shown(trained.best):.4f} after epoch {trained.epoch}.{gain}"
        )
        return training.written(module, model) if trained.epoch else model
