"""``report.json``: what a run measured, baseline beside result. The interface of every later comparison.

Shares run from 0 to 1, latencies are in milliseconds, sizes in bytes, intervals are 95 %.
"""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from workers.alike import OtherModel
from workers.errors import Frozen
from workers.facts import Fit, KindOfWork

VerdictWord = Literal["faster", "smaller-only", "slower", "no-gain"]
BatchWord = Literal["faster", "slower", "not-faster"]
GRADE = AliasChoices("class", "grade")  # ``class`` is a keyword in Python and the word in JSON and on pages


class Interval(Frozen):
    """An estimate with its 95 % interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int


class Latency(Frozen):
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Service(Frozen):
    """Batch 1, ``workers`` sessions busy, one thread each. ``cv2``: squared coefficient of variation."""

    workers: int
    mean_ms: float
    p95_ms: float
    cv2: float


class Measured(Frozen):
    """One network, measured. Latency is keyed by batch size.

    ``past_tokens``: latency and service are those of decoding, one new token after so many earlier ones whose keys and
    values are kept. None where they are of a whole sample.
    """

    size_bytes: int
    zip_bytes: int
    params: int
    macs: int
    peak_memory_bytes: int
    metrics: dict[str, Interval]
    latency: dict[str, Latency]
    service: Service
    past_tokens: int | None = None


class MetricDelta(Frozen):
    """Result minus baseline on the same samples. ``distinguishable``: the interval leaves zero out."""

    value: float
    low: float
    high: float
    distinguishable: bool


class Ratio(Frozen):
    """Baseline latency divided by result latency: above one is faster."""

    value: float
    low: float
    high: float


class WindowTimes(Frozen):
    """A language model over a whole window of ``tokens`` at once, batch 1: what reading a prompt takes."""

    tokens: int
    baseline: Latency
    result: Latency
    speedup: Ratio


class Delta(Frozen):
    metrics: dict[str, MetricDelta]
    speedup: dict[str, Ratio]


class Verdict(Frozen):
    """One word for the device's usual batch, a word per batch, and the reasons. No word where the host is too noisy."""

    word: VerdictWord | None
    batches: dict[str, BatchWord | None]
    reasons: tuple[str, ...]


class Checkpoint(Frozen):
    """A network after a step, judged on validation data."""

    metrics: dict[str, Interval] = {}
    size_bytes: int
    zip_bytes: int
    params: int
    macs: int


class StepReport(Frozen):
    """``says``: what the step brought, in a sentence, where it has one to say."""

    technique: str
    title: str
    parameters: dict[str, Any]
    seconds: float
    cached: bool
    checkpoint: Checkpoint
    says: str = ""


class Environment(Frozen):
    """Where the figures were measured. ``noise`` is the A/A ratio of the baseline against itself, per batch.

    ``profile`` is the device profile on file that the node declared to be; ``fit`` what it took for standard networks.
    """

    device: str
    profile: str = ""
    fit: Fit | None = None
    arch: str = ""
    cpu: str
    isa: tuple[str, ...]
    cores: int
    threads: int
    provider: str
    seed: int
    versions: dict[str, str]
    platform: str
    noise: dict[str, float]
    started_at: str

    @property
    def started_on(self) -> date | None:
        """The day of it; None where what was written is no moment."""
        try:
            return datetime.fromisoformat(self.started_at).date()
        except ValueError:
            return None


class Band(Frozen):
    """A time or a ratio with the range in which nine of ten measurements are expected. Class A is a measurement."""

    model_config = ConfigDict(serialize_by_alias=True)

    value: float
    low: float
    high: float
    grade: Literal["A", "B", "C", "D"] = Field(validation_alias=GRADE, serialization_alias="class")


class MemoryTrial(Frozen):
    """One network loaded and run under a device's threads and memory. ``fits`` is None where nothing was tried.

    ``peak_bytes`` is what counts against the cap, of Python and the runtime too; ``file_bytes`` are pages of files,
    which the kernel can drop. ``means`` says what held the cap.
    """

    fits: bool | None
    cap_bytes: int
    peak_bytes: int | None = None
    file_bytes: int | None = None
    means: str = ""
    why: str = ""


class Trials(Frozen):
    """Does it fit? Both networks, one after the other."""

    baseline: MemoryTrial
    result: MemoryTrial


class SameAnswers(Frozen):
    """The result's answers under another processor's instructions beside those here.

    ``largest_difference`` is a share of the largest answer; ``same_class`` counts samples with the same winner.
    ``same`` is None where nothing was compared, and ``why`` says what was in the way.
    """

    same: bool | None
    samples: int = 0
    identical: bool = False
    largest_difference: float | None = None
    same_class: int | None = None
    means: str = ""
    why: str = ""


class Predicted(Frozen):
    """How fast? Predicted milliseconds of one sample, never measured here; ``ratio`` is baseline ÷ result."""

    baseline: Band | None = None
    result: Band | None = None
    ratio: Band | None = None
    why: str = ""
    notes: tuple[str, ...] = ()
    source: str = ""


