"""``report.json``: what a run measured, baseline beside result. The interface of every later comparison.

Shares run from 0 to 1, latencies are in milliseconds, sizes in bytes, intervals are 95 %.
"""

from typing import Any, Literal

from workers.errors import Frozen

VerdictWord = Literal["faster", "smaller-only", "slower", "no-gain"]
BatchWord = Literal["faster", "slower", "not-faster"]


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
    """One network, measured. Latency is keyed by batch size."""

    size_bytes: int
    zip_bytes: int
    params: int
    macs: int
    peak_memory_bytes: int
    metrics: dict[str, Interval]
    latency: dict[str, Latency]
    service: Service


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
    technique: str
    title: str
    parameters: dict[str, Any]
    seconds: float
    cached: bool
    checkpoint: Checkpoint


class Environment(Frozen):
    """Where the figures were measured. ``noise`` is the A/A ratio of the baseline against itself, per batch."""

    device: str
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


class Report(Frozen):
    baseline: Measured
    result: Measured
    delta: Delta
    verdict: Verdict
    steps: tuple[StepReport, ...]
    environment: Environment
    notes: tuple[str, ...] = ()
