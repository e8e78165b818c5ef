"""What travels: from the child up the pipe, and from the worker over the stream to the relay.

One discriminated union, shared by runner, worker, relay, consumer and tests; unknown fields are
refused. The child writes bare events as JSON lines. The worker stamps each with an envelope
(job, attempt, run, seq) and adds it to the stream; the child never stamps anything.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from workers.contract import Contract
from workers.errors import Frozen, Problem
from workers.facts import DatasetFacts, Fit, ModelFacts, NodeFacts
from workers.report import Checkpoint, Environment, Interval, Loss, Measured, Report, SameAnswers, Sensitivity

STREAM = "hub:events"
GROUP = "relay"
BEAT_SECONDS = 10
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def stop_job_key(job: str, attempt: int) -> str:
    """The wish that this attempt should stop; its value is ``cancel``."""
    return f"hub:stop:job:{job}:{attempt}"


def stop_run_key(run: str) -> str:
    """The wish that this one run should stop because another run of the attempt was accepted."""
    return f"hub:stop:run:{run}"


class Started(Frozen):
    """The worker took the ticket. Written by the worker."""

    type: Literal["started"] = "started"
    node: str
    threads: int


class Log(Frozen):
    type: Literal["log"] = "log"
    text: str = Field(max_length=2000)
    level: Literal["info", "warning", "error"] = "info"
    step: int | None = None


class StepStarted(Frozen):
    """``step`` counts from 0; the last step of every compress job is ``evaluate``."""

    type: Literal["step_started"] = "step_started"
    step: int
    technique: str


class Progress(Frozen):
    """How far a step is. At most four a second; the last value is always sent before the step ends."""

    type: Literal["progress"] = "progress"
    step: int
    done: int
    total: int
    text: str = Field(default="", max_length=200)


class Point(Frozen):
    """One point of a curve."""

    type: Literal["point"] = "point"
    step: int
    series: str = Field(max_length=60)
    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Resources(Frozen):
    """What the child uses now; sampled by the worker."""

    type: Literal["resources"] = "resources"
    cpu_percent: float
    memory_bytes: int
    peak_memory_bytes: int


class StepFinished(Frozen):
    type: Literal["step_finished"] = "step_finished"
    step: int
    technique: str
    seconds: float
    cached: bool = False
    checkpoint: Checkpoint | None = None
    says: str = Field(default="", max_length=300)


class BaselineMeasured(Frozen):
    """The untouched network on validation data: what the steps are compared with."""

    type: Literal["baseline_measured"] = "baseline_measured"
    checkpoint: Checkpoint


class ModelInspected(Frozen):
    type: Literal["model_inspected"] = "model_inspected"
    facts: ModelFacts
    contract: Contract


class DatasetInspected(Frozen):
    type: Literal["dataset_inspected"] = "dataset_inspected"
    facts: DatasetFacts


class Sample(Frozen):
    """One tried sample. ``picture`` is a base64 PNG of at most 64 x 64 pixels, ``text`` how a text begins, or empty."""

    row: int
    label: str
    prediction: str
    right: bool | None
    score: float | None = None
    picture: str = Field(default="", max_length=20_000)
    text: str = Field(default="", max_length=200)
    values: tuple[float, ...] = ()


class Tried(Frozen):
    """Ten samples through ``contract``, and the metric on validation data beside what guessing would give."""

    type: Literal["tried"] = "tried"
    samples: tuple[Sample, ...]
    contract: Contract
    metric: str
    measured: Interval
    chance: float
    no_better_than_chance: bool
    causes: tuple[str, ...] = ()


class Judged(Frozen):
    """The artifact was reloaded in a clean process, reproduced its numbers, and was measured."""

    type: Literal["judged"] = "judged"
    report: Report


class Evaluated(Frozen):
    """One network measured on test data, without a variant beside it."""

    type: Literal["evaluated"] = "evaluated"
    measured: Measured
    environment: Environment


class Emulated(Frozen):
    """What one network took under a device's threads and memory. Its time is nobody's business."""

    type: Literal["emulated"] = "emulated"
    anonymous_bytes: int | None = None
    file_bytes: int | None = None


class Compared(Frozen):
    """The result's answers under other instructions beside those here."""

    type: Literal["compared"] = "compared"
    answers: SameAnswers


