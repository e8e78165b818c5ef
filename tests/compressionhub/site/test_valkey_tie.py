"""The embedded server does not outlive whoever started it, however that ended."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

STARTS_AND_WAITS = """
import sys, time
from pathlib import Path
from compressionhub.site.valkey import Valkey
server = Valkey(Path(sys.argv[1]))
server.start()
print(server.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the tie is the Linux kernel's")
def test_the_server_ends_with_a_process_that_is_killed(tmp_path: Path):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    server = psutil.Process(int(starter.stdout.readline()))
    was_alive = server.is_running()

    starter.kill()
    starter.wait()

    deadline = time.monotonic() + 10
    while psutil.pid_exists(server.pid) and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert was_alive and (not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
