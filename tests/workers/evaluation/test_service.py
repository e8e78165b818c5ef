"""Service time with several sessions busy."""

import sys

import numpy as np
import pytest

from tests.workers.evaluation.networks import linear, stack
from workers.errors import OursToFix, YoursToFix
from workers.evaluation import service, study_services


def test_the_figures_are_mean_tail_and_variance_over_squared_mean():
    seconds = np.array([0.001, 0.002, 0.003, 0.006])

    found = service.summarize([seconds], workers=2)

    assert found.workers == 2
    assert found.mean_ms == pytest.approx(3)
    assert found.p95_ms == pytest.approx(np.percentile(seconds, 95) * 1000)
    assert found.cv2 == pytest.approx(np.var(seconds) / np.mean(seconds) ** 2)


def test_equal_service_times_do_not_vary():
    assert service.summarize([np.full(9, 0.004)], workers=1).cv2 == pytest.approx(0)


def test_a_pause_of_the_host_in_one_round_is_not_the_networks_own():
    calm = np.full(1_000, 50e-6)
    paused = calm.copy()
    paused[500] = 8e-3

    found = service.summarize([calm, paused, calm, paused, calm], workers=1)

    assert found.cv2 == pytest.approx(0, abs=1e-9) and found.mean_ms == pytest.approx(0.05)


def test_networks_take_turns_and_each_keeps_its_own_figures(tmp_path):
    small, large = stack(tmp_path / "small.onnx", layers=1), stack(tmp_path / "large.onnx", layers=60)
    sample = {"x": np.ones((1, 128), np.float32)}

    first, second = study_services([(small, sample), (large, sample)], workers=1)

    assert second.mean_ms > 2 * first.mean_ms


@pytest.mark.parametrize(("workers", "expected"), [(1, [1]), (3, [1, 1, 1]), (16, [1] * 16), (40, [3] * 8 + [2] * 8)])
def test_sessions_are_spread_evenly_over_at_most_sixteen_processes(workers, expected):
    assert service.shares(workers) == expected


def test_all_sessions_are_busy_at_once(tmp_path):
    path, sample = stack(tmp_path / "m.onnx", layers=8), {"x": np.ones((1, 128), np.float32)}

    found = study_services([(path, sample)], workers=3)[0]

    assert found.workers == 3
    assert found.mean_ms > 0 and found.p95_ms > 0 and found.cv2 >= 0


def test_several_sessions_of_one_process_are_all_served(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "SECONDS", 0.1)
    monkeypatch.setattr(service, "FEWEST_RUNS", 20)
    path, sample = linear(tmp_path / "m.onnx"), {"x": np.ones((1, 4), np.float32)}
    servers = [service.Server(path, sample) for _ in range(3)]

    seconds = service.busy(servers)

    assert all(len(server.seconds) >= 20 for server in servers)
    assert len(seconds) == sum(len(server.seconds) for server in servers)


def test_where_no_process_may_start_threads_serve(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "SECONDS", 0.1)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    path, sample = linear(tmp_path / "m.onnx"), {"x": np.ones((1, 4), np.float32)}

    assert study_services([(path, sample)], workers=2)[0].mean_ms > 0


def test_slow_networks_get_their_runs_in_a_turn_and_fast_ones_end():
    assert service.goes_on(elapsed=2, runs=3)
    assert not service.goes_on(elapsed=2, runs=4)
    assert not service.goes_on(elapsed=7, runs=3)
    assert not service.goes_on(elapsed=0.1, runs=4_000)


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path):
    server = service.Remote(tmp_path / "gone.onnx", {"x": np.ones((1, 4), np.float32)}, 1)

    with pytest.raises(OursToFix, match="that process ended") as caught:
        server.wait_until_ready()
    server.end()

    assert caught.value.code == "service.process-died"


def test_a_misfit_reaches_the_caller_in_our_words(tmp_path):
    with pytest.raises(YoursToFix, match="shaped as the network"):
        study_services([(linear(tmp_path / "m.onnx"), {"x": np.ones((1, 5), np.float32)})], workers=2)


def test_no_worker_is_refused(tmp_path):
    with pytest.raises(YoursToFix, match="at least one"):
        study_services([(linear(tmp_path / "m.onnx"), {"x": np.ones((1, 4), np.float32)})], workers=0)
