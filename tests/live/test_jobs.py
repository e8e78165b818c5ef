"""A job through real parts: Valkey, relay, worker, sandboxed children; and what happens when one is killed.

Times are bounds of the product, not of this machine: a job whose worker is gone goes on within 45 seconds.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from django.urls import reverse

from compressionhub.env import ROOT
from compressionhub.fleet import valkey
from compressionhub.fleet.models import Node, SetAsideEvent
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job, JobEvent
from compressionhub.jobs.states import State
from compressionhub.library import actions as library
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.store import store
from tests.compressionhub.library.test_contract import filled
from tests.workers import recurrent
from tests.workers.intake import tiny
from workers.recipe import parse

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

GOES_ON_WITHIN = 45
RECURRENT = ROOT / "examples" / "recipes" / "int8-recurrent.yaml"
PRELOADED = 2  # children that wait for the next job: one with onnxruntime, one with torch as well


def positions(job: Job) -> list[int]:
    return list(JobEvent.objects.filter(job=job).order_by("position").values_list("position", flat=True))


def children(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The sandboxed children: the one that works, and those that wait preloaded for the next jobs."""
    found = psutil.Process(worker.pid).children(recursive=True)
    alive = [child for child in found if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "child" in " ".join(child.cmdline())]


def kill_children(worker: subprocess.Popen[bytes]) -> None:
    for child in children(worker):
        child.send_signal(signal.SIGKILL)


def has_event(job: Job, kind: str, **which: Any) -> Callable[[], bool]:
    return lambda: JobEvent.objects.filter(job=job, type=kind, **which).exists()


def assert_nothing_doubled_or_missing(job: Job) -> None:
    """Positions rise by one; the events of the run that ended the job are all there, each once."""
    job.refresh_from_db()
    assert positions(job) == list(range(1, job.position + 1))
    seqs = list(JobEvent.objects.filter(job=job, run=job.run).order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))
    assert SetAsideEvent.objects.count() == 0


def test_files_are_verified_and_a_job_goes_through(site, ready):
    site.relay()
    site.worker()

    job = site.ended(ready())

    assert (job.state, job.problem) == (State.SUCCEEDED, None)
    assert [step.state for step in job.steps.all()] == ["done", "done", "done"]
    assert job.report_value.result.size_bytes < job.report_value.baseline.size_bytes / 2
    assert job.artifacts.filter(name="bundle.zip").exists()
    assert all(store().exists(item.key) for item in job.artifacts.all())
    assert_nothing_doubled_or_missing(job)


def test_a_job_goes_on_after_its_worker_was_killed_and_keeps_finished_steps(site, ready):
    site.relay()
    worker = site.worker()
    job = ready()
    site.until(has_event(job, "step_finished", payload__step=1))
    worker.kill()
    killed = time.monotonic()
    site.worker("second")

    site.until(has_event(job, "step_started", attempt=2), seconds=GOES_ON_WITHIN)
    took = time.monotonic() - killed
    job = site.ended(job)

    assert took <= GOES_ON_WITHIN
    assert (job.state, job.attempt, job.lost_attempts, job.attempt_shown) == (State.SUCCEEDED, 2, 1, 2)
    assert [step.state for step in job.steps.all()] == ["cached", "cached", "done"]
    assert has_event(job, "attempt_lost")()
    assert_nothing_doubled_or_missing(job)


def test_a_worker_that_is_started_anew_under_its_name_goes_on_at_once(site, ready):
    site.relay()
    worker = site.worker()
    time.sleep(14)  # until absences are trusted: one beat after the relay's start
    job = ready()
    site.until(has_event(job, "step_started"))
    worker.kill()
    worker.wait()
    killed = time.monotonic()
    site.worker()

    site.until(has_event(job, "started", attempt=2), seconds=25)

    assert time.monotonic() - killed < 25


