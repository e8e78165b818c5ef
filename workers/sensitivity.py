"""Which layers suffer from a technique: each layer alone is treated and measured on validation data.

Layers that the technique leaves as they are cost nothing. Of many layers, neighbours are treated together first, and
one by one only where they lose more than noise together. The rows are as many as the work of all that allows.

Every measurement has a place and is written down as soon as it is made, so that a job that was lost goes on where it
stopped. Test data is never opened.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from workers import formats
from workers.errors import YoursToFix
from workers.evaluation.drop import Yardstick
from workers.events import Event, Progress, SensitivityMeasured, StepFinished, StepStarted, TrialMeasured
from workers.facts import LayerFacts, ModelFacts, Role
from workers.graph.weights import unchanged
from workers.model import LoadedModel
from workers.report import ExclusionTried, LayerLoss, Loss, SamplesTried, Sensitivity
from workers.shop import Beside, Shop, rows, step_folder
from workers.technique import Need, Technique, can_be_taken_apart
from workers.ticket import TRIAL_FILE
from workers.workbench import Workbench

FEWEST_ROWS, MOST_ROWS = 200, 2000
MOST_MACS = 3e13  # of all measurements together; a core at 50 billion a second takes ten minutes
MOST_LAYERS = 500
ONE_BY_ONE = 48  # layers; of more, this many groups go first
GROUPS = 16
MOST_LETTERS = 500
SAMPLES = (8, 16, 32, 64, 128, 256, 512)
# A network that was only written anew gives outputs that differ in their last bits.
UNMOVED = 1e-5
NOT_TREATED = "The technique leaves this layer as it is."


@dataclass(frozen=True)
class Trial:
    """One measurement: the loss, whether anything changed at all, and what kept it from a figure."""

    loss: Loss
    treated: bool = True
    distance: float = 0.0
    note: str = ""


@dataclass
class _Work:
    """The network, the technique, the measure, what to measure, and how many measurements were made of how many."""

    shop: Shop
    model: LoadedModel
    bench: Workbench
    technique: Technique
    yardstick: Yardstick
    everyone: tuple[str, ...]
    layers: tuple[LayerFacts, ...]
    groups: tuple[tuple[LayerFacts, ...], ...]
    sizes: tuple[int, ...]
    total: int
    place: int = 0

    def trial(self, name: str, **changes: object) -> Trial:
        """Treat the network with some parameters changed, unless that was done before, and measure it."""
        place, self.place = self.place, self.place + 1
        self.total = max(self.total, self.place)
        kept = place in self.shop.order.cached
        done = _read(place) if kept else self._made(name, changes)
        if not kept:
            _write(place, done)
        self.bench.progress(self.place, self.total, f"{name}: {_points(done.loss)} lost")
        self.shop.emit(TrialMeasured(place=place, name=name[:300], loss=done.loss, cached=kept))
        return done

    def only(self, names: Sequence[str]) -> Trial:
        """Treat some layers, and nothing else."""
        said = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return self.trial(said, excluded=tuple(name for name in self.everyone if name not in names))

    def _made(self, name: str, changes: dict[str, object]) -> Trial:
        quiet = replace(self.bench, emit=self._progress_of(name))
        try:
            treated = self.technique.model_copy(update=changes).apply(self.model, quiet)
        except YoursToFix as refusal:
            return Trial(Loss(points=0.0), treated=False, note=str(refusal))
        try:
            loss, moved = self.yardstick.loss(treated.proto)
        except YoursToFix as fault:
            return Trial(Loss(), note=str(fault))
        if moved <= UNMOVED:
            return Trial(Loss(points=0.0), treated=False, note=NOT_TREATED)
        return Trial(loss, distance=moved)

    def _progress_of(self, name: str) -> Callable[[Event], None]:
        """Of what the technique says on its way, only how far it is within this measurement."""
        begin = self.place - 1

        def emit(event: Event) -> None:
            if isinstance(event, Progress):
                share = (begin + event.done / max(event.total, 1)) / self.total
                self.shop.emit(Progress(step=0, done=round(1000 * share), total=1000, text=name[:200]))

        return emit

    def all_but(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({*self.technique.model_dump()["excluded"], *names}))


def measure(shop: Shop) -> None:
    """Treat each layer alone, then everything, then all but the worst; and everything after fewer calibration rows."""
    technique = shop.recipe.steps[0]
    if not can_be_taken_apart(type(technique)):
        raise YoursToFix(
            f"Expected a technique that treats layers one by one, found {technique.about.title}.",
            hint="Choose one whose layers can be excluded and that neither trains nor searches.",
            code="sensitivity.technique",
        )
    started = time.perf_counter()
    shop.emit(StepStarted(step=0, technique=technique.technique))
    model, data = shop.open()
    if not rows(data.facts, Role.VALIDATION):
        raise YoursToFix("Expected validation rows, found none.", hint="Add some.", code="data.role-missing")
    facts = formats.inspect(shop.model)[1]
    sizes = _sizes(technique, rows(data.facts, Role.CALIBRATION))
    work = _begun(shop, model, technique, facts, sizes, shop.bench(model, data, 0, Beside(model)))
    shop.emit(SensitivityMeasured(sensitivity=_found(work)))
    work.bench.progress(1, 1, "done")
    shop.emit(StepFinished(step=0, technique=technique.technique, seconds=time.perf_counter() - started))


def _begun(
    shop: Shop, model: LoadedModel, technique: Technique, facts: ModelFacts, sizes: tuple[int, ...], bench: Workbench
) -> _Work:
    layers = _layers(facts)
    bench.progress(0, 1, "Looking which layers the technique treats")
    alone = _left_alone(model, technique, bench)
    groups = grouped([layer for layer in layers if layer.name not in alone])
    total = len(groups) + 1 + len(sizes)
    bench.progress(0, 1, "Measuring the untouched network")
    yardstick = Yardstick(model.proto, bench, rows=_rows(facts, total))
    shop.log(
        f"Untouched: {yardstick.name} {yardstick.baseline:.4f} on {len(yardstick.before):,} validation rows. "
        f"{sum(map(len, groups))} of {len(layers)} layers are treated, in {len(groups)} measurements at first."
    )
    everyone = tuple(node.name or node.output[0] for node in model.proto.graph.node)
    return _Work(shop, model, bench, technique, yardstick, everyone, layers, groups, sizes, total)


def _left_alone(model: LoadedModel, technique: Technique, bench: Workbench) -> set[str]:
    """Nodes that are the same, with the same weights, in the network that was treated as a whole."""
    quiet = replace(bench, emit=lambda event: None)
    try:
        treated = technique.apply(model, quiet)
    except YoursToFix:
        return set()  # told when everything is measured
    return unchanged(model.proto.graph, treated.proto.graph)


def grouped(layers: Sequence[LayerFacts]) -> tuple[tuple[LayerFacts, ...], ...]:
    """Neighbours that are treated together at first: each layer alone up to 48, else 16 groups of about one size."""
    count = len(layers) if len(layers) <= ONE_BY_ONE else GROUPS
    ends = [place * len(layers) // max(count, 1) for place in range(count + 1)]
    return tuple(tuple(layers[begin:end]) for begin, end in pairwise(ends))


def _rows(facts: ModelFacts, trials: int) -> int:
    """As many validation rows as the work of all measurements allows; even, as queries come with their documents."""
    allowed = int(MOST_MACS / max(facts.macs * trials, 1)) // 2 * 2
    return min(max(allowed, FEWEST_ROWS), MOST_ROWS)


def _found(work: _Work) -> Sensitivity:
    everything = work.trial("every layer")
    if not everything.treated:
        raise YoursToFix(everything.note, hint="Choose another technique.", code="sensitivity.nothing-treated")
    known = {loss.name: loss for group in work.groups for loss in _group(work, group)}
    measured = tuple(known.get(layer.name) or _left(layer) for layer in work.layers)
    calibration = tuple(_with_samples(work, size) for size in work.sizes)
    excluded, tried = _excluded(work, measured, everything.loss)
    share = work.yardstick.metric is None or work.yardstick.metric.about.unit == "share"
    return Sensitivity(
        metric=work.yardstick.name,
        unit="points" if share else "percent",
        baseline=work.yardstick.baseline,
        rows=len(work.yardstick.before),
        layers=measured,
        everything=everything.loss,
        excluded=work.all_but(excluded),
        tried=tried,
        calibration=calibration,
        enough=enough(calibration),
    )


def _group(work: _Work, group: Sequence[LayerFacts]) -> list[LayerLoss]:
    """What neighbours lose together; each alone where that is more than noise, or the group is one layer."""
    done = work.only([layer.name for layer in group])
    if len(group) == 1 or not done.loss.is_more_than_noise:
        return [_layer(work, layer, done, together=len(group)) for layer in group]
    work.total += len(group)
    return [_layer(work, layer, work.only([layer.name])) for layer in group]


def _layers(facts: ModelFacts) -> tuple[LayerFacts, ...]:
    """The layers with weights, in graph order.

    Raises:
        YoursToFix: if there are none, or more than can be measured one by one.
    """
    found = tuple(layer for layer in facts.layers if layer.params)
    if not 0 < len(found) <= MOST_LAYERS:
        raise YoursToFix(
            f"Expected 1 to {MOST_LAYERS} layers with weights, found {len(found)}.",
            hint="Choose another network.",
            code="sensitivity.layers",
        )
    return found


def _layer(work: _Work, layer: LayerFacts, done: Trial, *, together: int = 1) -> LayerLoss:
    if done.loss.points is not None and done.treated:
        work.bench.point("Points lost by layer", x=work.layers.index(layer) + 1, y=done.loss.points)
    return LayerLoss(
        name=layer.name,
        op=layer.op,
        params=layer.params,
        treated=done.treated,
        loss=done.loss,
        distance=done.distance,
        note=done.note,
        together=together,
    )


def _left(layer: LayerFacts) -> LayerLoss:
    """A layer that the technique does not treat."""
    none = Loss(points=0.0)
    return LayerLoss(name=layer.name, op=layer.op, params=layer.params, treated=False, loss=none, note=NOT_TREATED)


def _with_samples(work: _Work, size: int) -> SamplesTried:
    done = work.trial(f"{size} calibration rows", samples=size)
    if done.loss.points is not None:
        work.bench.point("Points lost by calibration rows", x=size, y=done.loss.points)
    return SamplesTried(samples=size, loss=done.loss)


def _sizes(technique: Technique, available: int) -> tuple[int, ...]:
    """The ladder of calibration rows, up to what there is; empty for techniques that look at none."""
    if "samples" not in type(technique).model_fields or Need.CALIBRATION not in technique.about.needs:
        return ()
    return (*(size for size in SAMPLES if size < available), *((min(available, SAMPLES[-1]),) if available else ()))


def _excluded(
    work: _Work, layers: Sequence[LayerLoss], everything: Loss
) -> tuple[tuple[str, ...], tuple[ExclusionTried, ...]]:
    """As few of the worst layers as it takes until what is left loses no more than noise.

    Only layers that alone lose more than noise are candidates. The number doubles until it is enough; where it never
    is, the best number stays.
    """
    suspects = [layer for layer in layers if layer.treated and layer.loss.is_more_than_noise]
    worst_first = [layer.name for layer in sorted(suspects, key=lambda one: -_height(one.loss))]
    most = min(len(worst_first), sum(layer.treated for layer in layers) - 1)
    best, best_loss, tried = 0, everything, []
    count = 1
    while best_loss.is_more_than_noise and count <= most:
        done = work.trial(f"all but the {count} worst", excluded=work.all_but(worst_first[:count]))
        if done.treated:
            tried.append(ExclusionTried(excluded=count, loss=done.loss))
            if _height(done.loss) < _height(best_loss):
                best, best_loss = count, done.loss
        count = most if count < most < 2 * count else 2 * count
    return tuple(worst_first[:best]), tuple(tried)


def _height(loss: Loss) -> float:
    """How bad a loss is; a network that gave no figure is the worst."""
    return float("inf") if loss.points is None else loss.points


def enough(calibration: Sequence[SamplesTried]) -> int | None:
    """The fewest calibration rows from which on every larger number gives a loss within the interval of this one."""
    for place, one in enumerate(calibration[:-1]):
        rest = [later.loss.points for later in calibration[place:]]
        if all(points is not None and one.loss.low <= points <= one.loss.high for points in rest):
            return one.samples
    return None


def _points(loss: Loss) -> str:
    return "no figure" if loss.points is None else f"{loss.points:.2f} points"


def _write(place: int, trial: Trial) -> None:
    folder = step_folder(place)
    folder.mkdir(parents=True, exist_ok=True)
    note = trial.note[:MOST_LETTERS]
    (folder / TRIAL_FILE).write_text(json.dumps({**asdict(trial), "loss": trial.loss.model_dump(), "note": note}))


def _read(place: int) -> Trial:
    said = json.loads((step_folder(place) / TRIAL_FILE).read_text())
    return Trial(**{**said, "loss": Loss.model_validate(said["loss"])})
