"""How long two networks take, measured so that the ratio means something.

The protocol, per batch size:

- Three sessions: the baseline, the baseline again, and the result. In every round each of them has
  one block of single runs, the three blocks in random order, so that whatever slows the host down
  slows all three.
- Sessions are opened anew several times, in random order: where memory happens to lie makes the same
  small network up to 5 % faster or slower for as long as its session lives (Mytkowicz et al. 2009,
  ASPLOS, on such bias; Kalibera and Jones 2013, ISMM, on repeating every level that varies).
- The first run of a block is not counted: the caches still hold the network that ran before.
- Latency percentiles are of single runs. The speed-up is the ratio of the two medians; its 95 %
  interval is a block bootstrap over sittings and rounds (Künsch 1989), see ``workers.numerics.timings``.
- The baseline against itself must come out within 5 % of 1. If not, the measurement is repeated with
  more rounds, up to three times; if it still does not, the host is too noisy and no verdict is given.

What the timings say is a pure function of the timings; the clock comes in from outside.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from workers.errors import EngineError, Frozen
from workers.evaluation.sessions import Feed, axes_of, feeds_for, open_session, run, tile
from workers.model import Progress
from workers.numerics.bootstrap import Floats
from workers.numerics.timings import ratio_of_medians, tails
from workers.report import Latency, Ratio

Clock = Callable[[], float]
Run = Callable[[], object]
Opener = Callable[[], Run]

MOST_NOISE = 0.05
RETRIES = 3
MORE_EACH_TIME = 1.5
BARE_MINIMUM_ROUNDS = 6


@dataclass(frozen=True)
class Budget:
    """How much measuring one attempt at one batch size may cost.

    ``seconds`` is spent on networks fast enough to fill it with ``most_rounds``; slow ones get
    ``fewest_rounds`` even if that takes up to ``most_seconds``, and six rounds whatever they take.
    Opening sessions anew may take a quarter on top.
    """

    seconds: float
    most_rounds: int
    fewest_rounds: int
    most_seconds: float
    most_sittings: int
    block_seconds: float = 0.002
    most_runs: int = 50


USUAL = Budget(seconds=4.0, most_rounds=120, fewest_rounds=12, most_seconds=60.0, most_sittings=12)
QUICK = Budget(seconds=1.0, most_rounds=48, fewest_rounds=8, most_seconds=15.0, most_sittings=8)


@dataclass(frozen=True)
class Plan:
    """In each sitting sessions are opened; in each of its rounds every session runs ``runs`` times and is timed."""

    sittings: int
    rounds: int
    runs: int


@dataclass(frozen=True)
class Timings:
    """Seconds of single runs, each (sittings, rounds, runs)."""

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
    rounds: int = 0
    attempts: int = 1

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
    result_sample: Feed | None = None,
) -> LatencyStudy:
    """Time two networks against each other.

    On a quiet host that takes 2 to 10 s for small networks, a quarter of it if ``quick``; a noisy host is
    measured up to four times. A graph with a fixed batch size answers a batch in several runs, which count as one.

    Args:
        baseline, result: ONNX files with the same inputs, or with ``result_sample`` for those of the result.
        sample: one sample as a batch of one, by input name; repeated to make larger batches.
        threads: threads of each session; only one session runs at a time.
        seed: fixes the order of the blocks and the bootstrap.
        quick: fewer rounds and wider intervals.
        progress: called as (done, total, text) after each batch size; raises to stop.

    Raises:
        YoursToFix, OursToFix: if a network cannot be opened or does not run.
    """
    found: dict[str, Finding] = {}
    for done, batch in enumerate(batches, start=1):
        fed = ((baseline, sample), (baseline, sample), (result, sample if result_sample is None else result_sample))
        openers = [partial(open_runner, path, feed, batch, threads) for path, feed in fed]
        finding = found[str(batch)] = settle(openers, QUICK if quick else USUAL, seed=seed)
        if progress is not None:
            progress(done, len(batches), f"batch {batch}: {finding.speedup.value:.2f}×")
    return LatencyStudy(
        baseline={key: finding.baseline for key, finding in found.items()},
        result={key: finding.result for key, finding in found.items()},
        speedup={key: finding.speedup for key, finding in found.items()},
        noise={key: finding.noise for key, finding in found.items()},
        rounds={key: finding.rounds for key, finding in found.items()},
        attempts={key: finding.attempts for key, finding in found.items()},
        noisy=tuple(key for key, finding in found.items() if finding.is_noisy),
    )


def open_runner(path: Path, sample: Feed, batch: int, threads: int) -> Run:
    """Open a session and return a call that answers one whole batch.

    It runs once here, so that a misfit is told in our words and not while timing.
    """
    session = open_session(path, threads=threads)
    feeds = feeds_for(session, tile(sample, batch, axes_of(session)), batch)
    try:
        run(session, feeds[0])
    except EngineError:
        if batch == 1:
            raise
        feeds = feeds_for(session, sample, 1) * batch  # a batch axis that is free in name only
        run(session, feeds[0])
    if len(feeds) == 1:
        return partial(session.run, None, feeds[0])
    return lambda: [session.run(None, feed) for feed in feeds]


def settle(openers: Sequence[Opener], budget: Budget, *, seed: int, clock: Clock = time.perf_counter) -> Finding:
    """Measure until the baseline agrees with itself, at most ``1 + RETRIES`` times; what the last attempt gave.

    Args:
        openers: of the baseline, the baseline again, and the result.
    """
    plan = plan_for(*rough_seconds(openers, clock), budget)
    for attempt in range(1, RETRIES + 2):
        finding = conclude(measure(openers, plan, seed=seed + attempt, clock=clock), seed=seed)
        finding = replace(finding, rounds=plan.sittings * plan.rounds, attempts=attempt)
        if not finding.is_noisy:
            break
        plan = replace(plan, rounds=int(np.ceil(plan.rounds * MORE_EACH_TIME)))
    return finding


def conclude(timings: Timings, *, seed: int) -> Finding:
    """What timings say. Both sets of baseline runs count as the baseline."""
    baseline = np.concatenate([timings.baseline, timings.again], axis=2)
    value, low, high = ratio_of_medians(baseline, timings.result, seed=seed)
    return Finding(
        baseline=_latency(baseline),
        result=_latency(timings.result),
        speedup=Ratio(value=value, low=low, high=high),
        noise=float(np.median(timings.baseline) / np.median(timings.again)),
    )


def _latency(seconds: Floats) -> Latency:
    p50, p95, p99 = tails(seconds)
    return Latency(p50_ms=p50 * 1000, p95_ms=p95 * 1000, p99_ms=p99 * 1000)


def plan_for(opening: float, one_run: float, budget: Budget) -> Plan:
    """Blocks long enough to time, as many rounds as the budget allows, and sessions opened anew where that is cheap.

    Args:
        opening: seconds to open all three sessions.
        one_run: seconds of one run, the mean of the three.
    """
    runs = int(np.clip(np.ceil(budget.block_seconds / one_run), 1, budget.most_runs))
    if runs < 3 and one_run < 10 * budget.block_seconds:
        runs = 3
    one_round = 3 * (runs + 1) * one_run
    rounds = int(np.clip(budget.seconds / one_round, budget.fewest_rounds, budget.most_rounds))
    rounds = min(rounds, max(BARE_MINIMUM_ROUNDS, int(budget.most_seconds / one_round)))
    sittings = int(np.clip(budget.seconds / 4 / (opening + one_round), 1, min(budget.most_sittings, rounds)))
    return Plan(sittings=sittings, rounds=-(-rounds // sittings), runs=runs)


def rough_seconds(openers: Sequence[Opener], clock: Clock) -> tuple[float, float]:
    """Warm up; find out what opening them all costs and one run takes, as the mean of the fastest of a few each."""
    begin = clock()
    runs = [opener() for opener in openers]
    opening = clock() - begin
    fastest = []
    for one in runs:
        took = [_time(one, clock) for _ in range(2)]
        if took[-1] < 0.05:
            took += [_time(one, clock) for _ in range(8)]
        fastest.append(min(took))
    return opening, max(1e-7, float(np.mean(fastest)))


def measure(openers: Sequence[Opener], plan: Plan, *, seed: int, clock: Clock = time.perf_counter) -> Timings:
    """Carry out a plan on the baseline, the baseline again, and the result."""
    baseline, again, result = _in_turn(openers, plan, seed=seed, clock=clock)
    return Timings(baseline=baseline, again=again, result=result)


def _in_turn(openers: Sequence[Opener], plan: Plan, *, seed: int, clock: Clock) -> Floats:
    """In each sitting open the sessions, in each round run a block of each, all in random order.

    Returns:
        Seconds of single runs, (sessions, sittings, rounds, runs).
    """
    rng, count = np.random.default_rng(seed), len(openers)
    tables = np.empty((count, plan.sittings, plan.rounds, plan.runs))
    with _without_collector():
        for sitting in range(plan.sittings):
            opened = {which: openers[which]() for which in rng.permutation(count).tolist()}
            for position in range(plan.rounds):
                for which in rng.permutation(count).tolist():
                    tables[which, sitting, position] = _block(opened[which], plan.runs, clock)
    return tables


def race(files: Sequence[Path], sample: Feed, *, batch: int, threads: int, seed: int) -> tuple[float, ...]:
    """The median seconds that each of several networks takes, all timed in turn.

    Args:
        files: ONNX files with the same inputs.
        sample: one sample as a batch of one, by input name.

    Raises:
        YoursToFix, OursToFix: if a network cannot be opened or does not run.
    """
    openers = [partial(open_runner, path, sample, batch, threads) for path in files]
    plan = plan_for(*rough_seconds(openers, time.perf_counter), QUICK)
    tables = _in_turn(openers, plan, seed=seed, clock=time.perf_counter)
    return tuple(float(median) for median in np.median(tables, axis=(1, 2, 3)))


def _block(one: Run, runs: int, clock: Clock) -> list[float]:
    one()  # not counted: the caches hold the network that ran before
    return [_time(one, clock) for _ in range(runs)]


def _time(one: Run, clock: Clock) -> float:
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