def test_a_job_goes_on_after_its_child_was_killed(site, ready):
    site.relay()
    worker = site.worker()
    job = ready()
    site.until(has_event(job, "step_finished", payload__step=0))
    kill_children(worker)

    site.until(has_event(job, "started", attempt=2), seconds=GOES_ON_WITHIN)
    job = site.ended(job)

    assert (job.state, job.lost_attempts) == (State.SUCCEEDED, 1)
    assert job.steps.get(index=0).state == "cached"
    assert worker.poll() is None
    assert_nothing_doubled_or_missing(job)


def test_a_relay_killed_in_the_middle_costs_no_attempt_and_no_event(site, ready):
    relay = site.relay()
    site.worker()
    job = ready()
    site.until(has_event(job, "step_started"))
    relay.kill()
    time.sleep(3)  # the worker goes on meanwhile
    site.relay()

    job = site.ended(job)

    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert_nothing_doubled_or_missing(job)


def test_an_absence_of_valkey_longer_than_the_silence_limit_costs_no_attempt(site, ready):
    site.relay()
    site.worker()
    job = ready()
    site.until(has_event(job, "step_started"))
    server = psutil.Process(valkey.client().info("server")["process_id"])
    server.suspend()
    try:
        time.sleep(33)
    finally:
        server.resume()

    job = site.ended(job)

    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert_nothing_doubled_or_missing(job)


def test_three_lost_attempts_fail_the_job_with_the_reason(site, ready):
    site.relay()
    worker = site.worker()
    job = ready()
    for attempt in (1, 2, 3):
        site.until(has_event(job, "log", attempt=attempt), seconds=GOES_ON_WITHIN)
        kill_children(worker)
        site.until(has_event(job, "attempt_lost", attempt=attempt), seconds=GOES_ON_WITHIN)

    job = site.ended(job)

    assert (job.state, job.lost_attempts) == (State.FAILED, 3)
    assert job.problem_value.code == "job.lost"
    assert "3 times" in job.problem_value.message
    assert_nothing_doubled_or_missing(job)


def test_a_cancelled_job_stops_within_two_seconds(site, ready, bob):
    site.relay()
    worker = site.worker()
    job = ready()
    site.until(has_event(job, "step_started"))
    at_work = children(worker)
    asked = time.monotonic()
    actions.cancel(job=Job.objects.get(pk=job.pk), by=bob)

    job = site.ended(job, seconds=10)

    assert time.monotonic() - asked < 2
    assert job.state == State.CANCELLED
    assert worker.poll() is None
    site.until(lambda: sum(child.is_running() for child in at_work) <= PRELOADED, seconds=3)


def test_a_worker_that_is_asked_to_stop_sends_its_job_back_without_counting(site, ready):
    site.relay()
    worker = site.worker()
    job = ready()
    site.until(has_event(job, "step_started"))
    worker.terminate()
    site.worker("second")

    job = site.ended(job)

    assert (job.state, job.attempt, job.lost_attempts) == (State.SUCCEEDED, 2, 0)
    assert has_event(job, "requeued")()


def test_a_ticket_that_the_broker_lost_is_sent_again(site, ready):
    site.relay()
    first = site.worker()
    site.until(lambda: ModelVersion.objects.get().is_ready and Dataset.objects.get().is_ready)
    first.terminate()
    first.wait(10)
    job = ready("tidy")
    valkey.client().delete(*valkey.queue_keys(job.queue))
    site.worker("second")

    site.until(has_event(job, "started"), seconds=GOES_ON_WITHIN)

    assert Job.objects.get(pk=job.pk).attempt == 1


def test_a_file_that_is_no_network_is_rejected_with_a_reason(site, team, bob, tmp_path):
    site.relay()
    site.worker()
    path = tmp_path / "evil.onnx"
    path.write_bytes(b"\x80\x04\x95 no network at all")
    version = library.add_model(team=team, by=bob, name="evil", blob=store().put(path, name="evil.onnx"))

    site.until(lambda: ModelVersion.objects.get(pk=version.pk).is_rejected)

    version.refresh_from_db()
    assert version.problem.fault == "yours"
    assert version.problem.hint
    assert Job.objects.get().state == State.FAILED


