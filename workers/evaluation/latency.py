"""How long two networks take, measured so that the ratio means something.

The protocol, per batch size:

- Three sessions: the baseline, the baseline again, and the result. In every round each of them has
  one block of single runs, the three blocks in random order, so that whatever slows the host down
  slows all three (interleaved, randomized blocks; Mytkowicz et al. 2009, ASPLOS, on order and layout bias).
- The first run of a block is not counted: the caches still hold the network that ran before.
- Latency percentiles are of single runs. The speed-up is the ratio of the two medians; its 95 %
  interval is a block bootstrap over rounds (Künsch 1989), see ``workers.numerics.timings``.
- The baseline against itself must come out within 5 % of 1. If not, the measurement is repeated with
  more rounds, up to three times; if it still does not, the host is too noisy and no verdict is given.

What the timings say is a pure function of the timings; the clock comes in from outside.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workers.errors import Frozen
from workers.evaluation.sessions import Feed, feeds_for, open_session, run, tile
from workers.model import Progress
from workers.numerics.bootstrap import Floats
from workers.numerics.timings import ratio_of_medians, tails
from workers.report import Latency, Ratio

if TYPE_CHECKING:
    import onnxruntime as ort

Clock = Callable[[], float]
Runs = tuple[Callable[[], object], Callable[[], object], Callable[[], object]]

MOST_NOISE = 0.05
RETRIES = 3
MORE_EACH_TIME = 1.5


@dataclass(frozen=True)
class Budget:
    """How much measuring one attempt at one batch size may cost.

    ``seconds`` is spent on networks fast enough to fill it with ``most_rounds``; slow ones get
    ``fewest_rounds`` even if that takes up to ``most_seconds``, and six rounds whatever they take.
    """

    seconds: float
    most_rounds: int = 100
    fewest_rounds: int = 12
    most_seconds: float = 60.0
    block_seconds: float = 0.002
    most_runs: int = 50


USUAL = Budget(seconds=4.0)
QUICK = Budget(seconds=1.0, most_rounds=40, fewest_rounds=8, most_seconds=15.0)
BARE_MINIMUM_ROUNDS = 6


@dataclass(frozen=True)
class Plan:
    """``rounds`` rounds; in each, every session runs ``runs`` times after one run that is not counted."""

    rounds: int
    runs: int


@dataclass(frozen=True)
class Timings:
    """Seconds of single runs, each (rounds, runs)."""

    baseline: Floats
    again: Floats
    result: Floats


@dataclass(frozen=True)
class Finding:
    """What one batch size gave."""

    baseline: Latency
    result: Latency
    speedup: Ratio
    noise: float

    @property
    def is_noisy(self) -> bool:
        """Whether the baseline differs from itself by more than 5 %, whichever of the two is slower."""
        return max(self.noise, 1 / self.noise) > 1 + MOST_NOISE


class LatencyStudy(Frozen):
    """Both networks, timed in turn. Everything is keyed by batch size.

    ``noise`` is the baseline against itself (1 on a quiet host), ``rounds`` and ``attempts`` how much
    it took; a batch size in ``noisy`` stayed off by more than 5 % and allows no verdict.
    """

    baseline: dict[str, Latency]
    result: dict[str, Latency]
    speedup: dict[str, Ratio]
    noise: dict[str, float]
    rounds: dict[str, int]
    attempts: dict[str, int]
    noisy: tuple[str, ...] = ()


def study_latency(
    baseline: Path,
    result: Path,
    sample: Feed,
    *,
    batches: tuple[int, ...] = (1, 32),
    threads: int = 1,
    seed: int,
    quick: bool = False,
    progress: Progress | None = None,
) -> LatencyStudy:
    """Time two networks against each other.

    A small network takes about 9 s, or 2 s if ``quick``, when the host is quiet; a noisy host is
    measured up to four times. A graph with a fixed batch size answers a batch in several runs, which count as one.

    Args:
        baseline, result: ONNX files with the same inputs.
        sample: one sample as a batch of one, by input name; repeated to make larger batches.
        threads: threads of each session; only one session runs at a time.
        seed: fixes the order of the blocks and the bootstrap.
        quick: fewer rounds and wider intervals.
        progress: called as (done, total, text) after each batch size; raises to stop.
    """
    sessions = [open_session(path, threads=threads) for path in (baseline, baseline, result)]
    found: dict[str, tuple[Finding, int, int]] = {}
    for done, batch in enumerate(batches, start=1):
        first, again, last = (_runner(session, sample, batch) for session in sessions)
        found[str(batch)] = settle((first, again, last), QUICK if quick else USUAL, seed=seed)
        if progress is not None:
            progress(done, len(batches), f"batch {batch}: {found[str(batch)][0].speedup.value:.2f}×")
    return LatencyStudy(
        baseline={key: finding.baseline for key, (finding, _, _) in found.items()},
        result={key: finding.result for key, (finding, _, _) in found.items()},
        speedup={key: finding.speedup for key, (finding, _, _) in found.items()},
        noise={key: finding.noise for key, (finding, _, _) in found.items()},
        rounds={key: rounds for key, (_, rounds, _) in found.items()},
        attempts={key: attempts for key, (_, _, attempts) in found.items()},
        noisy=tuple(key for key, (finding, _, _) in found.items() if finding.is_noisy),
    )


def _runner(session: ort.InferenceSession, sample: Feed, batch: int) -> Callable[[], object]:
    """One answer for a whole batch. Runs once, so that a misfit is reported in our words and not while timing."""
    feeds = feeds_for(session, tile(sample, batch), batch)
    try:
        run(session, feeds[0])
    except Exception:
        if batch == 1:
            raise
        feeds = feeds_for(session, sample, 1) * batch  # a batch axis that is free in name only
        run(session, feeds[0])
    if len(feeds) == 1:
        only = feeds[0]
        return lambda: session.run(None, only)
    return lambda: [session.run(None, feed) for feed in feeds]


def settle(runs: Runs, budget: Budget, *, seed: int, clock: Clock = time.perf_counter) -> tuple[Finding, int, int]:
    """Measure until the baseline agrees with itself, at most ``1 + RETRIES`` times.

    Returns:
        What the last attempt gave, its rounds, and the number of attempts.
    """
    plan = plan_for(seconds_of_one(runs, clock), budget)
    for attempt in range(1, RETRIES + 2):
        finding = conclude(measure(runs, plan, seed=seed + attempt, clock=clock), seed=seed)
        if not finding.is_noisy or attempt > RETRIES:
            break
        plan = Plan(rounds=round(plan.rounds * MORE_EACH_TIME), runs=plan.runs)
    return finding, plan.rounds, attempt


def conclude(timings: Timings, *, seed: int) -> Finding:
    """What timings say. Both sets of baseline runs count as the baseline."""
    baseline = np.concatenate([timings.baseline, timings.again], axis=1)
    value, low, high = ratio_of_medians(baseline, timings.result, seed=seed)
    noise = float(np.median(timings.baseline) / np.median(timings.again))
    return Finding(
        baseline=_latency(baseline), result=_latency(timings.result),
        speedup=Ratio(value=value, low=low, high=high), noise=noise,
    )  # fmt: skip


def _latency(seconds: Floats) -> Latency:
    p50, p95, p99 = tails(seconds)
    return Latency(p50_ms=p50 * 1000, p95_ms=p95 * 1000, p99_ms=p99 * 1000)


def plan_for(seconds: float, budget: Budget) -> Plan:
    """Blocks long enough to time, and as many rounds as the budget allows.

    Args:
        seconds: what one run takes, the mean of the three sessions.
    """
    runs = int(np.clip(np.ceil(budget.block_seconds / seconds), 1, budget.most_runs))
    if runs < 3 and seconds < 10 * budget.block_seconds:
        runs = 3
    one_round = 3 * (runs + 1) * seconds
    rounds = int(np.clip(budget.seconds / one_round, budget.fewest_rounds, budget.most_rounds))
    affordable = max(BARE_MINIMUM_ROUNDS, int(budget.most_seconds / one_round))
    return Plan(rounds=min(rounds, affordable), runs=runs)


def seconds_of_one(runs: Runs, clock: Clock) -> float:
    """Warm up, and find out what one run takes: the mean over the sessions of the faster of a few runs each."""
    fastest = []
    for one in runs:
        took = [_time(one, clock) for _ in range(2)]
        if took[-1] < 0.05:
            took += [_time(one, clock) for _ in range(8)]
        fastest.append(min(took[1:]))
    return max(1e-7, float(np.mean(fastest)))


def measure(runs: Runs, plan: Plan, *, seed: int, clock: Clock = time.perf_counter) -> Timings:
    """Run the plan: in each round a block of every session, in random order."""
    rng = np.random.default_rng(seed)
    tables = np.empty((3, plan.rounds, plan.runs))
    with _without_collector():
        for position in range(plan.rounds):
            for which in rng.permutation(3):
                runs[which]()  # not counted: caches hold the network that ran before
                for turn in range(plan.runs):
                    tables[which, position, turn] = _time(runs[which], clock)
    return Timings(baseline=tables[0], again=tables[1], result=tables[2])


def _time(one: Callable[[], object], clock: Clock) -> float:
    begin = clock()
    one()
    return clock() - begin


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of the timings."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
