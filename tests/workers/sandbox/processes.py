"""Which processes still live."""

import os
import subprocess
import time


def group_is_empty(group: int) -> bool:
    """Whether nobody of the group lives. A busy machine may take a moment to end many killed processes."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        if all(_is_zombie(pid) for pid in _members(group)):
            return True
        time.sleep(0.05)
    return False


def _members(group: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if line.split()[1] == str(group)]


def _is_zombie(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state.strip() or state.strip().startswith("Z")


def gone_within(seconds: float, pid: int) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if _is_zombie(pid):
            return True
        time.sleep(0.05)
    return False
