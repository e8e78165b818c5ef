"""What the pages of a job say: rows, chart options and sentences, made from the job's values. No queries, no HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from compressionhub.jobs.gate import Gate, drop_points, headline, is_relative
from compressionhub.jobs.models import Job, Step
from compressionhub.jobs.states import StepState
from compressionhub.ui import units
from compressionhub.ui.bands import band
from compressionhub.ui.templatetags.figures import is_share, metric_word
from compressionhub.ui.words import VERDICTS, sentence
from workers.errors import Frozen
from workers.metric import metrics
from workers.report import Checkpoint, Interval, Report

ORDER = ("mean_iou", "accuracy", "rmse", "auc", "perplexity")
SPARK_WIDTH, SPARK_HEIGHT = 100, 34


class Row(Frozen):
    """One line of the checkpoint table. ``change`` is in points, or in the metric's unit where that is no share."""

    title: str
    family: str = ""
    state: str = ""
    value: Interval | None = None
    change: float | None = None
    checkpoint: Checkpoint | None = None
    seconds: float | None = None
    cached: bool = False
    last: bool = False


def checkpoint_metric(job: Job) -> str:
    """The metric the checkpoints are compared by; empty before the baseline was measured."""
    baseline = job.baseline_value
    names = list(baseline.metrics) if baseline else []
    contract = job.model_version.contract if job.model_version else None
    order = (contract.headline if contract else "", *ORDER)
    return min(names, key=lambda name: (order.index(name) if name in order else len(order), name), default="")


def checkpoint_rows(job: Job, steps: Sequence[Step]) -> list[Row]:
    """The baseline and every technique, in order, as far as they were judged on validation data."""
    name, baseline = checkpoint_metric(job), job.baseline_value
    before = baseline.metrics.get(name) if baseline else None
    rows = [Row(title="Baseline", value=before, checkpoint=baseline)]
    for step in steps:
        if not step.is_evaluation:
            rows.append(_row(step, name, before))
    rows[-1] = rows[-1].model_copy(update={"last": len(rows) > 1 and rows[-1].checkpoint is not None})
    return rows


def _row(step: Step, name: str, before: Interval | None) -> Row:
    checkpoint = step.checkpoint_value
    value = checkpoint.metrics.get(name) if checkpoint else None
    change = (value.value - before.value) * (100 if is_share(name) else 1) if value and before else None
    return Row(
        title=f"{step.number} {step.title}",
        family=step.family,
        state=step.state,
        value=value,
        change=change,
        checkpoint=checkpoint,
        seconds=step.seconds,
        cached=step.state == StepState.CACHED,
    )


# --- charts


def checkpoint_option(rows: Sequence[Row], name: str, gate: Gate | None) -> dict[str, Any]:
    """The metric after each step as a line, with its interval as a band and the gate as a dashed limit."""
    judged = [row for row in rows if row.value is not None]
    scale = 100 if is_share(name) else 1
    low = [_round(row.value.low * scale) for row in judged if row.value]
    values = [_round(row.value.value * scale) for row in judged if row.value]
    high = [_round(row.value.high * scale) for row in judged if row.value]
    line = {
        "name": metric_word(name),
        "type": "line",
        "data": values,
        "symbol": "circle",
        "symbolSize": 8,
        "lineStyle": {"color": "$accent", "width": 2},
        "itemStyle": {"color": "$accent"},
        "label": {"show": True, "color": "$ink", "position": "top", "formatter": "{c}"},
        "labelLayout": {"hideOverlap": True},
    }
    limit = _gate_line(gate, values[0]) if gate and values and is_share(name) else None
    if limit is not None:
        line["markLine"] = limit
    return {
        "grid": {"left": 52, "right": 24, "top": 30, "bottom": 26},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": [row.title for row in judged],
            "splitLine": {"show": False},
            "axisLabel": {"hideOverlap": True},
        },
        "yAxis": _axis(low, high, scale),
        "series": [*band(low, high), line],
    }


def _gate_line(gate: Gate, baseline: float) -> dict[str, Any]:
    label = {"formatter": "gate", "position": "insideStartBottom", "color": "$ink-2", "fontSize": 12}
    return {
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": "$bad", "type": [4, 3]},
        "data": [{"yAxis": _round(baseline - gate.max_drop_points), "label": label}],
    }


def _axis(low: Sequence[float], high: Sequence[float], scale: int) -> dict[str, Any]:
    """A value axis around the data; lines may start above zero where the axis is labelled."""
    axis: dict[str, Any] = {"type": "value", "scale": True, "splitNumber": 4, "axisLine": {"show": False}}
    if scale == 100:
        axis["axisLabel"] = {"formatter": "$fmt:percent"}
        if low and high:
            spare = max(0.5, (max(high) - min(low)) * 0.15)
            axis |= {
                "min": _round(max(0.0, min(low) - spare), 0),
                "max": _round(min(100.0, max(high) + spare) + 0.5, 0),
            }
    return axis


