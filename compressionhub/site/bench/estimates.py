"""Every estimate of a thousand variants under one workload, in the engine: columns, savings and shares saved."""

import random
import time
from collections.abc import Callable
from statistics import median

from compressionhub.site.bench.figure import Figure
from workers.serving.figures import Figures, figures, figures_of_pairs
from workers.serving.service import Factor, ServiceTime
from workers.serving.worked_example import FP32, JOB, workload

TITLE = "all estimates of 1,000 variants, one workload"
REACH_MS = 200.0
VARIANTS = 1000
TIMES = 9


def measure() -> list[Figure]:
    chance = random.Random(0)
    variants = [_invented(chance) for _ in range(VARIANTS)]
    pairs = [(_invented(chance), each) for each in variants]
    jobs = [JOB] * VARIANTS
    ways: dict[str, Callable[[], Figures]] = {
        "one baseline": lambda: figures(workload(), FP32, variants, jobs=jobs),
        "each its own": lambda: figures_of_pairs(workload(), pairs, jobs=jobs),
    }
    found = []
    for name, estimate in ways.items():
        _all_of(estimate())  # tables are read once
        taken = [_timed(estimate) for _ in range(TIMES)]
        said = f"{median(taken):.0f} ms (median of {TIMES}, worst {max(taken):.0f})"
        title = f"1,000 variants, all estimates, {name}"
        found.append(Figure(title, said, f"<= {REACH_MS:.0f} ms", median(taken) <= REACH_MS))
    return found


def _invented(chance: random.Random) -> ServiceTime:
    """A network somewhere between 2 and 60 ms, known within a few percent."""
    mean_s = chance.uniform(0.002, 0.06)
    own = Factor(low=0.95, high=chance.uniform(1, 1.1))
    return FP32.model_copy(update={"mean_s": mean_s, "p95_s": mean_s * 1.2, "own": own})


def _timed(estimate: Callable[[], Figures]) -> float:
    began = time.perf_counter()
    _all_of(estimate())
    return (time.perf_counter() - began) * 1000


def _all_of(found: Figures) -> None:
    """Every column there is: value, range and class of each figure, and of each saving where a figure has one."""
    for slug in found.slugs:
        found.column(slug)
        if found.compares(slug):
            found.saving(slug)
            found.relative_saving(slug)
