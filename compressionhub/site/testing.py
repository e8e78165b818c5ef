"""``python3 manage.py test``: the whole suite, or what pytest is told."""

import os
import subprocess
import sys

from compressionhub.env import ROOT


def main(argv: list[str]) -> int:
    """Run pytest with these arguments.

    Returns:
        Its exit status.
    """
    # Named here, Django's settings would be read before tests/conftest.py has set their environment.
    ours = ("HUB_", "DJANGO_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run([sys.executable, "-m", "pytest", *argv], cwd=ROOT, env=environment, check=False).returncode
