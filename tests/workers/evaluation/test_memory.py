"""Peak memory against networks whose weights have a known size."""

import subprocess
import sys

import numpy as np
import pytest

from tests.workers.evaluation.networks import linear, stack
from workers.errors import OursToFix
from workers.evaluation import peak_memory

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


def test_a_peak_that_went_by_before_hides_nothing():
    code = (
        "import numpy as np\n"
        "from workers.evaluation import memory\n"
        "big = np.ones(16_000_000); del big\n"  # 122 MiB, freed
        "ballast = memory.take_on_ballast()\n"
        "before = memory.highest_bytes()\n"
        "again = np.ones(4_000_000)\n"  # 30.5 MiB
        "print(memory.highest_bytes() - before)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert 29 * MIB < int(done.stdout) < 33 * MIB


def test_the_size_of_the_process_that_asks_does_not_matter(tmp_path):
    path, sample = stack(tmp_path / "m.onnx", layers=4, width=1024), {"x": np.ones((1, 1024), np.float32)}

    small = peak_memory(path, sample)
    ballast = np.ones(50_000_000)  # 381 MiB
    large = peak_memory(path, sample)

    assert ballast.size and abs(large - small) < 4 * MIB
    assert small > 16 * MIB
