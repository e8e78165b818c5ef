"""Edge emulation with real children: does it fit, does it answer the same, and what is said where that is not known."""

import json
import os
import shutil
from contextlib import nullcontext

import numpy as np
import onnx
import pytest

from tests.material import tiny_cnn, tiny_mlp
from workers import edge
from workers.device import DeviceProfile, host, profile
from workers.elsewhere.answers import answer, judged, rows_for
from workers.emulation import emulator, limits
from workers.emulation.emulator import Emulator
from workers.errors import Problem
from workers.events import Emulated
from workers.report import Emulation, MemoryTrial, Predicted, SameAnswers, Trials
from workers.sandbox import Nursery, Outcome, Tick
from workers.shop import Shop
from workers.ticket import Limits, Order

MIB = 1 << 20
NOT_YET = MemoryTrial(fits=None, cap_bytes=0)
EMPTY = Emulation(
    device="board", title="A board", threads=2, fits=Trials(baseline=NOT_YET, result=NOT_YET),
    answers=SameAnswers(same=None), predicted=Predicted(),
)  # fmt: skip


def board(memory_bytes: int, **changes) -> DeviceProfile:
    return DeviceProfile(
        key="board", title="A board", arch="aarch64", threads=2, cores=2, memory_bytes=memory_bytes, **changes
    )


@pytest.fixture
def bench(tmp_path):
    """A job's folder with two networks and one sample, and children that work in it."""
    work = tmp_path / "work"
    (work / "out").mkdir(parents=True)
    onnx.save(tiny_mlp(), work / "before.onnx")
    onnx.save(tiny_mlp(features=64, hidden=16), work / "after.onnx")
    np.savez(work / "out" / "sample.npz", input__x=np.ones((1, 64), np.float32))
    with Nursery(spare=False) as nursery:

        def run_child(order, given, group):
            child = nursery.fresh(group.enter) if group else nursery.take()
            child.begin(order, folder=work, readable=[], limits=given)
            said = [message for message in child.messages() if not isinstance(message, Tick)]
            return edge.Heard(child.outcome(), next((one for one in said if isinstance(one, Emulated)), None))

        yield run_child


def complete(run_child, there, **changes):
    return edge.complete(
        EMPTY, Order(kind="judge", model="before.onnx", **changes), there,
        result="after.onnx", limits=Limits(), run_child=run_child, why_not="No emulator here.",
    )  # fmt: skip


def test_a_network_that_fits_is_run_and_its_memory_told_apart_from_files(bench):
    found = complete(bench, board(512 * MIB))

    for trial in (found.fits.baseline, found.fits.result):
        assert trial.fits is True
        assert trial.means == limits.means()
        assert 10 * MIB < trial.peak_bytes < 400 * MIB
        assert trial.file_bytes > 5 * MIB
    assert (found.answers.same, found.answers.why) == (None, "No emulator here.")


def test_a_network_that_needs_more_than_the_device_has_does_not_fit_and_the_job_goes_on(bench):
    found = complete(bench, board(16 * MIB))

    assert (found.fits.result.fits, found.fits.result.cap_bytes) == (False, 16 * MIB)
    assert "more memory" in found.fits.result.why
    assert not found.is_validated


def test_where_no_group_may_be_made_the_process_limits_itself(bench, monkeypatch):
    monkeypatch.setattr(limits, "_parents", lambda: iter(()))

    roomy, tight = complete(bench, board(512 * MIB)), complete(bench, board(40 * MIB))

    assert (roomy.fits.result.fits, roomy.fits.result.means) == (True, "RLIMIT_DATA")
    assert 10 * MIB < roomy.fits.result.peak_bytes < 400 * MIB
    assert tight.fits.result.fits is False


def test_a_group_that_may_not_be_entered_is_as_good_as_none(bench, monkeypatch):
    refused = []

    def refuse(cap, process):
        if cap.folder is not None:
            refused.append(process)
            raise PermissionError("not yours")

    monkeypatch.setattr(limits.Cap, "enter", refuse)

    found = complete(bench, board(512 * MIB))

    assert found.fits.result.means == "RLIMIT_DATA"
    assert found.fits.result.fits is True
    assert bool(refused) is (limits.means() != "RLIMIT_DATA")


@pytest.mark.parametrize("changes", [{"runtime": "tflite-micro", "provider": "EdgeTPU"}])
def test_a_device_without_onnxruntime_is_not_tried_and_the_reason_is_said(changes):
    def nobody(*_):
        raise AssertionError("no child was expected")

    found = complete(nobody, board(320_000, **changes))

    assert found.fits.result.fits is None
    assert "tflite-micro" in found.fits.result.why


