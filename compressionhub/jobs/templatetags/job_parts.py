"""What the parts of a job's page need computed, so that first paint, refresh and socket push compute the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString

from compressionhub.jobs import changed, harmed, shown
from compressionhub.jobs.models import Job, Step
from compressionhub.ui import units
from compressionhub.ui.range_bar import RangeBar
from compressionhub.ui.templatetags import hub
from compressionhub.ui.templatetags.figures import is_share, metric_word
from workers.facts import Span
from workers.report import Loss
from workers.technique import Technique

register = template.Library()


@register.simple_tag
def checkpoint_table(job: Job, steps: Sequence[Step]) -> dict[str, Any]:
    """``rows``, ``metric`` and, from the second judged network on, the chart's ``option``."""
    rows, name = shown.checkpoint_rows(job, steps), shown.checkpoint_metric(job)
    judged = [row for row in rows if row.value is not None]
    return {
        "rows": rows,
        "metric": name,
        "title": metric_word(name) if name else "Metric",
        "share": is_share(name),
        "n": judged[0].value.n if judged and judged[0].value else None,
        "option": shown.checkpoint_option(rows, name, job.gate_value) if len(judged) > 1 else None,
        "label": "; ".join(f"{row.title} {_metric(row.value.value, name)}" for row in judged if row.value),
    }


def _metric(value: float, name: str) -> str:
    return units.percent(value) if is_share(name) else units.significant(value)


@register.simple_tag
def curve_charts(curves: dict[str, list[list[float | None]]]) -> list[shown.Curve]:
    return shown.curve_charts(curves)


@register.simple_tag
def spark(resources: Sequence[Mapping[str, Any]], name: str) -> dict[str, str]:
    """One resource over time as two SVG paths. CPU is drawn against a whole core at least."""
    values = [float(row[name]) for row in resources]
    return shown.sparkline(values, most=max([100.0, *values]) if name == "cpu_percent" else None)


@register.simple_tag
def banner(job: Job) -> shown.Banner | None:
    return shown.banner(job.report_value, job.gate_value) if job.report_value else None


@register.simple_tag
def what_changed(job: Job) -> changed.Changed | None:
    """Which answers a result gives otherwise than its baseline; none for jobs from before that was recorded."""
    changes = job.report_value.changes if job.report_value else None
    version = job.model_version
    return changed.described(changes, version.contract if version else None) if changes else None


@register.simple_tag
def sensitivity(job: Job) -> dict[str, Any] | None:
    """What a sensitivity job found: title, text, and the charts with their labels."""
    found = job.sensitivity_value
    if found is None:
        return None
    return {
        "title": harmed.title(found),
        "text": harmed.text(found),
        "bars": harmed.bars(found),
        "bars_label": harmed.bars_label(found),
        "ladder": harmed.ladder(found),
        "ladder_label": harmed.ladder_label(found),
    }


@register.filter
def points_lost(value: float) -> str:
    """Points with a true minus: ``−2.10``."""
    return units.number(value, 2)


@register.simple_tag
def askable_steps(job: Job) -> list[tuple[int, Technique]]:
    return harmed.steps_that_can_be_asked(job.recipe_value)


@register.simple_tag
def loss(value: Loss, unit: str) -> str:
    return harmed.loss(value, unit)


@register.simple_tag
def result_tiles(job: Job) -> list[shown.Tile]:
    return shown.tiles(job.report_value, job.gate_value) if job.report_value else []


@register.simple_tag
def tile_bar(tile: shown.Tile) -> SafeString | str:
    """The bar of a tile: the change in points around zero, the speed-up around one, or the size beside its baseline."""
    if tile.change is not None and is_share(tile.metric):
        return hub.component("range_bar", bar=_points_bar(tile))
    if tile.speedup is not None:
        value, low, high = tile.speedup
        said = f"{units.span(low, high, 2)} times the baseline's speed"
        bar = RangeBar(
            value=value, low=low, high=high, zero=1, start=0, end=max(4.0, high * 1.1), label=said, worse=high < 0.95
        )
        return hub.component("range_bar", bar=bar)
    if tile.ratio:
        bar = RangeBar(
            value=1 / tile.ratio, base=1, start=0, end=max(1.02, 1.1 / tile.ratio), label=f"{tile.value}, {tile.note}"
        )
        return hub.component("range_bar", bar=bar)
    return ""


def _points_bar(tile: shown.Tile) -> RangeBar:
    """From one and a half gates below zero to half a gate above, so that tiles of one gate compare."""
    value, low, high = (part * 100 for part in tile.change or (0.0, 0.0, 0.0))
    gate = -(tile.limit or -0.01) * 100 or 1.0
    said = f"{units.number(value, 2, signed=True)} points, {units.span(low, high, 2, signed=True)}"
    return RangeBar(
        value=value,
        low=low,
        high=high,
        zero=0,
        limit=-gate if tile.limit is not None else None,
        start=min(-1.5 * gate, low * 1.1),
        end=max(0.5 * gate, high * 1.1),
        label=said,
    )


@register.simple_tag
def helps(job: Job) -> list[tuple[str, str]]:
    return shown.helps(job)


@register.simple_tag
def failed_step(steps: Sequence[Step]) -> Step | None:
    return shown.step_that_failed(steps)


@register.filter
def at_time(row: Mapping[str, Any]) -> str:
    """The time of an event row: ``10:21:07``."""
    moment = parse_datetime(str(row["at"]))
    return f"{timezone.localtime(moment):%H:%M:%S}" if moment else ""


@register.filter
def between(span: Span | None) -> str:
    """A range of seconds in words: ``41 s to 58 s``."""
    if span is None:
        return ""
    return f"{units.duration(span.low)} to {units.duration(span.high)}"


@register.filter
def percent_done(share: float) -> int:
    """Whole percent; 100 only when all is done, so that a bar does not stand full while work goes on."""
    return 100 if share >= 1 else min(99, int(share * 100))


@register.filter
def as_step(slug: str) -> Any:
    """The technique of a slug, as it comes."""
    return hub.as_technique(slug)
