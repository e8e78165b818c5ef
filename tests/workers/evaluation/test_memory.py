"""Peak memory against networks whose weights have a known size."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.workers.evaluation.networks import linear, stack
from workers.errors import OursToFix
from workers.evaluation import memory, peak_memory

MIB = 1 << 20


def test_a_network_needs_at_least_its_weights_and_not_many_times_them(tmp_path):
    path = stack(tmp_path / "m.onnx", layers=4, width=2048)  # 4 * 2048 * 2048 * 4 bytes = 64 MiB

    peak = peak_memory(path, {"x": np.ones((1, 2048), np.float32)})

    assert 60 * MIB < peak < 260 * MIB


def test_a_tiny_network_is_not_billed_for_the_runtime(tmp_path):
    assert peak_memory(linear(tmp_path / "m.onnx"), {"x": np.ones((1, 4), np.float32)}) < 8 * MIB


def test_activations_count(tmp_path):
    path = stack(tmp_path / "m.onnx", layers=2, width=512)

    one = peak_memory(path, {"x": np.ones((1, 512), np.float32)})
    many = peak_memory(path, {"x": np.ones((20_000, 512), np.float32)})  # 39 MiB in each layer

    assert many - one > 30 * MIB


def test_where_no_process_may_start_this_one_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    path = stack(tmp_path / "m.onnx", layers=4, width=1024)  # 16 MiB

    assert peak_memory(path, {"x": np.ones((1, 1024), np.float32)}) > 0


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path):
    with pytest.raises(OursToFix, match="that process ended") as caught:
        peak_memory(tmp_path / "gone.onnx", {"x": np.ones((1, 4), np.float32)})

    assert caught.value.code == "memory.probe-died"


def test_it_needs_neither_the_current_folder_nor_an_installed_package(tmp_path, monkeypatch):
    path = linear(tmp_path / "m.onnx")
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file in the working folder was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert peak_memory(path, {"x": np.ones((1, 4), np.float32)}) >= 0


@pytest.mark.skipif(not memory.STATUS.exists(), reason="needs /proc")
def test_a_peak_that_went_by_before_is_forgotten():
    code = (
        "import numpy as np\n"
        "from workers.evaluation import memory\n"
        "big = np.ones(16_000_000); del big\n"  # 122 MiB, freed
        "before = memory._start_counting()\n"
        "again = np.ones(4_000_000)\n"  # 31 MiB
        "print(memory._peak_bytes() - before)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())

    assert 25 * MIB < int(done.stdout) < 60 * MIB
