"""What an entry says for ever: copied at publishing, read from nowhere else afterwards."""

from typing import Any

from compressionhub.jobs.gate import Gate, GateResult, drop_points, headline
from workers.contract import Contract
from workers.errors import Frozen
from workers.report import Interval, MetricDelta, Ratio, Report

AGREEMENT = "agreement"


class FileRecord(Frozen):
    """A file of the bundle."""

    name: str
    key: str
    sha256: str
    size_bytes: int


class StepRecord(Frozen):
    """A step as it was called when the entry was published."""

    technique: str
    title: str
    family: str
    summary: str


class Origin(Frozen):
    """Where the entry comes from, by the names of that day."""

    model: str
    version: int
    dataset: str
    job: int
    submitted_by: str
    baseline_sha256: str
    data_sha256: str
    test_rows: int


class Record(Frozen):
    report: Report
    recipe: dict[str, Any]
    recipe_yaml: str
    steps: tuple[StepRecord, ...]
    contract: Contract
    gate: Gate
    gate_result: GateResult
    files: tuple[FileRecord, ...]
    origin: Origin
    warnings: tuple[str, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether the test data had labels, so that a task metric was measured."""
        return headline(self.report) is not None

    @property
    def headline(self) -> str:
        """The metric the gate looked at; the agreement with the baseline where the test data have no labels."""
        return headline(self.report) or AGREEMENT

    @property
    def before(self) -> Interval:
        """The baseline's headline metric. It agrees with itself."""
        if self.is_labelled:
            return self.report.baseline.metrics[self.headline]
        return Interval(value=1, low=1, high=1, n=self.agreement.n)

    @property
    def delta(self) -> MetricDelta:
        if self.is_labelled:
            return self.report.delta.metrics[self.headline]
        same = self.agreement
        return MetricDelta(value=same.value - 1, low=same.low - 1, high=same.high - 1, distinguishable=same.value < 1)

    @property
    def agreement(self) -> Interval:
        """The share of test answers that stayed the same; what is published without labels was compared."""
        assert self.report.changes is not None, "published without labels and without a comparison"
        return self.report.changes.agreement

    @property
    def drop(self) -> tuple[float, float]:
        """How much worse than the baseline, middle and worst, in points or in percent of it."""
        return drop_points(self.headline, self.delta, self.before.value)

    @property
    def change(self) -> tuple[float, float, float]:
        """The headline metric's change with its interval, in points or percent of the baseline; below zero is worse."""
        middle, worst = self.drop
        flipped = self.delta.model_copy(update={"low": self.delta.high, "high": self.delta.low})
        _, best = drop_points(self.headline, flipped, self.before.value)
        return -middle, -worst, -best

    @property
    def speedup(self) -> Ratio:
        """At batch 1."""
        return self.report.delta.speedup["1"]

    @property
    def size_ratio(self) -> float:
        """Baseline file divided by result file."""
        return self.report.baseline.size_bytes / self.report.result.size_bytes

    @property
    def bundle(self) -> FileRecord:
        return next(file for file in self.files if file.name == "bundle.zip")
