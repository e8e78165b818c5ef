"""The parts of the sandbox's parent side, each for itself."""

import os
import signal
import subprocess

import psutil
import pytest

from workers.errors import Problem
from workers.events import Log
from workers.sandbox import describe, usage
from workers.sandbox.clock import WallClock
from workers.sandbox.outcome import End, judge
from workers.sandbox.wire import ALONE_WANTED, Allowance, AloneWanted, Flood, Garbled, Lines, read
from workers.ticket import GIB, Limits

LIMITS = Limits(memory_bytes=4 * GIB)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    made = Time()
    return made


def test_held_time_does_not_count(clock):
    wall = WallClock(clock)
    wall.start()
    clock.now = 3
    wall.pause("suspended")
    clock.now = 100
    wall.resume("suspended")
    clock.now = 105

    assert wall.seconds() == 8


def test_a_clock_held_twice_runs_on_only_when_both_let_go(clock):
    wall = WallClock(clock)
    wall.start()
    wall.pause("waiting")
    wall.pause("suspended")
    clock.now = 10
    wall.resume("waiting")
    clock.now = 20
    wall.resume("suspended")
    clock.now = 21

    assert wall.seconds() == 1


def test_a_clock_held_before_it_starts_begins_at_nothing(clock):
    wall = WallClock(clock)
    wall.pause("suspended")
    wall.start()
    clock.now = 5
    wall.resume("suspended")
    clock.now = 6

    assert wall.seconds() == 1


def test_lines_are_put_together_from_pieces():
    line = Log(text="ä" * 10).model_dump_json().encode()
    lines = Lines()

    heard = [message for byte in (line + b"\n" + ALONE_WANTED + b"\n") for message in lines.feed(bytes([byte]))]

    assert heard == [Log(text="ä" * 10), AloneWanted()]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"{}",
        b"[" * 100_000,
        b'{"type":"log","text":"x","colour":"blue"}',
        b'{"type":"finished","outcome":"succeeded"}',
        b'{"type":"started","node":"n","threads":1}',
        b'{"type":"artifact_stored","name":"m","key":"k","sha256":"s","size_bytes":1}',
        b'{"type":"log","text":"' + b"x" * 3000 + b'"}',
        b'{"type":"point","step":0,"series":"loss","x":1,"y":NaN,"extra":1}',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_event_of_a_child_is_refused(line):
    with pytest.raises(Garbled):
        read(line)


def test_lines_may_come_at_a_steady_rate_for_ever_and_in_a_burst_once(clock):
    allowance = Allowance(now=clock)
    for _ in range(20_000):
        clock.now += 1 / 200
        allowance.take()

    with pytest.raises(Flood):
        for _ in range(2_001):
            allowance.take()


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (End(0, LIMITS), "done"),
        (End(0, LIMITS, stop_asked=True), "done"),
        (End(-signal.SIGKILL, LIMITS, stop_asked=True), "stopped"),
        (End(-signal.SIGKILL, LIMITS), "killed"),
        (End(-signal.SIGTERM, LIMITS), "killed"),
        (End(-signal.SIGKILL, LIMITS, kernel_killed=True, peak_memory_bytes=GIB), "out-of-memory"),
        (End(-signal.SIGKILL, LIMITS, peak_memory_bytes=4 * GIB - 1), "out-of-memory"),
        (End(-signal.SIGABRT, LIMITS, stderr="terminate called after throwing 'std::bad_alloc'"), "out-of-memory"),
        (End(-signal.SIGABRT, LIMITS), "crashed"),
        (End(-signal.SIGSEGV, LIMITS), "crashed"),
        (End(-signal.SIGXCPU, LIMITS), "wall-clock"),
        (End(7, LIMITS), "crashed"),
        (End(1, LIMITS, reported=Problem(fault="yours", code="limits.memory", message="m")), "out-of-memory"),
        (End(1, LIMITS, reported=Problem(fault="yours", code="model.bad", message="m"), stop_asked=True), "failed"),
    ],
)
def test_how_it_ended_follows_from_what_is_known(end, kind):
    outcome = judge(end)

    assert outcome.kind == kind
    assert (outcome.problem is None) == (kind in ("done", "stopped"))


def test_running_out_of_memory_says_how_much_and_what_helps():
    problem = judge(End(-signal.SIGKILL, LIMITS, kernel_killed=True, peak_memory_bytes=3 * GIB)).problem

    assert problem is not None
    assert "3 GiB" in problem.message and "smaller" in problem.hint


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("std::bad_alloc"), OSError(12, "Cannot allocate memory")]
)
def test_errors_of_want_of_memory_are_recognised(error):
    assert describe(error).code == "limits.memory"


@pytest.mark.parametrize("number", [27, 28, 122])
def test_errors_of_a_full_disk_are_recognised(number):
    assert describe(OSError(number, os.strerror(number))).code == "limits.disk"


def test_what_a_process_group_uses_agrees_with_psutil():
    held = "import time; x = b'x' * (80 << 20); print(flush=True); time.sleep(30)"
    process = subprocess.Popen(["python3", "-c", held], start_new_session=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        found, by_ps = usage.of_group(process.pid), usage._from_ps(process.pid)
        expected = psutil.Process(process.pid)

        assert (found.processes, by_ps.processes) == (1, 1)
        assert found.memory_bytes == pytest.approx(expected.memory_info().rss, rel=0.02)
        assert by_ps.memory_bytes == pytest.approx(expected.memory_info().rss, rel=0.02)
        assert found.peak_memory_bytes >= found.memory_bytes > 80 << 20
        assert found.seconds == pytest.approx(sum(expected.cpu_times()[:2]), abs=0.05)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("clock", "seconds"), [("00:07", 7), ("01:02:03", 3723), ("2-00:00:01", 172801), ("0:00.25", 0.25)]
)
def test_the_clock_of_ps_is_read(clock, seconds):
    assert usage._seconds(clock) == seconds


def test_the_size_of_a_folder_agrees_with_du(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(os.urandom(100_000))
    (tmp_path / "a" / "b" / "two").write_bytes(os.urandom(5_000))
    (tmp_path / "link").symlink_to("/usr")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)

    du = int(
        subprocess.run(["du", "-s", "-B1", tmp_path], capture_output=True, text=True, check=True).stdout.split()[0]
    )

    found = usage.folder_bytes(tmp_path)
    assert found is not None and found == pytest.approx(du, abs=3 * 4096)


def test_a_folder_nested_to_hide_its_size_has_none(tmp_path):
    deep = tmp_path
    for _ in range(60):
        deep = deep / "d"
        deep.mkdir()

    assert usage.folder_bytes(tmp_path) is None


def test_a_group_that_is_gone_uses_nothing():
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()

    assert usage.of_group(process.pid) == usage._from_ps(process.pid) == usage.Usage()