def test_a_stop_ends_the_job_and_not_the_trial():
    with pytest.raises(edge.Interrupted):
        complete(lambda *_: edge.Heard(Outcome("stopped")), board(512 * MIB))


def test_a_crash_is_no_answer_about_memory():
    problem = Problem(fault="yours", code="child.crashed", message="It crashed.")

    found = complete(lambda *_: edge.Heard(Outcome("crashed", problem)), board(512 * MIB))

    assert (found.fits.result.fits, found.fits.result.why) == (None, "It crashed.")


def test_a_failed_comparison_is_no_answer():
    problem = Problem(fault="ours", code="child.crashed", message="QEMU gave up.")

    def run_child(order, given, group):
        return edge.Heard(Outcome("done" if order.kind == "emulate" else "crashed", problem), None)

    found = complete(run_child, board(512 * MIB), emulator=Emulator(title="qemu", command=("qemu",)))

    assert (found.answers.same, found.answers.why) == (None, "QEMU gave up.")


def test_answers_are_as_far_apart_as_the_worst_of_them():
    here = [np.array([[1.0, 4.0], [2.0, 1.0]]), np.array([[8.0], [0.0]])]

    assert judged(here, here, "qemu").identical
    near = judged(here, [here[0], here[1] + 1e-4], "qemu")
    far = judged(here, [here[0][:, ::-1], here[1]], "qemu")

    assert (near.same, near.identical, near.largest_difference) == (True, False, pytest.approx(1e-4 / 8))
    assert (far.same, far.same_class, far.largest_difference) == (False, 0, pytest.approx(3 / 4))


def test_a_network_too_large_for_qemu_is_not_compared_and_the_reason_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    order = Order(kind="answer", emulator=Emulator(title="qemu", command=("qemu",)))

    answer(Shop(order, said.append, nullcontext, lambda: False))

    [answers] = [one.answers for one in said]
    assert answers.same is None
    assert "many minutes" in answers.why


def test_slow_networks_answer_fewer_rows_and_the_slowest_none():
    assert [rows_for(macs) for macs in (1, 10**9, 10**11)] == [8, 2, 0]


@pytest.mark.parametrize(
    ("key", "word"),
    [("coral-edgetpu", "do not run"), ("stm32f746", "do not run"), ("t4", "do not run"), ("rpi5", "HUB_AARCH64")],
)
def test_what_cannot_be_compared_is_said_with_the_way_out(key, word, monkeypatch):
    monkeypatch.setattr(emulator.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(emulator, "host", lambda: host().model_copy(update={"arch": "x86_64", "isa": ("avx512_vnni",)}))

    found = emulator.emulator(profile(key), None)

    assert isinstance(found, str)
    assert word in found


def test_the_same_instructions_need_no_emulator(monkeypatch):
    monkeypatch.setattr(emulator, "host", lambda: profile("c6i-xlarge-1t"))

    assert "Not needed" in emulator.emulator(profile("x86-d64s-v6-1t"), None)


QEMU_X86 = shutil.which("qemu-x86_64") and host().arch == "x86_64" and host().has_int8_dot_product
ARM_FOLDER = emulator.prepared(os.environ)
NEEDS_ARM = pytest.mark.skipif(
    not (ARM_FOLDER and shutil.which("qemu-aarch64")),
    reason="HUB_AARCH64 or qemu-aarch64 is missing: answers as aarch64 are NOT compared",
)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(
            "c6a-xlarge-1t",
            marks=pytest.mark.skipif(not QEMU_X86, reason="no qemu-x86_64 on a host with VNNI: x86 is NOT compared"),
        ),
        *(pytest.param(key, marks=NEEDS_ARM) for key in ("rpi5", "rpi4")),
    ],
)
def test_another_processor_answers_the_same_from_inside_the_sandbox(key, tmp_path):
    work = tmp_path / "work"
    (work / "out").mkdir(parents=True)
    onnx.save(tiny_cnn(), work / "net.onnx")
    rows = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype(np.float32)
    np.savez(work / "out" / "rows.npz", input__x=rows)
    there = emulator.emulator(profile(key), ARM_FOLDER)
    order = Order(kind="answer", model="net.onnx", device=key, emulator=there)
    with Nursery(spare=False) as nursery:
        child = nursery.take()
        child.begin(order, folder=work, readable=there.readable, limits=Limits(wall_seconds=120))
        said = [message for message in child.messages() if not isinstance(message, Tick)]
        outcome = child.outcome()

    assert outcome.kind == "done", json.dumps(outcome.problem.model_dump() if outcome.problem else {})
    [answers] = [one.answers for one in said if one.type == "compared"]
    assert answers.same is True, answers
    assert (answers.samples, answers.same_class) == (3, 3)
    assert 0 < answers.largest_difference < 1e-5
