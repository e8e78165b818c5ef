"""``python3 manage.py lint``: every check that needs no test, one after the other; all run, the first failure decides.

Each check is a command of its own, so that one may also be run alone.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from compressionhub.env import ROOT

PYTHON = sys.executable
CHECKS: dict[str, list[str]] = {
    "style": [PYTHON, "-m", "ruff", "check", "."],
    "types": [PYTHON, "-m", "mypy", "workers", "compressionhub"],
    "imports": [str(Path(PYTHON).with_name("lint-imports")), "--no-logo"],
    "system": [PYTHON, "manage.py", "check", "--fail-level", "WARNING"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    "templates": [PYTHON, "manage.py", "compile_templates"],
    "settings page": [PYTHON, "manage.py", "settings_page", "--check"],
}


def main(argv: list[str]) -> int:
    """Run the checks, or only those named.

    Returns:
        0 if all pass, else 1.
    """
    chosen = argv or list(CHECKS)
    if unknown := [name for name in chosen if name not in CHECKS]:
        print(f"Expected one of {', '.join(CHECKS)}, found {', '.join(unknown)}.", file=sys.stderr)
        return 2
    failed = [name for name in chosen if not _passes(name)]
    print(f"Failed: {', '.join(failed)}" if failed else "All checks pass.")
    return 1 if failed else 0


def _passes(name: str) -> bool:
    began = time.monotonic()
    environment = {**os.environ, "HUB_DEBUG": os.environ.get("HUB_DEBUG", "1")}
    done = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    good = done.returncode == 0
    print(f"{'ok  ' if good else 'FAIL'} {name} ({time.monotonic() - began:.1f} s)", flush=True)
    if not good:
        print(done.stdout, flush=True)
    return good
