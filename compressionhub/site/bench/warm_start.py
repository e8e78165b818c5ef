"""From the command to the first page, on a site that has run before."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

from compressionhub.env import ROOT
from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import FOREIGN, site
from compressionhub.site.valkey import free_port

TITLE = "warm start to first page served"
REACH_SECONDS = 3.0
TIMES = 3


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as made:
        with site("--no-worker", data=Path(made)):
            pass
        taken = median(_start(Path(made)) for _ in range(TIMES))
    return [Figure(TITLE, f"{taken:.2f} s (median of {TIMES})", f"<= {REACH_SECONDS:.0f} s", taken <= REACH_SECONDS)]


def _start(data: Path) -> float:
    """Seconds from starting ``up``, whole and with its worker, to the sign-in page in hand."""
    port, began = free_port(), time.monotonic()
    command = [sys.executable, "manage.py", "up", "--no-demo", "--data", str(data), "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HUB_") and k not in FOREIGN}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _page(port):
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait(60)


def _page(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5) as response:
            return b"</html>" in response.read()
    except (urllib.error.URLError, OSError):
        return False
