"""A device's memory as a cap: the kernel's own counting where it lets this process have a group."""

import subprocess
import sys
from pathlib import Path

import pytest

from workers.emulation import limits

MIB = 1 << 20
TAKE = "import sys; sys.stdin.readline(); held = bytearray(b'1') * (int(sys.argv[1]) << 20); print(len(held))"


def take(mebibytes: int, group: limits.Cap) -> int:
    """The exit status of a process that enters a group and then takes memory."""
    taker = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", TAKE, str(mebibytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    group.enter(taker.pid)
    taker.communicate(b"go\n")
    return taker.returncode


needs_a_group = pytest.mark.skipif(
    limits.means() == "RLIMIT_DATA",
    reason="this process may make no memory control group: the kernel's own cap is NOT tested",
)


@needs_a_group
def test_what_a_process_takes_is_charged_and_its_group_is_gone_afterwards():
    with limits.cap(256 * MIB) as group:
        status = take(64, group)
        charged = group.charged()

    assert status == 0
    assert 64 * MIB <= charged.peak_bytes <= 90 * MIB
    assert not charged.killed
    assert not group.folder.exists()


@needs_a_group
def test_a_process_that_takes_more_is_ended_and_counted_as_such():
    with limits.cap(64 * MIB) as group:
        status = take(200, group)
        charged = group.charged()

    assert status == -9
    assert charged.killed
    assert charged.peak_bytes <= 64 * MIB


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A made-up control group file system; ``line`` is what the kernel says of this process."""

    def make(line: str) -> Path:
        (tmp_path / "own").write_text(line + "\n")
        monkeypatch.setattr(limits, "OWN", tmp_path / "own")
        monkeypatch.setattr(limits, "ROOT", tmp_path / "groups")
        (tmp_path / "groups").mkdir()
        return tmp_path / "groups"

    return make


def test_without_a_group_of_its_own_the_cap_is_a_limit_of_the_process(kernel):
    kernel("0::/user.slice")

    with limits.cap(64 * MIB) as group:
        assert (group.means, group.folder, group.charged()) == ("RLIMIT_DATA", None, None)
        group.enter(1)


def test_version_2_is_read_from_its_own_files(kernel):
    folder = kernel("0::/worker") / "made"
    folder.mkdir()
    for name, said in (
        ("memory.peak", "1234\n"),
        ("memory.stat", "anon 1000\nfile 200\n"),
        ("memory.events", "low 0\noom 1\noom_kill 1\n"),
    ):
        (folder / name).write_text(said)

    charged = limits.Cap(means="cgroup v2", bytes=64 * MIB, folder=folder).charged()

    assert charged == limits.Charged(peak_bytes=1234, file_bytes=200, killed=True)
