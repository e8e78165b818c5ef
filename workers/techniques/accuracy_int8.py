"""Accuracy-controlled INT8: as much of the network in 8 bits as a limit on the loss allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field

from workers import forecasts
from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.graph.operators import HEAVY, QUANTIZED
from workers.steps.int8 import CalibratedInt8Step
from workers.technique import About, Family, Fit, Forecast, Need

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workers.evaluation.drop import Yardstick
    from workers.graph.ablation import Unit
    from workers.graph.int8 import Choice
    from workers.model import LoadedModel
    from workers.workbench import Workbench

Method: TypeAlias = Literal["min-max", "entropy", "percentile", "mse"]
AUTO: tuple[Method, ...] = ("min-max", "mse", "percentile")
PERCENTILE = 99.99
MOST_TAKEN_BACK = 4
VALIDATION_GUESS = 6000  # rows; the facts of a network do not tell how many there are


class AccuracyInt8(CalibratedInt8Step):
    """Quantize to 8 bits as far as a limit on the lost accuracy allows.

    First everything is quantized and measured on validation data. If that loses too much, each layer's
    own harm is measured on calibration data, and layers go back to float, the most harmful first and as few
    as it takes. The result keeps the limit on validation data, or the step fails and names the best it reached;
    the final evaluation on test data then tells the loss on rows no decision has seen.

    The limit counts points of the headline metric, absolute; for errors such as RMSE it counts percent of growth,
    and without labels the percent of answers that change.
    """

    about: ClassVar = About(
        title="Accuracy-controlled INT8",
        family=Family.QUANTIZATION,
        lowers_precision=True,
        needs=frozenset({Need.CALIBRATION}),
        source=(
            "Wu et al. 2020, arXiv:2004.09602, section 6.1 (partial quantization by sensitivity); "
            "Jacob et al. 2018, arXiv:1712.05877"
        ),
        searches=True,
        version=2,
    )
    technique: Literal["accuracy-int8"]
    max_drop: float = Field(
        0.1,
        ge=0,
        le=100,
        title="Largest drop",
        description="What the quantized network may lose on validation data, in points of its headline metric.",
        json_schema_extra={"unit": "points", "step": 0.05},
    )
    calibration: Literal["auto", "min-max", "entropy", "percentile", "mse"] = Field(
        "auto",
        title="Calibration",
        description="How the range of each activation is chosen. Auto: the first of several ways that keeps the limit.",
    )

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        refused = self.cannot_quantize(model, data, (Role.CALIBRATION, Role.VALIDATION))
        if refused is not None:
            return refused
        return self.no_faster(model, device) or Fit(
            word="fits", reason="The loss is held on validation data, layer by layer if need be."
        )

    def forecast(self, facts: ModelFacts) -> Forecast:
        quantized = forecasts.int8_bytes(facts, HEAVY)
        most = max(quantized.high, facts.size_bytes + quantized.high - quantized.low)
        return forecasts.of_work(
            facts,
            result_bytes=Span(value=quantized.value, low=quantized.low, high=most),
            float_runs=self.samples + 2 * VALIDATION_GUESS,
            weight_passes=20,
            other_seconds=3.0,
        )

    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        from workers.evaluation.drop import Yardstick
        from workers.graph import ablation, int8, surgery

        surgery.require_float32(model.proto, self.about.title)
        left = surgery.known_layers(model.proto, self.excluded)
        _require_validation_rows(bench)
        ready = surgery.for_int8(model.proto, bench.scratch, bench.threads)
        work = _Work(
            bench=bench,
            original=model.proto,
            ready=ready,
            units=ablation.units(ready, QUANTIZED),
            left=(*surgery.still_called(ready, left), *int8.delicate(ready)),
            choice=int8.choose(bench.device, self.reduce_range, per_channel=True),
            yardstick=Yardstick(model.proto, bench, bench.part(0, 0.2).progress),
        )
        bench.log(f"Float: {work.yardstick.name} {work.yardstick.baseline:.4f} on validation data.")
        best = self._search(work)
        bench.progress(1, 1, f"Lost {best.drop:.3f} points with {len(best.floats)} layers in float")
        return model.with_proto(best.proto, *_notes(best, work, self.max_drop))

    def _search(self, work: _Work) -> _Try:
        """The first way of calibrating that keeps the limit, else the best of them with layers put back.

        Raises:
            YoursToFix: if the limit cannot be kept with any layer in 8 bits.
        """
        methods: tuple[Method, ...] = AUTO if self.calibration == "auto" else (self.calibration,)
        tries = []
        for number, method in enumerate(methods):
            begin, end = (0.2 + 0.3 * share / len(methods) for share in (number, number + 1))
            work.calibrate(method, self.samples, begin, end)
            tries.append((work.attempt((), done=end), method, work.ranges))
            if tries[-1][0].drop <= self.max_drop:
                return tries[-1][0]
        best, method, work.ranges = min(tries, key=lambda one: one[0].drop)
        work.bench.log(f"With everything in 8 bits ({method}) {best.drop:.3f} points are lost: measuring each layer.")
        return self._put_back(work, best)

    def _put_back(self, work: _Work, everything: _Try) -> _Try:
        from workers.numerics.search import first_passing

        worst_first = _up_to_the_last(work.ranking(), work.weighted())
        tries = {0: everything}

        def passes(floats: int) -> bool:
            if floats not in tries:
                tries[floats] = work.attempt(worst_first[:floats])
            return tries[floats].drop <= self.max_drop

        fewest = first_passing(len(worst_first), passes)
        if fewest is None:
            raise _cannot(self.max_drop, min(tries.values(), key=lambda one: one.drop), len(work.units))
        return self._take_back(work, tries[fewest])

    def _take_back(self, work: _Work, kept: _Try) -> _Try:
        """Quantize single layers again, the least harmful first, where the limit bears it."""
        for unit in [*reversed(kept.floats)][1 : MOST_TAKEN_BACK + 1]:
            tried = work.attempt(tuple(one for one in kept.floats if one is not unit))
            kept = tried if tried.drop <= self.max_drop else kept
        return kept


@dataclass(frozen=True)
class _Try:
    """A network with some units in float, and the points it lost on validation data."""

    floats: tuple[Unit, ...]
    proto: onnx.ModelProto
    drop: float


@dataclass
class _Work:
    """What one search needs: the network in its forms, the ranges in use, and the measure."""

    bench: Workbench
    original: onnx.ModelProto
    ready: onnx.ModelProto
    units: tuple[Unit, ...]
    left: tuple[str, ...]
    choice: Choice
    yardstick: Yardstick
    ranges: dict[str, tuple[float, float]] | None = None
    tried: int = 0

    def calibrate(self, method: Method, samples: int, begin: float, end: float) -> None:
        from workers.graph import calibration

        bench = self.bench.part(begin, end)
        self.ranges = calibration.ranges(
            self.ready, QUANTIZED, bench, method=method, samples=samples, percentile=PERCENTILE
        )

    def quantized(self, floats: Iterable[Unit]) -> onnx.ModelProto:
        from workers.graph import int8, surgery

        spared = [*self.left, *(name for unit in floats for name in unit.nodes)]
        return int8.static(
            surgery.copy(self.ready), self.ranges or {}, self.choice, op_types=QUANTIZED, excluded=spared
        )

    def attempt(self, floats: tuple[Unit, ...], done: float | None = None) -> _Try:
        """Quantize all but some units and measure the result; ``done`` is the share of the step that is over then."""
        from workers.graph import surgery

        proto = self.quantized(floats)
        surgery.require_int8_weights(proto, hint="Layers inside branches and loops stay in float; leave out this step.")
        proto = surgery.with_borders_of(proto, self.original)
        drop = self.yardstick.drop(proto)
        self.tried += 1
        self.bench.point("Points lost by layers in float", x=len(floats), y=drop)
        self.bench.log(
            f"{len(floats)} of {len(self.units)} layers in float: {drop:.3f} points lost on validation data."
        )
        share = 0.65 + min(0.03 * self.tried, 0.34) if done is None else done
        self.bench.progress(round(1000 * share), 1000, f"{len(floats)} layers in float")
        return _Try(floats, proto, drop)

    def weighted(self) -> frozenset[str]:
        """The layers with weights of their own; a product of two activations has none to make smaller."""
        stored = {tensor.name for tensor in self.ready.graph.initializer}
        return frozenset(node.name for node in self.ready.graph.node if stored.intersection(node.input))

    def ranking(self) -> tuple[Unit, ...]:
        """The units that could be quantized, the most harmful first."""
        from workers.graph import ablation

        bench = self.bench.part(0.5, 0.65)
        harm = ablation.distances(self.quantized(()), self.ready, self.units, bench)
        order = _falling(harm)
        for rank, index in enumerate(order):
            self.bench.point("Harm of one layer in 8 bits", x=rank, y=float(harm[index]))
        return tuple(self.units[index] for index in order if self.units[index].name not in self.left)


def _up_to_the_last(worst_first: tuple[Unit, ...], weighted: frozenset[str]) -> tuple[Unit, ...]:
    """The ranking up to its last layer with weights, so that all but that one may go back to float."""
    last = max((place for place, unit in enumerate(worst_first) if unit.name in weighted), default=-1)
    return worst_first[: last + 1]


def _falling(values: np.ndarray) -> list[int]:
    return [int(index) for index in (-values).argsort(kind="stable")]


def _require_validation_rows(bench: Workbench) -> None:
    next(iter(bench.batches(Role.VALIDATION, size=1, limit=1)))


def _notes(best: _Try, work: _Work, limit: float) -> tuple[str, ...]:
    if not best.floats:
        return (work.choice.note,)
    names = ", ".join(unit.name for unit in best.floats[:5]) + (" …" if len(best.floats) > 5 else "")
    kept = f"{len(best.floats)} of {len(work.units)} layers stay in float to keep the drop within {limit:g} points"
    return (work.choice.note, f"{kept}: {names}.")


def _cannot(limit: float, best: _Try, count: int) -> Exception:
    from workers.errors import YoursToFix

    return YoursToFix(
        f"Expected a drop of at most {limit:g} points on validation data; the best reached with any layer in 8 bits "
        f"is {best.drop:.3f}, with {len(best.floats)} of {count} layers in float.",
        hint="Allow a larger drop, give more calibration samples, or choose FP16.",
        code="technique.drop-not-reached",
    )