class Curve(Frozen):
    """One curve as the page draws it."""

    id: str
    title: str
    label: str
    option: dict[str, Any]


def curve_charts(curves: dict[str, list[list[float | None]]]) -> list[Curve]:
    """A chart per series, in the order in which they began."""
    return [_curve(index, name, points) for index, (name, points) in enumerate(curves.items()) if points]


def _curve(index: int, name: str, points: list[list[float | None]]) -> Curve:
    line = [[x, y] for x, y, _, _ in points]
    last = points[-1][1]
    series: list[dict[str, Any]] = [
        {
            "name": name,
            "type": "line",
            "data": line,
            "symbol": "circle",
            "symbolSize": 5,
            "showSymbol": len(line) < 60,
            "lineStyle": {"color": "$accent", "width": 2},
            "itemStyle": {"color": "$accent"},
            "endLabel": {"show": True, "formatter": "{@[1]}", "color": "$ink", "fontWeight": 600, "distance": 8},
        },
    ]
    option = {
        "grid": {"left": 56, "right": 60, "top": 14, "bottom": 26},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "splitLine": {"show": False}, "minInterval": 1},
        "yAxis": {"type": "value", "scale": True, "splitNumber": 4, "axisLine": {"show": False}},
        "series": series,
    }
    return Curve(
        id=f"curve-{index}",
        title=name.capitalize(),
        label=f"{name}: {len(points)} points, last {last:.4g}",
        option=option,
    )


def sparkline(values: Sequence[float], most: float | None = None) -> dict[str, str]:
    """The line and the area under it as SVG paths in a box of 100 by 34; empty below two values."""
    if len(values) < 2:
        return {}
    top = most or max(values) or 1.0
    step = SPARK_WIDTH / (len(values) - 1)
    dots = [
        f"{index * step:.1f} {SPARK_HEIGHT - 3 - min(1.0, value / top) * (SPARK_HEIGHT - 6):.1f}"
        for index, value in enumerate(values)
    ]
    line = "M" + " L".join(dots)
    return {"line": line, "area": f"{line} L{SPARK_WIDTH} {SPARK_HEIGHT} L0 {SPARK_HEIGHT}Z"}


def _round(value: float, places: int = 2) -> float:
    return round(value, places)


# --- the verdict in words


class Banner(Frozen):
    """The verdict with its reason and what it costs, in the same breath."""

    word: str | None
    title: str
    text: str


def banner(report: Report, gate: Gate | None) -> Banner:
    """What the result is, in one title and one sentence."""
    sentences = [
        _said_of_metric(report, gate),
        *(sentence(reason) for reason in report.verdict.reasons),
        "It gave the same numbers again in a clean process.",
        _said_of_device(report),
    ]
    return Banner(word=report.verdict.word, title=_title(report), text=" ".join(one for one in sentences if one))


def _said_of_device(report: Report) -> str:
    """That the times are of the worker, and what is predicted for the device the result was made for."""
    there = report.emulation
    if there is None:
        return ""
    ratio = there.predicted.ratio
    if ratio is None:
        return f"Timed on {report.environment.cpu}; no time is known for {there.title}."
    between = f"{units.times(ratio.low)} to {units.times(ratio.high)}"
    return (
        f"Timed on {report.environment.cpu}; for {there.title}, a speed-up of {units.times(ratio.value)} ({between}, "
        f"class {ratio.grade}) {'was measured' if ratio.grade == 'A' else 'is predicted'}."
    )


def _title(report: Report) -> str:
    batch, ratio = _usual_speedup(report)
    smaller = _smaller(report)
    word = VERDICTS[report.verdict.word].text
    if report.verdict.word == "faster":
        return f"Faster: {units.times(ratio)} at batch {batch}{', and ' + smaller if smaller else ''}"
    if report.verdict.word == "slower":
        though = f", though {smaller}" if smaller else ""
        return f"Slower: {units.times(ratio)} of the baseline's speed at batch {batch}{though}"
    if report.verdict.word == "smaller-only":
        return f"Smaller only: {smaller or 'a smaller file'}, and no faster at batch {batch}"
    if report.verdict.word == "no-gain":
        to_ship = report.result.zip_bytes < 0.95 * report.baseline.zip_bytes
        return "No gain in speed or size" + (", but smaller to ship: the zipped file shrinks" if to_ship else "")
    return word[:1].upper() + word[1:]


def _usual_speedup(report: Report) -> tuple[str, float | None]:
    """The batch the verdict is given for: the first whose word agrees with it, else the smallest."""
    ratios = report.delta.speedup
    batch = min(ratios, key=int, default="1")
    return batch, ratios[batch].value if batch in ratios else None


