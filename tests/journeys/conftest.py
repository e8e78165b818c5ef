"""A real browser on the real site: ``manage.py up`` in a folder of its own, with web, relay, worker and Valkey."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import ConsoleMessage, Page

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_SECONDS = 60
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str | None:
    """The browser named by CHROMIUM, or the first one on the path."""
    named = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((found for name in named if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    path = chromium()
    if path is None:
        told = "No Chromium: set CHROMIUM or install it. The pages were NOT tested in a browser."
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(told)
        pytest.skip(told)
    return {"executable_path": path, "args": FLAGS, "headless": True}


@dataclass
class Site:
    """The running site and what it printed."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    lines: list[str] = field(default_factory=list)

    @property
    def password(self) -> str:
        """The first password, as a newcomer reads it off the terminal."""
        found = re.search(r"password[^\w]*\s(\S+)", "\n".join(self.lines), re.IGNORECASE)
        assert found, "\n".join(self.lines)
        return found[1]

    def listen(self) -> None:
        assert self.process.stdout
        self.lines.extend(line.rstrip() for line in iter(self.process.stdout.readline, ""))

    def wait(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while not any(self.url in line for line in self.lines):
            assert self.process.poll() is None and time.monotonic() < deadline, "\n".join(self.lines)
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole site, empty, on a port of its own."""
    data, port = tmp_path_factory.mktemp("site"), free_port()
    ours = ("HUB_", "REDIS_URL", "DATABASE_URL", "DJANGO_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    site = Site(process, f"http://127.0.0.1:{port}", data)
    threading.Thread(target=site.listen, daemon=True).start()
    try:
        site.wait()
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser complained of: errors of scripts and every violation of the content security policy."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            heard.append(f"{page.url}: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(f"{page.url}: {error}"))
    return heard


@pytest.fixture
def signed_in(page: Page, site: Site, complaints: list[str]) -> Page:
    """A page on which the first admin is signed in."""
    page.set_default_timeout(20_000)
    page.goto(site.url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(site.url + "/")
    return page


def enter(page: Page, url: str, user: object) -> Client:
    """Sign somebody in on a hub that runs in this process; gives the same session for asking without a browser."""
    client = Client()
    client.force_login(user)
    cookies = [{"name": name, "value": one.value, "url": url} for name, one in client.cookies.items()]
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.set_default_timeout(20_000)
    return client
