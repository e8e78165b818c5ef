"""Waiting at an instance, against closed forms, a plain loop and a simulation of single requests."""

import heapq
import math

import numpy as np
import pytest

from workers.numerics.queueing import erlang_c, fewest_instances, p95_response


def erlang_c_by_its_sum(workers: int, load: float) -> float:
    top = load**workers / math.factorial(workers) * workers / (workers - load)
    return top / (sum(load**n / math.factorial(n) for n in range(workers)) + top)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.3), (2, 1.9), (4, 2.28), (16, 12.0), (40, 39.0)])
def test_erlang_c_is_the_textbook_sum(workers, load):
    assert erlang_c(workers, load) == pytest.approx(erlang_c_by_its_sum(workers, load))


def test_one_worker_makes_a_request_wait_as_often_as_it_is_busy():
    load = np.linspace(0, 0.99, 12)

    assert erlang_c(1, load) == pytest.approx(load)


def test_a_queue_that_grows_for_ever_has_no_percentile():
    assert erlang_c(4, 4.0) == 1
    assert p95_response(rate=100.0, mean_s=0.04, p95_s=0.05, cs2=1, workers=4) == math.inf


def test_at_rest_a_request_takes_its_service_time():
    assert p95_response(rate=0.0, mean_s=0.04, p95_s=0.046, cs2=0.05, workers=4) == 0.046


def test_the_wait_of_one_exponential_server_is_the_closed_form():
    rate, mean = 15.0, 0.05  # P(wait > t) = rho exp(-(1 - rho) t / mean)
    closed = mean / (1 - rate * mean) * math.log(rate * mean / 0.05)

    assert p95_response(rate=rate, mean_s=mean, p95_s=0, cs2=1, workers=1) == pytest.approx(closed)


def simulated_p95(workers: int, busy: float, cs2: float, requests: int, seed: int) -> tuple[float, float]:
    """The p95 of the response and of the service itself, request by request; the mean service time is 1."""
    rng = np.random.default_rng(seed)
    arrivals = rng.exponential(1 / (busy * workers), requests).cumsum()
    services = rng.gamma(1 / cs2, cs2, requests)
    free_at = [0.0] * workers
    responses = np.empty(requests)
    for each, (arrives, takes) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        start = max(arrives, free_at[0])
        heapq.heapreplace(free_at, start + takes)
        responses[each] = start + takes - arrives
    settled = requests // 10
    return float(np.quantile(responses[settled:], 0.95)), float(np.quantile(services, 0.95))


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
@pytest.mark.parametrize("busy", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("cs2", [0.05, 1.0])
def test_the_formula_errs_on_the_safe_side_of_a_simulation(workers, busy, cs2):
    simulated, own_p95 = simulated_p95(workers, busy, cs2, requests=120_000, seed=workers)

    formula = float(p95_response(rate=busy * workers, mean_s=1.0, p95_s=own_p95, cs2=cs2, workers=workers))

    noise = 0.03  # the 95th percentile of 120,000 simulated requests at 90 % load
    assert -0.02 - noise < formula / simulated - 1 < 0.27 + noise


def test_the_formula_errs_on_the_safe_side_near_saturation():
    errors = []
    for seed in range(3):
        simulated, own_p95 = simulated_p95(4, 0.95, 1.0, requests=150_000, seed=seed)
        formula = float(p95_response(rate=3.8, mean_s=1.0, p95_s=own_p95, cs2=1.0, workers=4))
        errors.append(formula / simulated - 1)

    assert -0.05 < np.mean(errors) < 0.30


def instances_one_by_one(rate, mean_s, p95_s, cs2, workers, busy, floor, limit_s):
    """The rule as it reads: utilisation and floor first, then one more until the p95 is within the limit."""
    if limit_s is not None and p95_s >= limit_s:
        return math.nan
    count = max(floor, math.ceil(rate * mean_s / (workers * busy) - 1e-9))
    if limit_s is None or count == 0 == rate:
        return count
    while float(p95_response(rate=rate / count, mean_s=mean_s, p95_s=p95_s, cs2=cs2, workers=workers)) > limit_s:
        count += 1
    return count


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("limit_s", [None, 0.0201, 0.024, 0.05, 0.3])
def test_instances_are_those_of_the_rule_applied_one_by_one(workers, limit_s):
    rng = np.random.default_rng(workers)
    rate, mean = rng.uniform(0, 900, 60), rng.uniform(0.001, 0.02, 60)
    tail, cs2 = mean * rng.uniform(1, 2, 60), rng.uniform(0, 1.5, 60)
    common = {"workers": workers, "busy": 0.7, "floor": 1, "limit_s": limit_s}

    found = fewest_instances(rate=rate, mean_s=mean, p95_s=tail, cs2=cs2, **common)

    slow = [instances_one_by_one(*each, **common) for each in zip(rate, mean, tail, cs2, strict=True)]
    np.testing.assert_array_equal(found, slow)


def test_a_limit_no_longer_than_one_request_cannot_be_met():
    for limit_s in (0.040, 0.046):
        found = fewest_instances(rate=10, mean_s=0.04, p95_s=0.046, cs2=0, workers=4, busy=0.6, limit_s=limit_s)

        assert np.isnan(found)


def test_a_limit_just_above_one_request_takes_many_instances_but_an_end():
    found = fewest_instances(rate=1e6, mean_s=0.04, p95_s=0.046, cs2=0, workers=1, busy=0.6, limit_s=0.0460001)

    assert found == pytest.approx(1e6 * 0.04 / 0.05, rel=1e-5)  # one worker: 5 % wait at a load of 0.05
    alone = p95_response(rate=1e6 / found, mean_s=0.04, p95_s=0.046, cs2=0, workers=1)
    one_less = p95_response(rate=1e6 / (found - 1), mean_s=0.04, p95_s=0.046, cs2=0, workers=1)
    assert alone <= 0.0460001 < one_less


def test_without_traffic_the_floor_remains():
    for floor in (0, 2):
        common = {"rate": 0.0, "mean_s": 0.04, "p95_s": 0.046, "cs2": 0.05, "workers": 4, "busy": 0.6}

        assert fewest_instances(**common, floor=floor, limit_s=0.1) == floor


def test_an_exact_fit_is_not_rounded_up():
    """3 requests a second of 0.4 s are 1.2 workers: one instance of 2 that may be 60 % busy."""
    assert 3 * 0.4 / (2 * 0.6) > 1  # in floating point

    assert fewest_instances(rate=3, mean_s=0.4, p95_s=0.5, cs2=0, workers=2, busy=0.6) == 1


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="at least one worker"):
        erlang_c(0, 0.5)
