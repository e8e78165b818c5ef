"""Quantization-aware INT8: the network trains with rounding in place, then becomes a real 8-bit network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role
from workers.graph.operators import HEAVY, QUANTIZED
from workers.steps.int8 import CalibratedInt8Step
from workers.steps.training import Epochs, LearningRate, RecoveryStep, WeightDecay
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    import onnx

    from workers.model import LoadedModel
    from workers.workbench import Workbench

CALIBRATED = 0.1  # share of the step's progress
TRAINED = 0.9
EIGHT_BITS, SEVEN_BITS = 127, 64


class QatInt8(CalibratedInt8Step, RecoveryStep):
    """Train the network with 8-bit rounding in place, then store and compute it in 8 bits.

    While it trains, weights are rounded per output channel and activations within ranges that are
    trained as well, so the network learns to live with the rounding. What comes out is the same kind of file as
    Static INT8 makes, with the trained weights and ranges: the runtime computes it in integer arithmetic.

    Worth its time where Static INT8 loses accuracy, for example after heavy pruning or on depthwise convolutions.
    """

    about: ClassVar = About(
        title="Quantization-aware INT8",
        family=Family.QUANTIZATION,
        lowers_precision=True,
        needs=frozenset({Need.TRAINING, Need.CALIBRATION}),
        source=(
            "Jacob et al. 2018, arXiv:1712.05877, section 3; Choi et al. 2018, arXiv:1805.06085 (trained ranges); "
            "Bengio et al. 2013, arXiv:1308.3432 (straight-through estimator)"
        ),
        version=2,
    )
    technique: Literal["qat-int8"]
    calibration: Literal["min-max", "entropy", "percentile", "mse"] = Field(
        "mse",
        title="First ranges",
        description="How the ranges are chosen from which training starts.",
    )
    epochs: Epochs = 3
    learning_rate: LearningRate = 0.0003
    weight_decay: WeightDecay = 0.0

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        refused = self.cannot_quantize(model, data, (Role.TRAIN, Role.CALIBRATION))
        if refused is not None:
            return refused
        return self.no_faster(model, device) or Fit(
            word="fits", reason="The network learns to live with rounding; try Static INT8 first, it is quick."
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        return forecasts.of_training(
            facts,
            epochs=1.5 * self.epochs,  # rounding takes about half as long again
            rows=self.rows or None,
            teacher=self.has_teacher,
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
        rounded = set(calibration.activations(ready, QUANTIZED, but=int8.delicate(ready)))
        first = {name: ends for name, ends in first.items() if name in rounded}
        trained, learnt = self._trained(model.with_proto(ready), first, most, left, bench)
        trained = surgery.for_int8(trained, bench.scratch, bench.threads)
        named = set(calibration.activations(trained, QUANTIZED))
        others = self._ranges(trained, bench.part(TRAINED, 1))
        ranges = others | {name: ends for name, ends in learnt.items() if name in named}
        spared = [*surgery.still_called(trained, left), *int8.delicate(trained)]
        quantized = int8.static(trained, ranges, choice, op_types=QUANTIZED, excluded=spared)
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
        school = self.school(ready, bench)
        found = training.train(module, school, self.plan(keep_zeros=True), bench.part(CALIBRATED, TRAINED))
        bench.log(
            f"With rounding: {school.exam_name} {school.shown(found.before):.4f} before training, "
            f"{school.shown(found.best):.4f} after epoch {found.epoch}, on validation data."
        )
        learnt = rounding.take_out(module)
        return training.written(module, ready).proto, learnt
