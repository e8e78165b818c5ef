"""Jobs of Bob's, and a worker that says what a test wants over a real stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.utils import timezone

from compressionhub.fleet import valkey
from compressionhub.jobs import actions
from compressionhub.jobs.models import Job
from compressionhub.jobs.relay.loop import Relay
from workers import events
from workers.events import STREAM, Beat, Envelope
from workers.facts import NodeFacts, SandboxFacts
from workers.recipe import Recipe, from_value
from workers.report import (
    ChangedSample,
    Changes,
    Checkpoint,
    ClassShift,
    Delta,
    Environment,
    Interval,
    Latency,
    Measured,
    MetricDelta,
    Ratio,
    Report,
    Service,
    Verdict,
)


@pytest.fixture
def broker(settings) -> Iterator[redis.Redis]:
    """The tests' own Valkey, empty before and after."""
    client = valkey.client()
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def relay(broker) -> Iterator[Relay]:
    """An active relay without its loop: a test calls ``round`` itself."""
    made = Relay(broker)
    yield made
    made._close()


@pytest.fixture
def recipe() -> Recipe:
    return from_value([{"technique": "magnitude-pruning", "sparsity": 0.5}, {"technique": "static-int8"}])


@pytest.fixture
def confirmed(version, alice):
    """Alice's model with its contract confirmed by her."""
    version.contract_confirmed_by, version.contract_confirmed_at = alice, timezone.now()
    version.save()
    return version


@pytest.fixture
def submit(team, bob, confirmed, dataset, recipe) -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        return actions.submit(
            **{"by": bob, "team": team, "version": confirmed, "dataset": dataset, "recipe": recipe, **changes}
        )

    return make


@pytest.fixture
def job(broker, submit) -> Job:
    return submit()


def node_facts(name: str = "node-a", **changes: Any) -> NodeFacts:
    values = {
        "name": name,
        "queues": ("cpu",),
        "slots": 2,
        "cores": 2,
        "memory_bytes": 8 << 30,
        "device": "host-1t",
        "isa": ("avx2",),
        "sandbox": SandboxFacts(level="full", landlock_abi=4, seccomp=True, says=("Files and network are closed.",)),
    }
    return NodeFacts(**{**values, **changes})


class Worker:
    """A worker as the relay sees it: beats, and stamped events of one run at a time."""

    def __init__(self, client: redis.Redis, name: str = "node-a", start: str = "start-1") -> None:
        self.client, self.name, self.start = client, name, start
        self.held: list[tuple[str, int, str]] = []
        self._seq: dict[str, itertools.count[int]] = {}

    def beat(self, **changes: Any) -> None:
        facts = changes.pop("facts", node_facts(self.name))
        self.put(Beat(node=self.name, start=self.start, facts=facts, runs=tuple(self.held), **changes))

    def say(self, job: Job, event: Any, *, attempt: int = 1, run: str = "run-1", seq: int | None = None) -> Envelope:
        stamped = self.stamp(job, event, attempt=attempt, run=run, seq=seq)
        self.put(stamped)
        return stamped

    def stamp(self, job: Job, event: Any, *, attempt: int = 1, run: str = "run-1", seq: int | None = None) -> Envelope:
        counted = next(self._seq.setdefault(run, itertools.count(1)))
        return Envelope(node=self.name, job=str(job.pk), attempt=attempt, run=run, seq=seq or counted, event=event)

    def put(self, message: Any) -> None:
        self.client.xadd(STREAM, {"body": message.model_dump_json()})


@pytest.fixture
def worker(broker) -> Worker:
    return Worker(broker)


def interval(value: float, n: int = 397) -> Interval:
    return Interval(value=value, low=value - 0.01, high=value + 0.01, n=n)


def checkpoint(accuracy: float = 0.97, size_bytes: int = 700_000) -> Checkpoint:
    return Checkpoint(
        metrics={"accuracy": interval(accuracy)},
        size_bytes=size_bytes,
        zip_bytes=size_bytes // 2,
        params=347_000,
        macs=5_100_000,
    )


