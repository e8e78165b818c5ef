"""Many variants at once give what one at a time gives, what plain loops give, and quickly."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest

from workers.numerics.queueing import p95_response
from workers.serving.figures import figures
from workers.serving.jobs import JobRun
from workers.serving.service import Factor, ServiceTime
from workers.serving.worked_example import FP32, JOB, workload
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


def test_all_estimates_of_a_thousand_variants_take_at_most_200_ms():
    variants, jobs = invented(1000, bands=True), [JOB] * 1000
    figures(workload(), FP32, variants[:2], jobs=jobs[:2]).column("carbon")  # tables are read once
    taken = []
    for _ in range(3):
        begin = time.process_time()
        found = figures(workload(), FP32, variants, jobs=jobs)
        columns = [found.column(slug) for slug in found.slugs]
        columns += [found.relative_saving(slug) for slug in ("cost-autoscaled", "energy", "carbon")]
        taken.append(time.process_time() - begin)

    assert min(taken) <= 0.2
    assert all(len(each.value) == 1001 for each in columns)
