"""Gradual pruning: the smallest weights become zero, ever more of them, while the network trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.steps.pruning import Scope, Sparsity, ZeroingStep
from workers.steps.training import Epochs, RecoveryStep, Schedule
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    from workers.model import LoadedModel
    from workers.workbench import Workbench


class GradualPruning(ZeroingStep, RecoveryStep):
    """Set the smallest weights to zero little by little while the network trains.

    The share of zeros follows a cubic curve: many go at first, when much is superfluous, few at the end; then the
    network trains on with its zeros in place. That bears clearly more zeros than setting them all at once. Only
    networks with all their zeros are examined for the result.

    Layers keep their shape. The file shrinks once it is compressed; onnxruntime computes with zeros all the same.
    """

    about: ClassVar = About(
        title="Gradual pruning",
        family=Family.PRUNING,
        needs=frozenset({Need.TRAINING}),
        source="Zhu & Gupta 2017, arXiv:1710.01878, section 3; Gale et al. 2019, arXiv:1902.09574",
    )
    technique: Literal["gradual-pruning"]
    sparsity: Sparsity = 0.8
    scope: Scope = "network"
    ramp: float = Field(
        0.6,
        gt=0,
        le=0.95,
        title="Share of the time to prune",
        description="Part of the training in which zeros become more; the rest recovers.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    epochs: Epochs = 10
    schedule: Schedule = "one-cycle"

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        return self.cannot_train(model, data) or self.fit_of_zeros(model)

    def forecast(self, facts: ModelFacts) -> Forecast:
        size = Span(value=facts.size_bytes, low=0.9 * facts.size_bytes, high=1.1 * facts.size_bytes + 4000)
        return forecasts.of_training(
            facts, epochs=self.epochs, rows=self.rows or None, teacher=self.has_teacher, result_bytes=size
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers import training
        from workers.graph import surgery
        from workers.training.ramp import Ramp, prunable

        module = training.trainable(model, self.about.title, bench)
        weights = prunable(module, surgery.known_layers(model.proto, self.excluded))
        if not weights:
            raise YoursToFix(
                "Expected layers with weights to prune, found none.",
                hint="Leave fewer layers untouched.",
                code="technique.nothing-to-do",
            )
        school, plan = self.school(model, bench), self.plan(keep_zeros=True)
        ramp = Ramp(
            weights,
            sparsity=self.sparsity,
            steps=max(1, int(self.ramp * school.steps(plan.batch) * plan.epochs)),
            together=self.scope == "network",
            tell=lambda step, share: bench.point("share of zeros", x=step, y=share),
        )
        found = training.train(module, school, plan, bench, after_step=ramp.step, may_keep=lambda: ramp.is_over)
        zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
        bench.log(
            f"{zeros:.1%} of the weights are zero. {school.exam_name} on validation data: "
            f"{school.shown(found.before):.4f} before, {school.shown(found.best):.4f} after epoch {found.epoch}."
        )
        return training.written(module, model)