def measured(size_bytes: int, accuracy: float, p50_ms: float) -> Measured:
    return Measured(
        size_bytes=size_bytes,
        zip_bytes=size_bytes // 2,
        params=347_000,
        macs=5_100_000,
        peak_memory_bytes=9_000_000,
        metrics={"accuracy": interval(accuracy)},
        latency={"1": Latency(p50_ms=p50_ms, p95_ms=p50_ms * 1.1, p99_ms=p50_ms * 1.2)},
        service=Service(workers=2, mean_ms=p50_ms, p95_ms=p50_ms * 1.2, cv2=0.05),
    )


def report(*, drop: float = 0.004, worst: float = 0.012, word: str | None = "faster") -> Report:
    return Report(
        baseline=measured(1_400_000, 0.98, 0.2),
        result=measured(360_000, 0.98 - drop, 0.1),
        delta=Delta(
            metrics={"accuracy": MetricDelta(value=-drop, low=-worst, high=0.002, distinguishable=False)},
            speedup={"1": Ratio(value=2.0, low=1.9, high=2.1)},
        ),
        verdict=Verdict(word=word, batches={"1": "faster"}, reasons=("Faster at batch 1.",)),
        steps=(),
        environment=Environment(
            device="host-1t",
            cpu="test",
            isa=("avx2",),
            cores=2,
            threads=1,
            provider="CPUExecutionProvider",
            seed=0,
            versions={},
            platform="test",
            noise={"1": 1.0},
            started_at="2026-11-22T04:00:00",
        ),
    )  # type: ignore[arg-type]


def changes(agreement: float = 0.99, **values: Any) -> Changes:
    """Of 400 digits, 99 % are answered as before."""
    plain: dict[str, Any] = {
        "compared": 400,
        "agreement": interval(agreement, 400),
        "broken": 3,
        "fixed": 1,
        "distance": interval(0.05, 400),
        "classes": (
            ClassShift(name="three", before=0.98, after=0.92, n=50),
            ClassShift(name="four", before=0.9, after=0.92, n=50),
        ),
        "samples": (
            ChangedSample(row=1412, before="three", after="five", label="three"),
            ChangedSample(row=1406, before="nine", after="four", label="four"),
            ChangedSample(row=1499, before="one", after="seven", label="two"),
        ),
    }
    return Changes(**{**plain, **values})


def unlabelled(agreement: float, **values: Any) -> Report:
    """A report on test data without labels: no metric, but the answers were compared."""
    plain = report()
    return plain.model_copy(
        update={
            "delta": plain.delta.model_copy(update={"metrics": {}}),
            "changes": changes(agreement, broken=None, fixed=None, **values),
        }
    )


def story() -> list[Any]:
    """All that a worker says about a job of two steps that goes well, between ``started`` and ``finished``."""
    slugs = ("magnitude-pruning", "static-int8", "evaluate")
    told: list[Any] = [events.Log(text="Loading."), events.BaselineMeasured(checkpoint=checkpoint(0.98, 1_400_000))]
    for index, slug in enumerate(slugs):
        told.append(events.StepStarted(step=index, technique=slug))
        told += [events.Progress(step=index, done=done, total=4) for done in range(1, 5)]
        told.append(events.Point(step=index, series="loss", x=float(index), y=1.0 / (index + 1)))
        told.append(
            events.StepFinished(
                step=index, technique=slug, seconds=1.0, checkpoint=None if slug == "evaluate" else checkpoint()
            )
        )
    told.append(events.Resources(cpu_percent=90.0, memory_bytes=10, peak_memory_bytes=20))
    told.append(events.Judged(report=report()))
    kept = {"key": f"sha256/cc/{'c' * 64}", "sha256": "c" * 64, "size_bytes": 360_000}
    told.append(events.ArtifactStored(name="model.onnx", **kept))
    return told


def relay_all(relay: Relay) -> None:
    """Let the relay read the stream to its end."""
    for _ in range(200):
        relay.round()
        if relay._stream.length() == 0:
            return
    raise AssertionError("the stream does not become empty")
