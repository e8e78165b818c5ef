"""Quantization-aware INT8: the network trains with rounding in place, then becomes a real 8-bit network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.contract import Task
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph.operators import HEAVY, QUANTIZED
from workers.technique import About, Family, Fit, Forecast, Need, Technique

if TYPE_CHECKING:
    import onnx

    from workers.model import LoadedModel
    from workers.training.school import Weights
    from workers.workbench import Workbench

CALIBRATED = 0.1  # share of the step's progress
TRAINED = 0.9
EIGHT_BITS, SEVEN_BITS = 127, 64


class QatInt8(Technique):
    """Train the network with 8-bit rounding in place, then store and compute it in 8 bits.

    While it trains, weights are rounded per output channel and activations within ranges that are
    trained as well, so the network learns to live with the rounding. What comes out is the same kind of file as
    Static INT8 makes, with the trained weights and ranges: the runtime computes it in integer arithmetic.

    Worth its time where Static INT8 loses accuracy, for example after heavy pruning or on depthwise convolutions.
    """

    about: ClassVar = About(
        title="Quantization-aware INT8",
        family=Family.QUANTIZATION,
        needs=frozenset({Need.TRAINING, Need.CALIBRATION}),
        source=(
            "Jacob et al. 2018, arXiv:1712.05877, section 3; Choi et al. 2018, arXiv:1805.06085 (trained ranges); "
            "Bengio et al. 2013, arXiv:1308.3432 (straight-through estimator)"
        ),
    )
    technique: Literal["qat-int8"]
    learn_from: Literal["both", "labels", "baseline"] = Field(
        "both",
        title="Learn from",
        description="Labels, the answers of the untouched baseline, or both; without labels, the baseline.",
    )
    epochs: int = Field(
        3,
        ge=1,
        le=200,
        title="Epochs",
        description="Passes over the training rows, at most.",
        json_schema_extra={"unit": "epochs", "step": 1},
    )
    learning_rate: float = Field(
        0.0003,
        gt=0,
        le=0.1,
        title="Learning rate",
        description="The highest size of a training step; falls along a cosine.",
        json_schema_extra={"unit": "", "step": 0.0001},
    )
    batch: int = Field(
        64,
        ge=2,
        le=4096,
        title="Batch",
        description="Rows in one training step.",
        json_schema_extra={"unit": "rows", "step": 16},
    )
    teacher_weight: float = Field(
        0.7,
        gt=0,
        lt=1,
        title="Weight of the baseline",
        description="How much the baseline's answers count beside the labels.",
        json_schema_extra={"unit": "fraction", "step": 0.05},
    )
    calibration: Literal["min-max", "entropy", "percentile", "mse"] = Field(
        "mse",
        title="First ranges",
        description="How the ranges are chosen from which training starts.",
    )
    samples: int = Field(
        256,
        ge=1,
        le=10_000,
        title="Calibration samples",
        description="Rows to look at for the first ranges.",
        json_schema_extra={"unit": "rows", "step": 32},
    )
    reduce_range: Literal["auto", "always", "never"] = Field(
        "auto",
        title="7-bit weights",
        description=(
            "Keep weights to 7 bits, so that sums cannot saturate on x86 processors without VNNI. Auto: where "
            "the device is one."
        ),
    )
    excluded: tuple[str, ...] = Field(
        (),
        max_length=500,
        title="Layers left in float",
        description="Names of layers to leave as they are.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        if model.quantized:
            return Fit(word="does-not-fit", reason="The network is already quantized.")
        if not forecasts.params_in(model, HEAVY):
            return Fit(word="does-not-fit", reason="The network has no convolution or matrix product with weights.")
        for role in (Role.TRAIN, Role.CALIBRATION):
            if data is not None and (role not in data.roles or not data.roles[role].rows):
                return Fit(word="does-not-fit", reason=f"The dataset has no {role} rows.")
        if not device.has_int8_dot_product:
            return Fit(word="smaller-only", reason="This processor has no 8-bit dot product: little or no faster.")
        if forecasts.too_narrow_for_int8(model, HEAVY):
            return Fit(
                word="smaller-only",
                reason="The layers are so narrow that rounding to 8 bits costs the time integer arithmetic saves.",
            )
        return Fit(word="fits", reason="The network learns to live with rounding; try Static INT8 first, it is quick.")

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_training(
            facts,
            epochs=1.5 * self.epochs,  # rounding takes about half as long again
            teacher=self.learn_from != "labels",
            result_bytes=forecasts.int8_bytes(facts, HEAVY),
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.graph import calibration, int8, surgery

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        ready = surgery.for_int8(model.proto, bench.scratch, bench.threads)
        choice = int8.choose(bench.device, self.reduce_range, per_channel=True)
        first = self._ranges(ready, bench.part(0, CALIBRATED))
        most = SEVEN_BITS if choice.seven_bit else EIGHT_BITS
        trained, learnt = self._trained(model.with_proto(ready), first, most, left, bench)
        trained = surgery.for_int8(trained, bench.scratch, bench.threads)
        named = set(calibration.activations(trained, QUANTIZED))
        others = self._ranges(trained, bench.part(TRAINED, 1))
        ranges = others | {name: ends for name, ends in learnt.items() if name in named}
        quantized = int8.static(
            trained, ranges, choice, op_types=QUANTIZED, excluded=surgery.still_called(trained, left)
        )
        surgery.require_int8_weights(quantized, hint="Layers inside branches and loops stay in float.")
        bench.progress(1, 1, "Quantized")
        return model.with_proto(surgery.with_borders_of(quantized, model.proto), choice.note)

    def _ranges(self, proto: onnx.ModelProto, bench: Workbench) -> dict[str, tuple[float, float]]:
        from workers.graph import calibration

        return calibration.ranges(
            proto, QUANTIZED, bench, method=self.calibration, samples=self.samples, percentile=99.99
        )

    def _trained(
        self,
        ready: LoadedModel,
        first: dict[str, tuple[float, float]],
        most: int,
        left: frozenset[str],
        bench: Workbench,
    ) -> tuple[onnx.ModelProto, dict[str, tuple[float, float]]]:
        """The float network trained with rounding, and the ranges it learnt by activation."""
        from workers import training
        from workers.training import rounding

        module = training.trainable(ready, self.about.title, bench)
        rounding.put_in(module, first, most=most, left=left)
        school = training.School(bench, self._weights(bench), bench.baseline or ready, None)
        plan = training.Plan(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            schedule="cosine",
            weight_decay=0.0,
            keep_zeros=True,
        )
        found = training.train(module, school, plan, bench.part(CALIBRATED, TRAINED))
        bench.log(
            f"With rounding: {school.exam_name} {found.before:.4f} before training, "
            f"{found.best:.4f} after epoch {found.epoch}, on validation data."
        )
        learnt = rounding.take_out(module)
        return training.written(module, ready).proto, learnt

    def _weights(self, bench: Workbench) -> Weights:
        from workers.training.school import Weights

        labelled = bench.data is not None and bench.data.facts.target.kind != "none"
        supervised = labelled and bench.contract.task in (Task.CLASSIFICATION, Task.REGRESSION)
        if self.learn_from == "labels":
            return Weights(labels=1.0, teacher=0.0)
        if self.learn_from == "baseline" or not supervised:
            return Weights(labels=0.0, teacher=1.0, temperature=2.0)
        return Weights(labels=1 - self.teacher_weight, teacher=self.teacher_weight, temperature=2.0)
