"""The gate: pass/fail rules a result must meet before it may be published."""

from pydantic import Field

from compressionhub.ui.units import number
from workers.errors import Frozen
from workers.metric import metrics
from workers.report import Changes, MetricDelta, Report, VerdictWord

VERDICT_ORDER: tuple[VerdictWord, ...] = ("slower", "no-gain", "smaller-only", "faster")


class Finding(Frozen):
    """One rule, what was measured, and whether it holds. ``at_risk``: only the middle of the interval passes."""

    rule: str
    measured: str
    passed: bool
    at_risk: bool = False


class GateResult(Frozen):
    passed: bool
    findings: tuple[Finding, ...]

    @property
    def at_risk(self) -> bool:
        return self.passed and any(finding.at_risk for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not pass, one sentence per broken rule."""
        return tuple(f"{finding.rule}: {finding.measured}" for finding in self.findings if not finding.passed)


class Gate(Frozen):
    """The rules.

    ``max_drop_points`` is absolute: 1.0 allows the headline metric to lose one point of a hundred. For a
    metric in the unit of its target (RMSE) it allows a rise of that many percent of the baseline.
    ``strict`` compares the bad end of the 95 % interval, otherwise the point estimate counts.

    Without labels no drop can be measured, but of classes it has a bound: accuracy cannot lose more than the share of
    answers that changed. So the same limit then holds for that share. Other outputs have no such bound: they pass
    only by a least agreement that a person chose.
    """

    max_drop_points: float = Field(
        default=1.0,
        ge=0,
        le=100,
        title="Largest drop",
        description="How many points the headline metric may lose, absolute.",
        json_schema_extra={"unit": "points", "step": 0.1},
    )
    strict: bool = Field(
        default=False, title="Strict", description="Compare the bad end of the 95 % interval, not the middle."
    )
    least_agreement: float | None = Field(
        default=None,
        ge=0,
        le=100,
        title="Least agreement",
        description="Share of test samples that must be answered as by the baseline. Works without labels.",
        json_schema_extra={"unit": "%", "step": 0.5},
    )
    least_verdict: VerdictWord | None = Field(
        default=None, title="Verdict at least", description="The worst verdict that still passes."
    )

    def judge(self, report: Report) -> GateResult:
        """Compare a report with the rules."""
        findings = [self._drop(report) if headline(report) or not report.changes else self._unlabelled(report.changes)]
        if self.least_agreement is not None and headline(report):
            findings.append(self._agreement(report.changes, self.least_agreement))
        if self.least_verdict is not None:
            findings.append(_verdict(self.least_verdict, report))
        return GateResult(passed=all(finding.passed for finding in findings), findings=tuple(findings))

    @property
    def summary(self) -> str:
        """The rules in one line."""
        drop = f"drop of at most {_points(self.max_drop_points)}{', whole interval' if self.strict else ''}"
        agree = "" if self.least_agreement is None else f"; at least {self.least_agreement:g} % of answers unchanged"
        verdict = "" if self.least_verdict is None else f"; verdict at least {self.least_verdict}"
        return f"{drop}{agree}{verdict}"

    def _drop(self, report: Report) -> Finding:
        name = headline(report)
        if name is None:
            return Finding(rule="The result was evaluated", measured="no task metric was measured", passed=False)
        middle, worst = drop_points(name, report.delta.metrics[name], report.baseline.metrics[name].value)
        counted = worst if self.strict else middle
        relative = is_relative(name)
        unit, most = ("%", f"{self.max_drop_points:g} %") if relative else ("points", _points(self.max_drop_points))
        whole = ", whole interval" if self.strict else ""
        return Finding(
            rule=f"{_title(name)} drop at most {most}{whole}",
            measured=f"{number(-middle, 2, signed=True)} {unit}; the interval ends at {number(-worst, 2, signed=True)}",
            passed=counted <= self.max_drop_points,
            at_risk=worst > self.max_drop_points,
        )

    def _unlabelled(self, changes: Changes) -> Finding:
        """What stands in for the drop where the test data have no labels."""
        if self.least_agreement is not None:
            return self._agreement(changes, self.least_agreement)
        if changes.classes:  # only of classes
            return self._agreement(changes, 100 - self.max_drop_points)
        return Finding(
            rule="The result was evaluated",
            measured="the test data have no labels, and no least agreement was chosen for the gate",
            passed=False,
        )

    def _agreement(self, changes: Changes | None, least: float) -> Finding:
        whole = ", whole interval" if self.strict else ""
        rule = f"At least {least:g} % of the answers as the baseline's{whole}"
        if changes is None:
            return Finding(rule=rule, measured="the answers were not compared", passed=False)
        middle, worst = 100 * changes.agreement.value, 100 * changes.agreement.low
        return Finding(
            rule=rule,
            measured=f"{number(middle, 2)} %; the interval ends at {number(worst, 2)}",
            passed=(worst if self.strict else middle) >= least,
            at_risk=worst < least,
        )


def _points(count: float) -> str:
    return f"{count:g} point{'' if count == 1 else 's'}"


def _title(name: str) -> str:
    return metrics()[name].about.title if name in metrics() else name.capitalize()


def headline(report: Report) -> str | None:
    """The metric a gate looks at: the report's own, else the first usual one that both networks have."""
    order = (report.headline, "accuracy", "rmse", "auc", "perplexity")
    names = [name for name in report.delta.metrics if name in report.baseline.metrics]
    return min(names, key=lambda name: (order.index(name) if name in order else len(order), name), default=None)


def is_relative(name: str) -> bool:
    """Whether a loss is told in percent of the baseline, because the metric has the unit of its target."""
    return name in metrics() and metrics()[name].about.unit != "share"


def drop_points(name: str, delta: MetricDelta, baseline: float) -> tuple[float, float]:
    """How much worse the result is, and at worst by the 95 % interval: in points, or in percent of the baseline."""
    scale = 100.0 / abs(baseline) if is_relative(name) and baseline else 100.0
    if name not in metrics() or metrics()[name].about.higher_is_better:
        return -delta.value * scale, -delta.low * scale
    return delta.value * scale, delta.high * scale


def _verdict(least: VerdictWord, report: Report) -> Finding:
    word = report.verdict.word
    return Finding(
        rule=f"Verdict at least {least}",
        measured=word or "no verdict: the host was too noisy",
        passed=word is not None and VERDICT_ORDER.index(word) >= VERDICT_ORDER.index(least),
    )
