"""``manage.py up`` for real: its processes, its server, its clean stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from compressionhub.env import ROOT
from compressionhub.site.valkey import free_port


@contextmanager
def site(data: Path, port: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HUB_") and name not in ("REDIS_URL", "DATABASE_URL")
    }
    environment["HUB_CALIBRATE"] = "0"
    command = [sys.executable, "manage.py", "up", "--data", str(data), "--port", str(port), "--no-demo", *more]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def said_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was never said: {''.join(lines)}")


def started_by(data: Path, *, at_least: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        held = [
            psutil.Process(pid)
            for pid, _ in json.loads((data / "run" / "pids.json").read_text())
            if psutil.pid_exists(pid)
        ]
        if len(held) >= at_least:
            return held
        time.sleep(0.1)
    raise AssertionError("not everything was started")


def fetch(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.status, response.read().decode()


def test_up_serves_a_page_and_stops_leaving_nothing(tmp_path):
    port = free_port()

    with site(tmp_path, port, "--no-worker") as process:
        lines = said_until(process, "It is shown this once")
        health, page = fetch(port, "/healthz"), fetch(port, "/sign-in/")
        held = started_by(tmp_path, at_least=4)  # itself, Valkey, web, relay
        process.send_signal(signal.SIGTERM)
        rest = said_until(process, "Stopped.")
        process.wait(20)

    assert health == (200, '{"status": "ok"}')
    assert page[0] == 200
    assert re.search(r"Sign in as admin with the password \S{16,}", "".join(lines))
    assert process.returncode == 0
    assert not any("starts again" in line for line in rest)
    assert [left for left in held if left.is_running()] == []
    assert not (tmp_path / "run" / "pids.json").exists()


def test_the_second_start_asks_for_nothing_and_prints_no_password(tmp_path):
    with site(tmp_path, free_port(), "--no-worker") as process:
        said_until(process, "It is shown this once")
        secrets = [tmp_path / "secret-key", tmp_path / "valkey" / "url", tmp_path / "valkey" / "valkey.conf"]
        modes = [oct(path.stat().st_mode & 0o777) for path in secrets]

    with site(tmp_path, free_port(), "--no-worker") as process:
        lines = said_until(process, "Ready after")

    assert not any("Preparing" in line or "password" in line for line in lines)
    assert modes == ["0o600"] * 3


def test_a_killed_site_leaves_nothing_and_starts_again(tmp_path):
    port = free_port()
    with site(tmp_path, port, "--no-worker") as process:
        said_until(process, "It is shown this once")
        held = started_by(tmp_path, at_least=4)
        process.kill()
        process.wait()
    if sys.platform == "linux":
        _, alive = psutil.wait_procs(held, timeout=10)
        assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []

    with site(tmp_path, port, "--no-worker") as process:
        said_until(process, "Ready after")

        assert fetch(port, "/healthz")[0] == 200


def test_two_sites_never_share_a_data_folder(tmp_path):
    with site(tmp_path, free_port(), "--no-worker") as first:
        said_until(first, "Ready after")

        with site(tmp_path, free_port()) as second:
            out, _ = second.communicate(timeout=20)

    assert second.returncode == 1
    assert out.count("\n") == 1
    assert "a site already runs on it" in out


def test_a_taken_port_is_one_sentence(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with site(tmp_path, port) as process:
            out, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert out.count("\n") == 1
    assert f"Expected port {port} to be free" in out


def test_a_crashed_program_comes_back(tmp_path):
    port = free_port()
    marks = {"web": "compressionhub.site.serve", "relay": "relay"}
    with site(tmp_path, port, "--no-worker") as process:
        said_until(process, "It is shown this once")
        for program, mark in marks.items():
            victim = running(tmp_path, mark)

            victim.kill()

            said_until(process, f"{program} ended (signal SIGKILL)")
            assert running(tmp_path, mark).pid != victim.pid
        assert fetch(port, "/healthz")[0] == 200


def running(data: Path, mark: str) -> psutil.Process:
    """The process with this word in its command, once it is more than the tether that becomes it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for each in started_by(data, at_least=3):
            with suppress(psutil.NoSuchProcess):
                if mark in (words := each.cmdline()) and not any("tether" in word for word in words):
                    return each
        time.sleep(0.1)
    raise AssertionError(f"{mark} does not run")


def test_nobody_else_on_the_machine_can_read_what_the_site_writes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with site(data, free_port()) as process:
        said_until(process, "Ready after")
        started_by(data, at_least=4)

        open_to_others = [path.name for path in (data, *data.iterdir()) if path.stat().st_mode & 0o077]

    assert open_to_others == []
