"""The PDF of a report over HTTP on a running site: the first one, which loads the typesetter, and later ones."""

import time
from statistics import median

from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import Stage, site
from compressionhub.site.bench.variants import fill

TITLE = "report PDF"
REACH_SECONDS = 1.0
VARIANTS = 8
TIMES = 10


def measure() -> list[Figure]:
    with site("--no-worker") as stage:
        stage.sign_in()
        stage.enter()
        fill(variants=VARIANTS, models=1)
        one, several = _reports()
        first = _seconds(stage, one)
        later = [_seconds(stage, one) for _ in range(TIMES)]
        compared = [_seconds(stage, several) for _ in range(TIMES)]
    return [
        _figure("report PDF, the first of a process", first),
        _figure("report PDF, one variant", median(later), max(later)),
        _figure(f"report PDF, {VARIANTS} variants", median(compared), max(compared)),
    ]


def _reports() -> tuple[str, str]:
    """A report of one variant and one of all, made through the action; their addresses."""
    from compressionhub.estimates.models import Workload
    from compressionhub.zoo.demo import first_team
    from compressionhub.zoo.models import Entry
    from compressionhub.zoo.reports import actions

    team, owner = first_team()
    entries = list(Entry.objects.filter(team=team))
    workload = Workload.objects.get(team=team)
    made = (actions.make(team=team, by=owner, entries=some, workload=workload) for some in (entries[:1], entries))
    one, several = (report.get_absolute_url() for report in made)
    return one, several


def _seconds(stage: Stage, address: str) -> float:
    began = time.monotonic()
    answer = stage.ask("GET", f"{address}download/pdf/")
    taken = time.monotonic() - began
    if answer.status != 200 or not answer.text.startswith("%PDF"):  # type: ignore[attr-defined]
        raise RuntimeError(f"the PDF gave {answer.status}")
    return taken


def _figure(title: str, taken: float, worst: float | None = None) -> Figure:
    said = f"{taken:.2f} s" if worst is None else f"{taken:.2f} s (median of {TIMES}, worst {worst:.2f})"
    return Figure(title, said, f"<= {REACH_SECONDS:.0f} s", taken <= REACH_SECONDS)
