"""Landlock: a process gives up, for good, every file it does not name. No root needed; Linux 5.13 and newer.

Rights and system calls are those of the kernel's ``Documentation/userspace-api/landlock.rst``.
Landlock does not hide that a file exists, its size or its times; it stops opening, changing,
creating, linking and removing.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
FOR_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE

RIGHTS_IN_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
RIGHTS_SINCE_ABI_5 = 16
BIND_AND_CONNECT_TCP = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
NO_NEW_PRIVILEGES = 38


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock this kernel offers, 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, 0, 1)))


def threads() -> int:
    """How many threads this process has; Landlock binds only the calling one and what it starts later."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _every_right(version: int) -> int:
    return (1 << RIGHTS_IN_ABI.get(version, RIGHTS_SINCE_ABI_5)) - 1


def _ruleset(version: int) -> int:
    """A new rule set that handles every right the kernel knows; what no rule grants is refused."""
    words = [_every_right(version), BIND_AND_CONNECT_TCP, ABSTRACT_SOCKETS_AND_SIGNALS]
    known = 1 if version < 4 else 2 if version < 6 else 3
    attributes = struct.pack("Q" * known, *words[:known])
    return _checked(_libc().syscall(CREATE_RULESET, attributes, len(attributes), 0), "create a Landlock rule set")


def _checked(result: int, doing: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"could not {doing}")
    return result


def _grant(ruleset: int, path: Path, rights: int) -> None:
    """Add one rule; a path that does not exist needs none."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not os.path.isdir(path):
            rights &= FOR_A_FILE
        rule = struct.pack("=Qi", rights, beneath)
        _checked(_libc().syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0), f"allow {path}")
    finally:
        os.close(beneath)


def restrict(*, readable: Sequence[Path], writable: Sequence[Path]) -> int:
    """Bind this thread, and what it starts, to the named files and folders.

    Args:
        readable: may be read and executed, with everything below.
        writable: may be changed too.

    Returns:
        The Landlock version in force; 0 where the kernel has none and nothing happened.

    Raises:
        OSError: if the kernel has Landlock but refuses the rules.
    """
    version = abi()
    if not version:
        return 0
    ruleset = _ruleset(version)
    try:
        for path in readable:
            _grant(ruleset, path, READ)
        for path in writable:
            _grant(ruleset, path, _every_right(version))
        _checked(_libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "give up new privileges")
        _checked(_libc().syscall(RESTRICT_SELF, ruleset, 0), "enter the Landlock domain")
    finally:
        os.close(ruleset)
    return version
