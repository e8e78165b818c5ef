"""The supervisor, with small real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from compressionhub.site.supervisor import LONGEST_PAUSE, Program, Supervisor, clean_up, ending


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, lines: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "pids.json", out=lines.append)
    yield made
    made.stop()


def python(name: str, script: str, **more: object) -> Program:
    return Program(name, [sys.executable, "-u", "-c", script], dict(os.environ), **more)  # type: ignore[arg-type]


def until(supervisor: Supervisor, reached: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "did not happen in time"
        supervisor.turn(0.02)


def test_lines_carry_the_name_of_their_program(supervisor, lines):
    supervisor.add(python("one", "print('hello'); print('no newline', end='')", keep=False))

    until(supervisor, lambda: not supervisor.programs)

    assert lines == ["one    | hello", "one    | no newline"]


def test_a_program_that_ends_is_started_again_and_waits_longer_each_time(supervisor, lines):
    program = python("short", "raise SystemExit(3)", pause=0.05)
    supervisor.add(program)

    until(supervisor, lambda: sum("starts again" in line for line in lines) >= 3)

    assert [line.rpartition(" in ")[2] for line in lines if "starts again" in line][:3] == [
        "0.05 s.",
        "0.1 s.",
        "0.2 s.",
    ]
    assert "short ended (status 3)" in lines[0]


def test_the_pause_has_an_upper_end(supervisor, lines):
    program = python("short", "pass", pause=LONGEST_PAUSE)
    supervisor.add(program)

    until(supervisor, lambda: bool(lines))

    assert program.pause == LONGEST_PAUSE


def test_lower_ranks_are_stopped_first(supervisor, lines):
    script = (
        "import signal, sys, time\ndef bye(*_):\n    print('bye'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('up')\nwhile True: time.sleep(0.05)"
    )
    supervisor.add(python("last", script, rank=5))
    supervisor.add(python("first", script, rank=1))
    until(supervisor, lambda: len(lines) == 2)

    supervisor.stop()

    assert lines[2:] == ["first  | bye", "last   | bye"]


def test_stopping_also_ends_what_a_program_left_in_its_session(supervisor, lines):
    script = (
        "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid)\np.wait()"
    )
    supervisor.add(python("parent", script))
    until(supervisor, lambda: bool(lines))
    grandchild = int(lines[0].rpartition(" ")[2])

    supervisor.stop()

    until(
        supervisor,
        lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the tie to the parent exists on Linux only")
def test_a_killed_supervisor_takes_its_programs_along(tmp_path):
    script = f"""
import os, sys
from pathlib import Path
from compressionhub.site.supervisor import Program, Supervisor
s = Supervisor(Path({str(tmp_path)!r}) / "pids.json", out=lambda line: None)
s.add(Program("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ)))
print(s.programs[0].process.pid, flush=True)
while True: s.turn(0.1)
"""
    boss = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert boss.stdout
    sleeper = psutil.Process(int(boss.stdout.readline()))
    time.sleep(0.5)  # the tie holds once the tether has become the program

    boss.kill()
    boss.wait()

    gone, _ = psutil.wait_procs([sleeper], timeout=5)
    assert gone or sleeper.status() == psutil.STATUS_ZOMBIE


def test_the_next_start_ends_what_was_left_behind(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    born = psutil.Process(left.pid).create_time()
    (tmp_path / "pids.json").write_text(f"[[{left.pid}, {born}]]")

    assert clean_up(tmp_path / "pids.json") == 1
    left.wait(5)
    assert not psutil.pid_exists(left.pid)


def test_a_stranger_with_a_reused_number_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (tmp_path / "pids.json").write_text(f"[[{stranger.pid}, 12345.0]]")

    assert clean_up(tmp_path / "pids.json") == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_endings_are_named():
    assert ending(2) == "status 2"
    assert ending(-9) == "signal SIGKILL"
