"""``python3 manage.py test``: the whole suite, or what pytest is told."""

import os
import subprocess
import sys

from compressionhub.env import ROOT

# What keeps to itself runs in several processes; what runs a whole site or ends workers has the machine to itself.
SIDE_BY_SIDE = ("-m", "not alone", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")
ONE_BY_ONE = ("-m", "alone")


def main(argv: list[str]) -> int:
    """Run pytest with these arguments; without any, the whole suite in two parts.

    Returns:
        Its exit status; of two, the first that is not 0.
    """
    parts = [argv] if argv else [[*SIDE_BY_SIDE], [*ONE_BY_ONE]]
    return next((status for status in [_pytest(part) for part in parts] if status), 0)


def _pytest(argv: list[str]) -> int:
    # Named here, Django's settings would be read before tests/conftest.py has set their environment.
    ours = ("HUB_", "DJANGO_")
    kept = ("HUB_AARCH64",)  # names what the host has, and settles nothing about the site
    environment = {name: value for name, value in os.environ.items() if name in kept or not name.startswith(ours)}
    if "-n" in argv:
        environment.setdefault("OMP_NUM_THREADS", "1")  # every process would otherwise take all cores
    command = [sys.executable, "-m", "pytest", "--durations", "10", *argv]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
