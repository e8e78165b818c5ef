"""A site of its own for a figure: a temporary folder, the real ``up``, and this process as a guest in its database."""

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from compressionhub.env import ROOT
from compressionhub.site.valkey import free_port

T = TypeVar("T")
PATIENCE_SECONDS = 300.0
FOREIGN = ("REDIS_URL", "DATABASE_URL")


@dataclass
class Stage:
    """A running site. ``password`` is known after its first start only."""

    data: Path
    port: int
    process: subprocess.Popen[str]
    password: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """One request with this guest's cookies; the answer is read to its end."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": f"localhost:{self.port}", "Cookie": self.cookie_line, **(headers or {})}
        line.request(method, path, body=body, headers=sent)
        answer = line.getresponse()
        answer.text = answer.read().decode(errors="replace")  # type: ignore[attr-defined]
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        line.close()
        return answer

    @property
    def cookie_line(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def sign_in(self) -> None:
        """Sign in as the first person, like a browser would."""
        page: Any = self.ask("GET", "/sign-in/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        form = {"username": "admin", "password": self.password, "csrfmiddlewaretoken": token.group(1) if token else ""}
        answer = self.ask("POST", "/sign-in/", urllib.parse.urlencode(form).encode(), self.form_headers)
        if answer.status != 302:
            raise RuntimeError(f"signing in gave {answer.status}")

    @property
    def form_headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://localhost:{self.port}",
            "X-CSRFToken": self.cookies.get("csrftoken", ""),
        }

    def web(self) -> psutil.Process:
        """The process that serves the pages."""
        for child in psutil.Process(self.process.pid).children():
            if "compressionhub.site.serve" in child.cmdline():
                return child
        raise RuntimeError("the web process does not run")

    def enter(self) -> None:
        """Let this process use the site's database and queue, as one more web process would."""
        os.environ["HUB_DATA"] = str(self.data)
        os.environ["REDIS_URL"] = (self.data / "valkey" / "url").read_text().strip()
        os.environ["DJANGO_SETTINGS_MODULE"] = "compressionhub.settings"
        import django

        django.setup()


@contextmanager
def site(*options: str, data: Path | None = None) -> Iterator[Stage]:
    """Start a site without the sample team and stop it afterwards; everything it wrote goes away."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as made:
        folder, port = data or Path(made), free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HUB_") and k not in FOREIGN}
        command = [sys.executable, "manage.py", "up", "--no-demo", "--data", str(folder), "--port", str(port), *options]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        stage = Stage(folder, port, process)
        try:
            _read_until_ready(stage)
            yield stage
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _read_until_ready(stage: Stage) -> None:
    assert stage.process.stdout is not None
    said = []
    for line in stage.process.stdout:
        said.append(line)
        if found := re.search(r"with the password (\S+)", line):
            stage.password = found.group(1)
        first = any("Preparing" in each for each in said)
        if "shown this once" in line or ("Ready after" in line and not first):
            return
    raise RuntimeError(f"the site did not start: {''.join(said[-5:])}")


def until(ask: Callable[[], T | None], what: str, *, every: float = 0.1) -> T:
    """Ask again and again until there is an answer.

    Raises:
        TimeoutError: after five minutes.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(every)
    raise TimeoutError(f"{what} did not happen within {PATIENCE_SECONDS:.0f} s")
