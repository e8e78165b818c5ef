"""``python3 manage.py up``: the whole site under one supervisor.

Loads neither Django nor a tensor library: what it starts does.
"""

import argparse
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil

from compressionhub import env
from compressionhub.site.ground import MIB, CannotStart, listen, require_room, require_writable
from compressionhub.site.supervisor import Program, Supervisor, clean_up
from compressionhub.site.valkey import NoValkey, Valkey
from workers import node

LEAST_FREE_BYTES = 500 * MIB
HEALTHY_WITHIN_SECONDS = 60.0
SECRETS = ("DATABASE_URL", "HUB_SECRET_KEY", "HUB_METRICS_TOKEN")
HUB = Path(__file__).resolve().parent.parent


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Run the whole site: web, relay, worker and Valkey."
    )
    parser.add_argument("--port", type=int, default=8000, help="the port of the site (8000)")
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens on; 0.0.0.0 for all (127.0.0.1)")
    parser.add_argument("--data", type=Path, help="the folder of everything the site writes (HUB_DATA or ./var)")
    parser.add_argument("--no-worker", action="store_true", help="leave the worker out: others do the jobs")
    parser.add_argument("--profile", metavar="KEY", help="which device profile this host is; see 'workers devices'")
    parser.add_argument("--no-demo", action="store_true", help="do not fill the sample team at the first start")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the site until asked to stop.

    Returns:
        The exit status: 0 after a clean stop, 1 if the site could not start.
    """
    options = arguments(argv)
    if options.data:
        os.environ["HUB_DATA"] = str(options.data.expanduser().resolve())
    if options.profile:
        os.environ["HUB_PROFILE"] = options.profile
    try:
        Site(options).run()
    except (CannotStart, NoValkey, env.BadVariable) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


class Site:
    """One data folder and the processes that work on it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.data = env.DATA.read()
        self.began = time.monotonic()
        self.first_password: dict[str, str] | None = None
        self.valkey: Valkey | None = None
        self.healthy = False

    def run(self) -> None:
        os.umask(0o077)  # database, uploads and logs are for the account that runs the site; children inherit this
        require_writable(self.data)
        require_room(self.data, LEAST_FREE_BYTES)
        runs = self.data / "run"
        runs.mkdir(exist_ok=True, mode=0o700)
        with only_one(runs / "lock"):
            left = clean_up(runs / "pids.json")
            self.supervisor = Supervisor(runs / "pids.json", out=lambda line: print(line, flush=True))
            if left:
                self.supervisor.say("site", f"Ended {left} process(es) that an earlier start had left behind.")
            with listen(self.options.host, self.options.port) as taken:
                self._work(taken)

    def _work(self, taken: socket.socket) -> None:
        self.supervisor.catch_signals()
        try:
            self._start_valkey()
            self.env = self._environment()
            self._prepare()
            if not self.supervisor.stopping:
                self._start_web(taken)
                self.supervisor.later(0.05, self._until_healthy)
                self.supervisor.run()
        finally:
            self.supervisor.stop()
            self.supervisor.say("site", "Stopped.")

    def _start_valkey(self) -> None:
        """Use the server of ``REDIS_URL``, or start one of our own that is stopped last."""
        if os.environ.get("REDIS_URL"):
            return
        self.valkey = Valkey(self.data / "valkey")
        port, password = self.valkey.configure()
        self.supervisor.add(Program("valkey", self.valkey.command(), dict(os.environ), rank=9))
        self.valkey.wait(port, password)

    def _environment(self) -> dict[str, str]:
        found = {**os.environ, "DJANGO_SETTINGS_MODULE": "compressionhub.settings", "PYTHONUNBUFFERED": "1"}
        found |= {"HUB_DATA": str(self.data), "HUB_STORE": str(env.STORE.read()), "REDIS_URL": env.REDIS_URL.read()}
        if "HUB_HOSTS" not in os.environ and self.options.host not in env.HOSTS.read():
            found["HUB_HOSTS"] = ",".join([*env.HOSTS.read(), self.options.host, *names_of_this_machine()])
        return found

    def _prepare(self) -> None:
        """Migrate, collect static files and make the first person, unless nothing changed since that was last done."""
        stamp = self.data / "run" / "prepared"
        wanted = fingerprint()
        if not os.environ.get("DATABASE_URL") and (self.data / "hub.sqlite3").exists() and _read(stamp) == wanted:
            return
        self.supervisor.say("site", "Preparing the database and the pages ...")
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            cwd=env.ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotStart(
                "Preparing the database stopped; the reason stands above. "
                "Put it right and start again: nothing is lost."
            )
        self.first_password = json.loads(done.stdout.splitlines()[-1])
        stamp.write_text(wanted)
        if self.first_password and not self.options.no_demo:
            (self.data / "run" / "demo-wanted").touch()

    def _start_web(self, taken: socket.socket) -> None:
        command = [sys.executable, "-m", "compressionhub.site.serve", "--fd", str(taken.fileno())]
        self.supervisor.add(Program("web", command, self.env, rank=2, pass_fds=(taken.fileno(),)))

    def _until_healthy(self) -> None:
        if self.healthy:
            return
        self.healthy = answers(self.address + "healthz", self.options.port)
        if self.healthy or time.monotonic() - self.began > HEALTHY_WITHIN_SECONDS:
            self._greet()
            self._start_the_rest()
        else:
            self.supervisor.later(0.03, self._until_healthy)

    @property
    def address(self) -> str:
        """Where the site answers, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.options.host, self.options.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.options.port}/"

    def _greet(self) -> None:
        self.supervisor.say("site", f"Ready after {time.monotonic() - self.began:.1f} s: {self.address}")
        if self.first_password:
            self.supervisor.say(
                "site", f"Sign in as {self.first_password['user']} with the password {self.first_password['password']}"
            )
            self.supervisor.say("site", "It is shown this once and stored nowhere; change it under Account.")
        self.first_password = None

    def _start_the_rest(self) -> None:
        python = sys.executable
        self.supervisor.add(Program("relay", [python, "manage.py", "relay"], self.env, rank=1))
        if not self.options.no_worker:
            without = {name: value for name, value in self.env.items() if name not in SECRETS}
            # an edge queue costs nothing until somebody chooses a device, and a newcomer should be able to
            without.setdefault("HUB_QUEUES", "cpu,gpu,edge" if node.gpu() else "cpu,edge")
            self.supervisor.add(Program("worker", [python, "-m", "workers", "work"], without, rank=0))
        wanted = self.data / "run" / "demo-wanted"
        if wanted.exists() and any(HUB.glob("*/management/commands/seed_demo.py")):
            self.supervisor.add(
                Program(
                    "demo", [python, "manage.py", "seed_demo"], self.env, keep=False, on_end=_forget_when_done(wanted)
                )
            )


def _forget_when_done(wanted: Path) -> Callable[[int], None]:
    def ended(status: int) -> None:
        if status == 0:
            wanted.unlink(missing_ok=True)

    return ended


class only_one:
    """Holds a lock file, so that two sites never work on one data folder.

    Raises:
        CannotStart: if another one does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[Any] | None = None

    def __enter__(self) -> None:
        self.file = self.path.open("a+")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Expected to be alone on {self.path.parent.parent}, found that a site already runs on it: "
                "use that one, or another folder with --data."
            ) from None

    def __exit__(self, *error: object) -> None:
        assert self.file is not None
        self.file.close()


def names_of_this_machine() -> list[str]:
    """Its host name and the addresses of its network cards, IPv6 in brackets as a browser writes them."""
    families = {socket.AF_INET: "{}", socket.AF_INET6: "[{}]"}
    cards = [address for card in psutil.net_if_addrs().values() for address in card]
    found = [families[card.family].format(card.address.partition("%")[0]) for card in cards if card.family in families]
    return [socket.gethostname(), *found]


def fingerprint() -> str:
    """Changes whenever the database may need a migration or a static file is new."""
    total = hashlib.sha256(str(sys.version_info[:2]).encode())
    watched = [
        *HUB.glob("*/migrations/*.py"),
        *(HUB.parent / "frontend" / "static").rglob("*"),
        HUB / "requirements.txt",
    ]
    for path in sorted(watched):
        found = path.stat()
        total.update(f"{path}:{found.st_size}:{found.st_mtime_ns}".encode())
    return total.hexdigest()


def answers(address: str, port: int) -> bool:
    """Whether the site says that it is well, or at least answers."""
    request = urllib.request.Request(address, headers={"Host": f"localhost:{port}"})
    try:
        with urllib.request.urlopen(request, timeout=1) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
