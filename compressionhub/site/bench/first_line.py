"""From submitting a job to the first line its sandboxed child wrote, on the page of the job, with an idle worker.

For a job that trains the line is the first that the training itself says: torch is loaded by then.
"""

import json
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.sample import Sample, ready_sample
from compressionhub.site.bench.stage import Stage, site, until

TITLE = "submit to the child's first line on the page"
TIMES = 5


@dataclass(frozen=True)
class Case:
    """A job of one step; ``said`` names the events that count, any event of the child where it is empty."""

    title: str
    reach_seconds: float
    step: dict[str, Any]
    said: frozenset[str] = frozenset()


CASES = (
    Case("without torch", 2.5, {"technique": "fp16"}),
    Case("with torch, from the training itself", 4.0, {"technique": "fine-tune", "epochs": 1}, frozenset({"progress"})),
)


def measure() -> list[Figure]:
    with site() as stage:
        stage.sign_in()
        stage.enter()
        sample = ready_sample()
        return [_figure(stage, sample, case) for case in CASES]


def _figure(stage: Stage, sample: Sample, case: Case) -> Figure:
    taken = [_submit_and_watch(stage, sample, case, seed) for seed in range(TIMES)]
    worst, usual = max(taken), median(taken)
    said = f"{usual:.2f} s (median of {TIMES}, worst {worst:.2f} s)"
    reach = f"<= {case.reach_seconds} s {case.title}"
    return Figure(TITLE, said, reach, usual <= case.reach_seconds)


def _submit_and_watch(stage: Stage, sample: Sample, case: Case, seed: int) -> float:
    from websockets.sync.client import connect

    began = time.monotonic()
    job = _submit(stage, sample, case, seed)
    headers = {
        "Cookie": stage.cookie_line,
        "Origin": f"http://localhost:{stage.port}",
        "Host": f"localhost:{stage.port}",
    }
    address = f"ws://localhost:{stage.port}/ws/jobs/{job}/?after=0"
    with connect(address, additional_headers=headers, open_timeout=20) as socket:
        _wait_for_the_child(socket, case)
    taken = time.monotonic() - began
    until(lambda: _ended(job), "the end of the job")
    return taken


def _submit(stage: Stage, sample: Sample, case: Case, seed: int) -> str:
    body = {
        "model_version": str(sample.version.pk),
        "dataset": str(sample.dataset.pk),
        "steps": [case.step],
        "seed": seed,
    }
    headers = {**stage.form_headers, "Content-Type": "application/json"}
    answer: Any = stage.ask("POST", "/api/v1/jobs", json.dumps(body).encode(), headers)
    if answer.status != 201:
        raise RuntimeError(f"submitting gave {answer.status}: {answer.text[:200]}")
    return str(json.loads(answer.text)["id"])


def _wait_for_the_child(socket: Any, case: Case) -> None:
    from workers.events import CHILD_MAY_SAY

    while True:
        said = json.loads(socket.recv(timeout=60))
        if any(row["type"] in (case.said or CHILD_MAY_SAY) for row in said.get("rows", [])):
            return


def _ended(job: str) -> bool | None:
    from compressionhub.jobs.models import Job

    return Job.objects.get(pk=job).finished_at is not None or None
