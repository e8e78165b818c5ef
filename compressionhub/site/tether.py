"""Ties a process to its parent: ``python tether.py PARENT COMMAND…`` becomes COMMAND, which ends when PARENT does.

A small program of its own, because code between fork and exec is not safe once threads exist, and because
the tie survives exec: it holds for programs that are not Python as well. Linux only; elsewhere it just becomes COMMAND.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tied(command: Sequence[str]) -> list[str]:
    """The command line that becomes ``command`` and ends with the thread that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)  # the parent was gone before the tie held
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
