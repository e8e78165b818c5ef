"""What has to hold before a site can start, each with one clear sentence if it does not. Standard library only."""

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path

MIB = 1 << 20


class CannotStart(RuntimeError):
    """Why the site cannot start: what was expected, what was found, what would help."""


def require_writable(folder: Path) -> None:
    """See that files can be made in ``folder``; makes the folder.

    Raises:
        CannotStart: if they cannot, also because the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)
    except OSError as error:
        raise CannotStart(_why_not_writable(folder, error)) from None


def _why_not_writable(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Expected room to write in {folder}, found a full disk: "
            "free some space or choose another folder with --data."
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return f"Expected a folder at {folder}, found a file: move it away or choose another folder with --data."
    return (
        f"Expected to be allowed to write in {folder}, found that {_whoami()} is not: "
        "change its owner or choose another folder with --data."
    )


def _whoami() -> str:
    return f"user {os.environ.get('USER') or os.getuid()}"


def require_room(folder: Path, wanted_bytes: int) -> None:
    """See that the disk of ``folder`` has room.

    Raises:
        CannotStart: if less than ``wanted_bytes`` are free.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise CannotStart(
            f"Expected {wanted_bytes // MIB:,} MB free on the disk of {folder}, found {free // MIB:,} MB: "
            "free some space and try again."
        )


def listen(host: str, port: int) -> socket.socket:
    """Take the port of the site before anything else is started.

    Raises:
        CannotStart: if somebody has it, or it may not be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(2048)
    except OSError as error:
        raise CannotStart(_why_not_listening(host, port, error)) from None
    taken.set_inheritable(True)
    return taken


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Expected port {port} to be free, found another program on it: "
            f"stop that one or choose another, for example --port {port + 1}."
        )
    if error.errno == errno.EACCES:
        return (
            f"Expected to be allowed to use port {port}, found that {_whoami()} is not: "
            "choose one above 1023, for example --port 8000."
        )
    return (
        f"Expected an address of this machine, found {host!r} ({error.strerror}): "
        "leave --host out, or use 0.0.0.0 for all of them."
    )
