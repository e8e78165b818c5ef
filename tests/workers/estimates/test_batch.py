"""Many variants at once give what one at a time gives, what plain loops give, and quickly."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest

from workers.errors import YoursToFix
from workers.numerics.queueing import p95_response
from workers.serving.figures import NOTHING_TO_SAVE, figures, figures_of_pairs
from workers.serving.jobs import JobRun
from workers.serving.service import Factor, ServiceTime
from workers.serving.shown import headline
from workers.serving.worked_example import FP32, INT8, JOB, owned_workload, workload
from workers.serving.workload import SHOP_DAY, Workload


def invented(count: int, *, bands: bool, seed: int = 0) -> list[ServiceTime]:
    rng = np.random.default_rng(seed)
    made = []
    for mean in rng.uniform(0.002, 0.06, count).tolist():
        own = Factor(low=0.9, high=float(rng.uniform(1, 1.3))) if bands else Factor()
        made.append(
            FP32.model_copy(update={"mean_s": mean, "p95_s": mean * 1.3, "cs2": float(rng.uniform(0, 2)), "own": own})
        )
    return made


# --- an independent reading of the formulas, one number at a time


def power_of(shape: tuple[float, ...], peak: float) -> list[float]:
    low, high = 0.0, 64.0
    for _ in range(100):
        gamma = (low + high) / 2
        powered = [each**gamma for each in shape]
        ratio = max(powered) / (sum(powered) / 24)
        low, high = (gamma, high) if ratio < peak else (low, gamma)
    return [each / (sum(powered) / 24) for each in powered]


def by_hand(setting: Workload, service: ServiceTime) -> dict[str, float]:
    """Central figures for c6i.xlarge in us-east-1 at $0.17, straight from the formulas."""
    rate, limit = setting.monthly / 3600 / 730, (setting.sla_p95_ms or math.inf) / 1000
    counts = []
    for share in power_of(SHOP_DAY, setting.peak_factor):
        count = max(
            setting.ha_floor, math.ceil(rate * share * service.mean_s / (4 * setting.target_utilisation) - 1e-9)
        )
        while p95(service, rate * share / count) > limit:
            count += 1
        counts.append(count)
    mean = sum(counts) / 24
    used = rate * service.mean_s / (4 * mean)
    watts = math.sqrt(4 * (0.7668 + (3.7582 - 0.7668) * used) * tdp_watts(used))
    kwh = watts * mean * 0.73 * 1.15
    return {
        "instances-at-peak": max(counts), "cost-static": max(counts) * 0.17 * 730, "cost-autoscaled": mean * 0.17 * 730,
        "latency-at-peak": 1000 * p95(service, rate * setting.peak_factor / max(counts)), "energy": kwh,
        "carbon": kwh * 0.38355 + 0.39 * mean,
    }  # fmt: skip


def p95(service: ServiceTime, rate: float) -> float:
    given = service.model_dump(include={"mean_s", "p95_s", "cs2"})
    return float(p95_response(rate=rate, workers=4, **given))


def tdp_watts(used: float) -> float:
    points = [(0, 0.12), (0.1, 0.32), (0.5, 0.75), (1, 1.02)]
    for (left, low), (right, high) in pairwise(points):
        if left <= used <= right:
            return (4 / 128 * 600 * (low + (high - low) * (used - left) / (right - left)) + 0.1175 * 8) * 1.33
    raise ValueError(used)


@pytest.mark.parametrize(
    "setting", [workload(), workload(predictions_per_month=3e7, peak_factor=8), workload(sla_p95_ms=90)]
)
def test_a_batch_gives_what_plain_loops_give(setting):
    variants = invented(25, bands=False)
    found = figures(setting, FP32, variants)

    for position, service in enumerate((FP32, *variants)):
        for slug, value in by_hand(setting, service).items():
            assert found.column(slug).value[position] == pytest.approx(value, rel=2e-4), (slug, position)


@pytest.mark.parametrize("bands", [False, True])
def test_a_batch_gives_what_one_at_a_time_gives(bands):
    variants = invented(12, bands=bands)
    jobs: list[JobRun | None] = [JOB, None] * 6
    together = figures(workload(), FP32, variants, jobs=jobs)

    for position, service in enumerate(variants, start=1):
        alone = figures(workload(), FP32, [service], jobs=[jobs[position - 1]])
        for slug in together.slugs:
            assert together.amount(slug, position) == alone.amount(slug, 1), slug
        for slug in ("cost-autoscaled", "energy", "carbon", "latency-at-peak"):
            assert together.saving_amount(slug, position) == alone.saving_amount(slug, 1), slug
            assert together.relative_saving_amount(slug, position) == alone.relative_saving_amount(slug, 1), slug


def test_a_range_holds_every_corner_of_its_inputs():
    service = FP32.model_copy(update={"own": Factor(low=0.8, high=1.25)})
    wide = figures(workload(), service, [])

    for factor in (0.8, 1.0, 1.25):
        exact = FP32.model_copy(update={"mean_s": 0.04 * factor, "p95_s": 0.046 * factor})
        narrow = figures(workload(), exact, [])
        for slug in ("cost-autoscaled", "cost-static", "energy", "carbon", "latency-at-peak"):
            inner, outer = narrow.amount(slug, 0), wide.amount(slug, 0)
            assert outer.low <= inner.low * (1 + 1e-12) and inner.high <= outer.high * (1 + 1e-12), slug


@pytest.mark.parametrize("each_its_own", [False, True], ids=["one-baseline", "own-baselines"])
def test_all_estimates_of_a_thousand_variants_take_at_most_200_ms(each_its_own):
    variants, jobs, pairs = invented(1000, bands=True), [JOB] * 1000, pairs_of(1000)
    figures(workload(), FP32, variants[:2], jobs=jobs[:2]).column("carbon")  # tables are read once
    taken = []
    for _ in range(3):
        begin = time.process_time()
        if each_its_own:
            found = figures_of_pairs(workload(), pairs, jobs=jobs)
        else:
            found = figures(workload(), FP32, variants, jobs=jobs)
        columns = [found.column(slug) for slug in found.slugs]
        columns += [found.relative_saving(slug) for slug in ("cost-autoscaled", "energy", "carbon")]
        taken.append(time.process_time() - begin)

    assert min(taken) <= 0.2
    assert all(len(each.value) == (2000 if each_its_own else 1001) for each in columns)


def pairs_of(count: int) -> list[tuple[ServiceTime, ServiceTime]]:
    """Baselines and variants that have nothing in common."""
    return list(zip(invented(count, bands=False, seed=1), invented(count, bands=True, seed=2), strict=True))


@pytest.mark.parametrize(
    "setting", [workload(), workload(sla_p95_ms=40), workload(predictions_per_month=0, ha_floor=0), owned_workload()]
)
def test_pairs_in_a_batch_are_what_each_pair_is_alone(setting):
    """Some miss the limit of 40 ms, as baseline or as variant; without traffic and floor the bill is zero."""
    pairs = pairs_of(8)
    jobs: list[JobRun | None] = [JOB, None] * 4
    together = figures_of_pairs(setting, pairs, jobs=jobs)

    for at, (before, after) in enumerate(pairs):
        alone = figures(setting, before, [after], jobs=[jobs[at]])
        for place in (0, 1):
            there = 2 * at + place
            for slug in together.slugs:
                assert together.amount(slug, there) == alone.amount(slug, place), (slug, at, place)
            for slug in ("cost-autoscaled", "energy", "carbon", "latency-at-peak"):
                assert together.saving_amount(slug, there) == alone.saving_amount(slug, place), (slug, at, place)
                assert together.relative_saving_amount(slug, there) == alone.relative_saving_amount(slug, place)
            assert headline(together, there) == headline(alone, place)


def test_a_pair_measured_on_two_machines_is_refused():
    elsewhere = INT8.model_copy(update={"device": "another"})

    with pytest.raises(YoursToFix, match="came about in one way"):
        figures_of_pairs(workload(), [(FP32, INT8), (FP32, elsewhere)])


def test_pairs_on_different_machines_stand_side_by_side():
    elsewhere = [each.model_copy(update={"device": "another"}) for each in (FP32, INT8)]

    found = figures_of_pairs(workload(), [(FP32, INT8), (elsewhere[0], elsewhere[1])])

    assert found.saving("cost-autoscaled").value[1] == found.saving("cost-autoscaled").value[3]


def test_one_baseline_of_zero_takes_no_figure_from_the_others():
    idle = figures_of_pairs(workload(ha_floor=0, billing="serverless"), [(FP32, INT8), (INT8, FP32)])
    idle._raw["energy"] = np.array([0.0, 1.0, 4.0, 1.0])[:, None, None]

    assert idle.relative_saving_amount("energy", 1).reason == NOTHING_TO_SAVE
    assert idle.relative_saving_amount("energy", 3).value == 0.75
