"""Service time with several sessions busy."""

import numpy as np
import pytest

from tests.workers.evaluation.networks import linear, stack
from workers.errors import YoursToFix
from workers.evaluation import service, study_service


def test_the_figures_are_mean_tail_and_variance_over_squared_mean():
    seconds = np.array([0.001, 0.002, 0.003, 0.006])

    found = service.summarize(seconds, workers=2)

    assert found.workers == 2
    assert found.mean_ms == pytest.approx(3)
    assert found.p95_ms == pytest.approx(np.percentile(seconds, 95) * 1000)
    assert found.cv2 == pytest.approx(np.var(seconds) / np.mean(seconds) ** 2)


def test_equal_service_times_do_not_vary():
    assert service.summarize(np.full(9, 0.004), workers=1).cv2 == pytest.approx(0)


def test_all_sessions_are_busy_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "SECONDS", 0.2)
    path, sample = stack(tmp_path / "m.onnx", layers=8), {"x": np.ones((1, 128), np.float32)}

    found = study_service(path, sample, workers=3)

    assert found.workers == 3
    assert found.mean_ms > 0 and found.p95_ms > 0 and found.cv2 >= 0


def test_slow_networks_get_their_twenty_runs_and_fast_ones_end():
    assert service._goes_on(elapsed=10, runs=3)
    assert not service._goes_on(elapsed=10, runs=20)
    assert not service._goes_on(elapsed=31, runs=3)
    assert not service._goes_on(elapsed=0.1, runs=20_000)


def test_a_fault_in_a_session_reaches_the_caller(tmp_path):
    with pytest.raises(YoursToFix, match="shaped as the network"):
        study_service(linear(tmp_path / "m.onnx"), {"x": np.ones((1, 5), np.float32)}, workers=2)


def test_no_worker_is_refused(tmp_path):
    with pytest.raises(YoursToFix, match="at least one"):
        study_service(linear(tmp_path / "m.onnx"), {"x": np.ones((1, 4), np.float32)}, workers=0)