class AccuracyThere(Frozen):
    """The result's metric as an x86 processor without VNNI would compute it, where sums of two products saturate.

    ``pairs_at_risk`` counts pairs of weights that could saturate; with none the figures here hold there.
    """

    pairs_at_risk: int
    metric: str = ""
    here: Interval | None = None
    there: Interval | None = None
    change: MetricDelta | None = None
    says: str = ""


class Emulation(Frozen):
    """Three answers about a device that was not here, each by its own means. None of them is a latency."""

    device: str
    title: str
    threads: int
    fits: Trials
    answers: SameAnswers
    predicted: Predicted
    accuracy: AccuracyThere | None = None

    @property
    def is_validated(self) -> bool:
        """Whether the result ran under the device's memory and, where that was compared, answered the same."""
        return self.fits.result.fits is True and self.answers.same is not False


class Loss(Frozen):
    """Points lost on validation data with their 95 % interval, paired; below zero where something was gained.

    Of a share they are absolute, of an error percent of growth. None where the network gave no figure.
    """

    points: float | None = None
    low: float = 0.0
    high: float = 0.0

    @property
    def is_more_than_noise(self) -> bool:
        return self.points is None or self.low > 0


class LayerLoss(Frozen):
    """What is lost when one layer alone is treated. ``note`` says why a layer was not, or gave no figure.

    ``distance`` is the length by which outputs moved over their own, root mean square over the rows: it tells layers
    apart where no answer changes. ``together``: so many neighbours were treated at once, and the figures are theirs.
    """

    name: str
    op: str
    params: int
    treated: bool = True
    loss: Loss = Loss()
    distance: float = 0.0
    note: str = ""
    together: int = 1


class ExclusionTried(Frozen):
    """What is lost with everything treated but the ``excluded`` worst layers."""

    excluded: int
    loss: Loss


class SamplesTried(Frozen):
    """What is lost with everything treated after looking at so many calibration rows."""

    samples: int
    loss: Loss


class Sensitivity(Frozen):
    """Which layers suffer from a technique, in graph order, measured on ``rows`` validation rows.

    ``excluded`` are the layers to leave out: as few of the worst as it took. ``enough`` is the number of calibration
    rows from which on more of them stop to matter.
    """

    metric: str
    unit: Literal["points", "percent"]
    baseline: float
    rows: int
    layers: tuple[LayerLoss, ...]
    everything: Loss
    excluded: tuple[str, ...] = ()
    tried: tuple[ExclusionTried, ...] = ()
    calibration: tuple[SamplesTried, ...] = ()
    enough: int | None = None


class ClassShift(Frozen):
    """One class before and after: its share of right answers; without labels, the share of all answers that name it.

    ``n`` is what the share rests on: the samples of the class, or without labels all of them.
    """

    name: str
    before: float
    after: float
    n: int


class ChangedSample(Frozen):
    """A test row that the two networks answer differently, by its number in the dataset. ``text``: its beginning."""

    row: int
    before: str
    after: str
    label: str = ""
    text: str = ""


class Changes(Frozen):
    """Where the result answers otherwise than the baseline, on the same test rows, labelled or not.

    ``compared`` counts answers (samples, or frames and pixels where each has one), ``agreement`` is the share that
    stayed the same. What counts as the same is said in ``workers.evaluation.changes``. ``broken`` were right before
    and are wrong now, ``fixed`` the other way round; none where no answer is right or wrong. ``distance`` is the mean
    length by which an output moved, relative to the outputs' own length. ``samples`` holds at most 200 changed rows,
    broken ones first.
    """

    compared: int
    agreement: Interval
    broken: int | None
    fixed: int | None
    distance: Interval
    classes: tuple[ClassShift, ...] = ()
    samples: tuple[ChangedSample, ...] = ()


class NetworkWork(Frozen):
    """What a network does, by kind of layer: what a prediction of its time elsewhere, or a latency file, needs."""

    precision: Literal["float32", "int8"]
    layers: tuple[KindOfWork, ...]


class Metering(Frozen):
    """What the host's energy counters said while the job ran: gross, and net of the host at rest where that is known.

    ``meter`` names what they cover; the rest of the server is not in it. ``shared``: other jobs ran meanwhile, and what
    was drawn was divided equally.
    """

    meter: str
    gross_wh: float
    net_wh: float | None
    seconds: float
    shared: bool


class Report(Frozen):
    """``headline``: the metric that gates look at; empty where the test data have no labels.

    ``energy`` and ``others`` are written by the worker, never by the process that was measured.
    """

    baseline: Measured
    result: Measured
    delta: Delta
    verdict: Verdict
    steps: tuple[StepReport, ...]
    others: tuple[OtherModel, ...] = ()
    environment: Environment
    headline: str = ""
    notes: tuple[str, ...] = ()
    emulation: Emulation | None = None
    changes: Changes | None = None
    energy: Metering | None = None
    work: dict[Literal["baseline", "result"], NetworkWork] = {}
    window: WindowTimes | None = None

    @property
    def validated_on(self) -> tuple[str, ...]:
        """The profiles on which the artifact was run: where it was measured, and the one it was tried for."""
        there = self.emulation
        return (self.environment.device, *((there.device,) if there is not None and there.is_validated else ()))