def test_ten_samples_are_tried_when_the_library_asks(site, inputs, bob):
    site.relay()
    site.worker()
    site.until(lambda: ModelVersion.objects.get().is_ready and Dataset.objects.get().is_ready)

    library.try_contract(version=ModelVersion.objects.get(), dataset=Dataset.objects.get(), by=bob)

    tried = site.until(lambda: ModelVersion.objects.get().tried)
    assert len(tried.samples) == 10
    assert not tried.no_better_than_chance
    assert Node.objects.get().about.sandbox.says


def test_a_zipped_directory_arrives_is_converted_and_keeps_its_upload(site, team, bob, tmp_path, client):
    tiny.bert(tmp_path / "net")
    tiny.tokenizer(tmp_path / "net")
    data = tiny.zipped(tmp_path / "net", tmp_path / "net.zip").read_bytes()
    site.relay()
    site.worker()

    version = _sent(client, bob, data)
    site.until(lambda: ModelVersion.objects.get(pk=version.pk).is_ready, seconds=90)

    version.refresh_from_db()
    assert version.original.sha256 == hashlib.sha256(data).hexdigest() and version.original.name == "net.zip"
    assert store().exists(version.original.key) and store().exists(version.store_key)
    assert version.filename == "model.zip" and version.store_key != version.original.key
    assert version.facts.converted_from == "Hugging Face directory"
    assert version.contract.task == "embedding" and version.contract.tokenizer is not None
    page = client.get(version.get_absolute_url(), follow=True).content.decode()
    assert "Hugging Face directory" in page and version.original.sha256 in page


def _sent(client: Any, by: Any, data: bytes) -> ModelVersion:
    """Send a file as a browser does, in one chunk."""
    client.force_login(by)
    facts = {"filename": "net.zip", "name": "net", "kind": "model"}
    told = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts.items())
    made = client.post(
        reverse("library:uploads"),
        headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data)), "Upload-Metadata": told},
    )
    assert made.status_code == 201, made.content
    sent = client.patch(
        made.headers["Location"],
        data=data,
        content_type="application/offset+octet-stream",
        headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "0"},
    )
    assert sent.status_code == 204, sent.content
    return ModelVersion.objects.get(model__name="net")


def test_a_recurrent_network_with_three_inputs_goes_from_its_form_to_a_bundle_that_runs(
    site, team, bob, client, tmp_path
):
    site.relay()
    site.worker()
    model = recurrent.detector(tmp_path / "detector.onnx")
    files = (model, recurrent.windows(tmp_path / "windows.npz", model))
    blobs = [store().put(shutil.copy(path, tmp_path / f"sent-{path.name}"), name=path.name) for path in files]
    library.add_model(team=team, by=bob, name="detector", blob=blobs[0])
    library.add_dataset(team=team, by=bob, name="windows", blob=blobs[1])
    site.until(lambda: ModelVersion.objects.get().is_ready and Dataset.objects.get().is_ready)
    client.force_login(bob)

    version = ModelVersion.objects.get()
    changes = {"input-0-shape": "96", "headline": "auc"}
    address = reverse("library:contract", args=[version.model_id, version.number])
    assert client.post(address, filled(version.contract, **changes)).status_code == 302
    job = actions.submit(
        by=bob, team=team, version=library.confirm_contract(version=ModelVersion.objects.get(), by=bob),
        dataset=Dataset.objects.get(), recipe=parse(RECURRENT.read_text()),
    )  # fmt: skip
    job = site.ended(job)

    assert (job.state, job.problem) == (State.SUCCEEDED, None)
    assert job.report_value.headline == "auc"
    zipfile.ZipFile(store().path(job.artifacts.get(name="bundle.zip").key)).extractall(tmp_path / "bundle")
    ran = subprocess.run([sys.executable, tmp_path / "bundle" / "run.py"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.split(":")[0] for line in ran.stdout.splitlines()[:2]] == ["output", "stateN"]