class Calibrated(Frozen):
    """The standard networks were timed. Heard by the worker alone, which tells it with its beat and in reports."""

    type: Literal["calibrated"] = "calibrated"
    fit: Fit


class TrialMeasured(Frozen):
    """One of the measurements of a sensitivity job, by its place; what it says lies in the step's folder too."""

    type: Literal["trial_measured"] = "trial_measured"
    place: int = Field(ge=0)
    name: str = Field(max_length=300)
    loss: Loss
    cached: bool = False


class SensitivityMeasured(Frozen):
    """Which layers suffer from a technique, and how many calibration rows are enough."""

    type: Literal["sensitivity_measured"] = "sensitivity_measured"
    sensitivity: Sensitivity


class FileHashed(Frozen):
    """Written by the worker after it hashed an uploaded file whose hash the ticket did not know."""

    type: Literal["file_hashed"] = "file_hashed"
    which: Literal["model", "data"]
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class ArtifactStored(Frozen):
    """Written by the worker after it hashed and stored the file. ``name`` is its name inside a bundle."""

    type: Literal["artifact_stored"] = "artifact_stored"
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    key: str = Field(max_length=200)
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class Finished(Frozen):
    """The end of a run. ``lost`` and ``requeued`` end an attempt, not the job. Written by the worker."""

    type: Literal["finished"] = "finished"
    outcome: Literal["succeeded", "failed", "cancelled", "lost", "requeued"]
    problem: Problem | None = None
    peak_memory_bytes: int = 0


class Failed(Frozen):
    """The child reports its own error; the worker turns it into ``Finished``."""

    type: Literal["failed"] = "failed"
    problem: Problem


Event = Annotated[
    Started
    | Log
    | StepStarted
    | Progress
    | Point
    | Resources
    | StepFinished
    | BaselineMeasured
    | ModelInspected
    | DatasetInspected
    | Tried
    | Judged
    | Evaluated
    | Emulated
    | Compared
    | Calibrated
    | TrialMeasured
    | SensitivityMeasured
    | FileHashed
    | ArtifactStored
    | Finished
    | Failed,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Any] = TypeAdapter(Event)
CHILD_MAY_SAY = frozenset(
    {
        "log",
        "step_started",
        "progress",
        "point",
        "step_finished",
        "baseline_measured",
        "model_inspected",
        "dataset_inspected",
        "tried",
        "judged",
        "evaluated",
        "emulated",
        "compared",
        "calibrated",
        "trial_measured",
        "sensitivity_measured",
        "failed",
    }
)
SAID_ONLY_BY = {
    "model_inspected": "inspect",
    "dataset_inspected": "inspect",
    "tried": "try",
    "baseline_measured": "compress",
    "judged": "judge",
    "evaluated": "evaluate",
    "emulated": "emulate",
    "compared": "answer",
    "calibrated": "calibrate",
    "trial_measured": "sensitivity",
    "sensitivity_measured": "sensitivity",
}
"""What only a child of one kind may say: the process that made an artifact does not judge it."""


class Envelope(Frozen):
    """An event as it lies in the stream. ``seq`` counts from 1 within a run."""

    kind: Literal["event"] = "event"
    node: str = Field(max_length=120)
    job: str
    attempt: int
    run: str
    seq: int
    event: Event


class Beat(Frozen):
    """A worker says that it lives, since when, and which runs it holds as (job, attempt, run)."""

    kind: Literal["beat"] = "beat"
    node: str = Field(max_length=120)
    start: str
    facts: NodeFacts
    runs: tuple[tuple[str, int, str], ...] = ()
    leaving: bool = False


Message = Annotated[Envelope | Beat, Field(discriminator="kind")]
MESSAGE: TypeAdapter[Any] = TypeAdapter(Message)
# An escaped NUL, unless the backslash before it is escaped itself.
A_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(body: str) -> str:
    """JSON text without the one character that no PostgreSQL column holds."""
    return A_NUL.sub(r"\1", body)
