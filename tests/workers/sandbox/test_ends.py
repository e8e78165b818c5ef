"""How a child ends: by its limits, by a fault, by a stop; and that nothing of it is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.workers.sandbox.processes import gone_within, group_is_empty
from tests.workers.sandbox.world import LIMITS, MIB, ORDERS, QUICK
from workers.events import Log
from workers.sandbox import AloneOver, AloneWanted, Nursery, Tick
from workers.ticket import Order


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_DATA")
def test_one_huge_allocation_ends_as_out_of_memory(run):
    outcome = run("balloon").outcome

    assert outcome.kind == "out-of-memory"
    assert outcome.problem is not None and "over 1 GiB" in outcome.problem.message and outcome.problem.hint


def test_memory_spread_over_processes_ends_as_out_of_memory(run):
    ran = run("balloon_in_native_code", limits=LIMITS.model_copy(update={"memory_bytes": 400 * MIB}))

    assert ran.outcome.kind == "out-of-memory"
    assert ran.outcome.peak_memory_bytes > 400 * MIB


@pytest.mark.parametrize("deed", ["spin", "spin_in_c", "sleep_for_ever", "stand_still"])
def test_endless_work_ends_with_the_wall_clock(run, deed):
    ran = run(deed, limits=QUICK)

    assert ran.outcome.kind == "wall-clock"
    assert ran.seconds < 4


def test_one_file_beyond_the_disk_limit_is_refused(run):
    assert run("write_one_big_file").text.startswith("refused: OSError 27")


def test_many_files_beyond_the_disk_limit_end_the_child(run):
    outcome = run("write_many_files").outcome

    assert outcome.kind == "failed"
    assert outcome.problem is not None and outcome.problem.code == "limits.disk"


@pytest.mark.parametrize("deed", ["flood_events", "flood_text", "one_endless_line"])
def test_a_flood_of_output_ends_the_child(run, deed):
    assert run(deed).outcome.kind == "flood"


def test_a_fork_bomb_is_ended_whole(run):
    ran = run("fork_bomb")

    assert ran.outcome.kind in ("flood", "out-of-memory")
    assert group_is_empty(ran.group)


def test_what_outlives_the_child_is_ended_with_it(run):
    ran = run("outlive_the_leader")

    assert ran.outcome.kind == "done"
    assert group_is_empty(ran.group)


def test_a_segmentation_fault_is_a_crash_with_a_reason(run):
    outcome = run("touch_nothing").outcome

    assert outcome.kind == "crashed"
    assert outcome.problem is not None and "segmentation fault" in outcome.problem.message


def test_ending_without_a_word_is_a_crash(run):
    assert run("end_without_a_word").outcome.kind == "crashed"


def test_it_cannot_speak_for_the_worker(run):
    outcome = run("claim_to_be_the_worker").outcome

    assert outcome.kind == "crashed"
    assert outcome.problem is not None and outcome.problem.code == "child.garbled"


def test_what_is_printed_does_not_reach_the_protocol(run):
    ran = run("print_to_stdout")

    assert (ran.outcome.kind, ran.text) == ("done", "value: kept apart")


@pytest.mark.parametrize(("fault", "code"), [("yours", "model.picture"), ("ours", "host.no-disk")])
def test_an_error_raised_on_purpose_arrives_whole(run, fault, code):
    outcome = run(fault).outcome

    assert outcome.kind == "failed"
    assert outcome.problem is not None and (outcome.problem.fault, outcome.problem.code) == (fault, code)


def test_an_unexpected_error_is_ours_and_names_no_folder(run):
    problem = run("unexpected").outcome.problem

    assert problem is not None and (problem.fault, problem.code) == ("ours", "engine.crashed")
    assert "ZeroDivisionError" in problem.message and "secret" not in problem.message


def test_whoever_times_for_ever_lets_the_others_go_on(begin):
    child = begin("time_for_ever", limits=LIMITS.model_copy(update={"alone_seconds": 1}))

    for message in child.messages(tick=0.1):
        if isinstance(message, AloneWanted):
            child.go()
    ended = child.outcome()

    assert (ended.kind, ended.problem.code) == ("wall-clock", "limits.alone")


def test_timing_alone_waits_for_permission(begin):
    child, said = begin("time_alone"), []

    for message in child.messages(tick=0.1):
        said.append(message)
        if isinstance(message, Tick) and said.count(AloneWanted()) > said.count(AloneOver()):
            child.go()

    kinds = [type(item).__name__ for item in said if not isinstance(item, Tick)]
    assert kinds == ["AloneWanted", "Log", "AloneOver", "Log"]
    assert child.outcome().kind == "done"


def test_a_stop_is_heard_between_two_batches(begin):
    child = begin("count_to_the_stop")
    for message in child.messages():
        if isinstance(message, Log):
            asked = time.monotonic()
            child.stop()

    assert time.monotonic() - asked < 0.9
    assert child.outcome().kind == "stopped"


@pytest.mark.parametrize("deed", ["spin_in_c", "sleep_for_ever", "stand_still"])
def test_a_stop_also_ends_what_does_not_listen(begin, deed):
    child = begin(deed)
    timer = threading.Timer(0.5, child.stop, kwargs={"grace": 0.3})
    timer.start()

    for _ in child.messages(tick=0.1):
        pass

    assert child.outcome().kind == "stopped"
    timer.join()


def test_a_suspended_child_does_nothing_and_its_clock_stands(begin):
    child = begin("talk_and_work", limits=QUICK)
    messages = child.messages(tick=0.1)
    next(message for message in messages if isinstance(message, Log))

    child.suspend()
    quiet = [next(messages) for _ in range(12)]
    child.resume()
    rest = [message for message in messages if isinstance(message, Log)]

    assert all(isinstance(message, Tick) for message in quiet[1:])
    assert rest[-1].text == "4"
    assert child.outcome().kind == "done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_killed_by_an_outsider_is_a_lost_attempt(begin, number):
    child = begin("sleep_for_ever" if number == signal.SIGKILL else "count_to_the_stop")
    messages = child.messages(tick=0.1)
    next(messages)

    os.kill(child.pid, number)

    assert all(isinstance(message, Tick) for message in messages)
    assert child.outcome().kind == "killed"


def test_a_child_ends_when_its_parent_is_killed(work):
    code = f"""
