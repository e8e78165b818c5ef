"""The cast of the hub's tests, and the processes of a small site, for tests that drive the hub with real parts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection

from compressionhub.accounts.models import Team, User
from compressionhub.env import ROOT
from compressionhub.fleet import valkey
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job
from compressionhub.library import actions as library
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.store import store
from compressionhub.site.valkey import free_port
from tests.compressionhub.conftest import bob, hub_folders, other_team, person, team
from workers.recipe import from_value

__all__ = ["bob", "hub_folders", "other_team", "person", "team"]

DIGITS = ROOT / "examples" / "digits"
T = Any


class Site:
    """The processes of a small site, except its web process: that is the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []

    def relay(self) -> subprocess.Popen[bytes]:
        return self._start(
            "django", "relay", DJANGO_SETTINGS_MODULE="compressionhub.settings", DATABASE_URL=database_url()
        )

    def web(self, port: int) -> subprocess.Popen[bytes]:
        """The web process, as soon as it answers."""
        hub = {"DJANGO_SETTINGS_MODULE": "compressionhub.settings", "DATABASE_URL": database_url(), "HUB_DEBUG": "1"}
        command = ("uvicorn", "compressionhub.asgi:application", "--port", str(port), "--log-level", "warning")
        process = self._start(*command, **hub)
        self.until(lambda: _answers(f"http://127.0.0.1:{port}/healthz"))
        return process

    def worker(self, name: str = "host") -> subprocess.Popen[bytes]:
        return self._start("workers", "work", HUB_NODE=name, HUB_SLOTS="1")

    def worker_elsewhere(self, address: str, name: str) -> subprocess.Popen[bytes]:
        """A worker that shares nothing with the hub: what ``worker_token`` prints is all it knows."""
        said = io.StringIO()
        call_command("worker_token", name, "--hub", address, stdout=said)
        told = dict(line.split("=", 1) for line in said.getvalue().splitlines())
        folders = {"HUB_STORE": "", "HUB_DATA": "", "HUB_CACHE": str(self.folder / name / "steps")}
        return self._start("workers", "work", HUB_SLOTS="1", **told, **folders)

    def _start(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{len(self.logs)}-{command[-1]}.log"
        self.logs.append(log)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": django_settings.REDIS_URL,
            "HUB_STORE": str(django_settings.STORE),
            "HUB_DATA": os.environ["HUB_DATA"],
            "HUB_CALIBRATE": "0",
            **more,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=ROOT, stdout=log.open("wb"), stderr=subprocess.STDOUT
        )
        self.running.append(process)
        return process

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def until(self, claim: Callable[[], T], *, seconds: float = 60) -> T:
        """Wait until a claim holds, and say what the processes said if it never does."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := claim():
                return found
            time.sleep(0.05)
        said = "\n".join(f"--- {log.name}\n{log.read_text()[-1500:]}" for log in self.logs)
        states = list(Job.objects.values_list("kind", "state", "attempt", "problem"))
        raise AssertionError(f"It did not happen within {seconds} s. Jobs: {states}\n{said}")

    def ended(self, job: Job, *, seconds: float = 90) -> Job:
        return self.until(lambda: Job.objects.ended().filter(pk=job.pk).first(), seconds=seconds)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def port() -> int:
    return free_port()


def database_url() -> str:
    """The address of the tests' own database, for other processes."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{Path(values['NAME']).resolve()}".replace("////", "///")
    return (
        f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT'] or 5432}/{values['NAME']}"
    )


@pytest.fixture
def site(tmp_path: Path, settings) -> Iterator[Site]:
    valkey.client().flushdb()
    made = Site(tmp_path)
    yield made
    made.stop()
    valkey.client().flushdb()


@pytest.fixture
def inputs(tmp_path: Path, team: Team, bob: User) -> tuple[ModelVersion, Dataset]:
    """The digits network and data, uploaded by Bob; their inspections are queued."""
    version = library.add_model(team=team, by=bob, name="digits-cnn", blob=_blob(DIGITS / "digits-cnn.onnx", tmp_path))
    dataset = library.add_dataset(team=team, by=bob, name="digits", blob=_blob(DIGITS / "digits.npz", tmp_path))
    return version, dataset


def _blob(path: Path, folder: Path) -> Any:
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    return store().put(copy, name=path.name)


@pytest.fixture
def ready(site: Site, inputs: tuple[ModelVersion, Dataset], bob: User) -> Callable[..., Job]:
    """Wait for the files, confirm the contract, and submit a recipe: ``ready("tidy", "static-int8")``."""

    def submit(*slugs: str, **changes: Any) -> Job:
        version, dataset = inputs
        site.until(lambda: ModelVersion.objects.get().is_ready and Dataset.objects.get().is_ready)
        version, dataset = ModelVersion.objects.get(), Dataset.objects.get()
        if not version.is_confirmed:
            version = library.confirm_contract(version=version, by=bob)
        recipe = from_value([{"technique": slug} for slug in slugs or ("magnitude-pruning", "static-int8")])
        return actions.submit(by=bob, team=version.team, version=version, dataset=dataset, recipe=recipe, **changes)

    return submit