def _smaller(report: Report) -> str:
    ratio = report.baseline.size_bytes / report.result.size_bytes if report.result.size_bytes else 1.0
    if ratio < 1 / 0.95:
        return ""
    return f"{units.times(ratio, 1)} smaller"


def _said_of_metric(report: Report, gate: Gate | None) -> str:
    name = headline(report)
    if name is None:
        return ""
    change = report.delta.metrics[name]
    baseline = report.baseline.metrics[name].value
    middle, worst = drop_points(name, change, baseline)
    _, best = drop_points(name, change.model_copy(update={"low": change.high, "high": change.low}), baseline)
    unit = "%" if is_relative(name) else "points"
    title = metric_word(name)
    if not change.distinguishable:
        samples = units.count(report.result.metrics[name].n)
        return f"{title} {_signed(-middle)} {unit}, within noise ({samples} test samples)."
    word = "falls" if middle > 0 else "rises"
    least, most = sorted((abs(worst), abs(best)))
    between = f"{units.number(least, 2)} to {units.number(most, 2)}"
    said = f"{title} {word} by {units.number(abs(middle), 2)} {unit} ({between}). That is more than noise"
    if gate is None or middle <= 0:
        return said + "."
    holds = "within" if middle <= gate.max_drop_points else "more than"
    return f"{said} and {holds} your gate of {gate.max_drop_points:g}."


def _signed(value: float) -> str:
    return units.number(value, 2, signed=True)


# --- tiles of a result


class Tile(Frozen):
    """One figure of a result against its baseline. ``speedup`` and ``ratio`` are above one when better."""

    label: str
    value: str
    note: str
    metric: str = ""
    change: tuple[float, float, float] | None = None
    unit: str = "points"
    better: str = "up"
    distinguishable: bool = True
    speedup: tuple[float, float, float] | None = None
    ratio: float | None = None
    limit: float | None = None


def tiles(report: Report, gate: Gate | None) -> list[Tile]:
    """Headline metric, latency per batch, size: each beside its baseline."""
    shown = [_metric_tile(report, gate)] if headline(report) else []
    for batch in sorted(report.delta.speedup, key=int):
        ratio = report.delta.speedup[batch]
        shown.append(
            Tile(
                label=units.timed(batch, report.result.past_tokens),
                value=units.milliseconds(report.result.latency[batch].p50_ms),
                note=_latency_note(report, batch),
                speedup=(ratio.value, ratio.low, ratio.high),
            )
        )
    before, after = report.baseline.size_bytes, report.result.size_bytes
    shown.append(
        Tile(
            label="Size",
            value=units.file_size(after),
            note=f"baseline {units.file_size(before)}",
            ratio=before / after if after else None,
        )
    )
    return shown


def _latency_note(report: Report, batch: str) -> str:
    before, after = report.baseline.latency[batch].p50_ms, report.result.latency[batch].p50_ms
    if report.result.past_tokens is None:
        return f"baseline {units.milliseconds(before)}"
    rates = [units.tokens_per_second(value, int(batch)) for value in (after, before)]
    return f"{rates[0]}; baseline {units.milliseconds(before)}, {rates[1]}"


def _metric_tile(report: Report, gate: Gate | None) -> Tile:
    name = headline(report) or ""
    change, after, before = report.delta.metrics[name], report.result.metrics[name], report.baseline.metrics[name]
    share = is_share(name)
    write = units.percent if share else (lambda value: units.significant(value))
    return Tile(
        label=metric_word(name),
        value=write(after.value),
        note=f"baseline {write(before.value)}, {units.count(after.n)} test samples",
        metric=name,
        change=(change.value, change.low, change.high),
        unit="points" if share else "",
        better="up" if share or metrics()[name].about.higher_is_better else "down",
        distinguishable=change.distinguishable,
        limit=-gate.max_drop_points / 100 if gate and share else None,
    )


# --- a failed job


def helps(job: Job) -> list[tuple[str, str]]:
    """What a person can try after a failure: title and reason, the problem's own hint first."""
    problem = job.problem_value
    found = [(problem.hint, "Named by the check that failed.")] if problem and problem.hint else []
    if problem and problem.fault == "yours":
        found.append(
            ("Change the recipe", "Opens it with the same model, data and device; finished steps come from the cache.")
        )
    else:
        found.append(("Retry", "Goes on from the last finished step, which is in the cache."))
        found.append(("Run on another worker", "If it fails again, the Fleet page shows what each worker can do."))
    return found


def step_that_failed(steps: Iterable[Step]) -> Step | None:
    """The step that was at work when the job ended."""
    return next((step for step in steps if step.state in (StepState.FAILED, StepState.RUNNING)), None)