import sys, time
from pathlib import Path
from workers.sandbox import Child
from workers.ticket import Limits, Order
child = Child.spawn(preload="none", perform={ORDERS!r})
child.begin(Order(kind="inspect", device="spin_in_c"), folder=Path({str(work)!r}), readable=[], limits=Limits())
print(child.pid, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.5)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert gone_within(3, child)


def test_a_tick_tells_what_is_used(run):
    ticks = [message for message in run("spin", limits=QUICK).said if isinstance(message, Tick)]

    assert max(tick.cpu_percent for tick in ticks) > 30
    assert all(10 * MIB < tick.memory_bytes <= tick.peak_memory_bytes for tick in ticks[1:-1])


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_child_that_waits_with_torch_learns_under_the_rules_and_had_no_thread_before_them(run):
    # the listening thread is ours and starts under the rules
    ran = run("take_a_training_step", preload="torch")

    assert ran.text == "value: loaded True, learnt True, other threads 0"


def test_a_nursery_hands_out_a_warm_child_and_warms_the_next(work):
    with Nursery(preload="none", perform=ORDERS) as nursery:
        first = nursery.take()
        second = nursery.take()
        first.begin(Order(kind="inspect", device="print_to_stdout"), folder=work, readable=[], limits=LIMITS)
        said = [message for message in first.messages() if isinstance(message, Log)]

        assert (first.pid != second.pid, len(said), first.outcome().kind) == (True, 1, "done")
        second.close()


def test_a_nursery_replaces_a_spare_that_died():
    with Nursery(preload="none", perform=ORDERS) as nursery:
        spare = nursery._spare
        assert spare is not None
        spare.close()

        child = nursery.take()

        assert child.lives and child.pid != spare.pid
        child.close()
