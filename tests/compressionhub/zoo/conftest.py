"""A finished job of Bob's that passes its gate, and Alice's entry made from it."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from compressionhub.estimates import actions as estimates
from compressionhub.estimates.forms import starting
from compressionhub.estimates.models import Workload
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import Artifact, Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library.models import ModelVersion
from compressionhub.library.store import store
from compressionhub.zoo import actions, deploying
from compressionhub.zoo.models import Deployment, Entry
from tests.compressionhub.zoo.days import ago
from tests.compressionhub.zoo.records import report_of
from workers.recipe import from_value
from workers.report import (
    Checkpoint,
    Delta,
    Environment,
    Interval,
    Latency,
    Measured,
    MetricDelta,
    Ratio,
    Report,
    Service,
    StepReport,
    Verdict,
)


def measured(size_bytes: int, accuracy: float, p50_ms: float) -> Measured:
    latency = {
        batch: Latency(p50_ms=p50_ms * times, p95_ms=p50_ms * times * 1.1, p99_ms=p50_ms * times * 1.2)
        for batch, times in (("1", 1), ("32", 20))
    }
    return Measured(
        size_bytes=size_bytes,
        zip_bytes=size_bytes - 1000,
        params=347_000,
        macs=5_100_000,
        peak_memory_bytes=9_000_000,
        metrics={"accuracy": Interval(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.01, n=397)},
        latency=latency,
        service=Service(workers=2, mean_ms=p50_ms, p95_ms=p50_ms * 1.2, cv2=0.05),
    )


def report(*, drop: float = 0.004, worst: float = 0.012, speedup: float = 2.0, word: str | None = "faster") -> Report:
    checkpoint = Checkpoint(size_bytes=350_000, zip_bytes=340_000, params=347_000, macs=5_100_000)
    return Report(
        baseline=measured(1_400_000, 0.98, 0.2),
        result=measured(360_000, 0.98 - drop, 0.2 / speedup),
        delta=Delta(
            metrics={"accuracy": MetricDelta(value=-drop, low=-worst, high=0.002, distinguishable=False)},
            speedup={batch: Ratio(value=speedup, low=speedup * 0.97, high=speedup * 1.03) for batch in ("1", "32")},
        ),
        verdict=Verdict(word=word, batches={"1": "faster", "32": "faster"}, reasons=("Faster at batch 1.",)),
        steps=(
            StepReport(
                technique="static-int8",
                title="Static INT8",
                parameters={},
                seconds=2.0,
                cached=False,
                checkpoint=checkpoint,
            ),
        ),
        environment=Environment(
            device="host-1t",
            cpu="test",
            isa=("avx2",),
            cores=2,
            threads=1,
            provider="CPUExecutionProvider",
            seed=0,
            versions={"onnxruntime": "1.31.1"},
            platform="test",
            noise={"1": 1.0},
            started_at="2026-11-22T04:00:00",
        ),
    )  # type: ignore[arg-type]


@pytest.fixture
def finished(team, bob, version, dataset) -> Callable[..., Job]:
    """Make a succeeded job with a stored bundle: ``finished(drop=0.02)``."""

    def make(*, gate: Gate | None = None, **figures: object) -> Job:
        recipe = from_value([{"technique": "static-int8"}])
        job = Job.objects.create(
            team=team,
            number=Job.objects.count() + 1,
            kind=Kind.COMPRESS,
            state=State.SUCCEEDED,
            model_version=version,
            dataset=dataset,
            recipe=recipe.model_dump(mode="json"),
            gate=(gate or Gate()).model_dump(mode="json"),
            submitted_by=bob,
            report=report(**figures).model_dump(mode="json"),
            finished_at=timezone.now(),
        )  # type: ignore[arg-type]
        for name, content in (("bundle.zip", b"a bundle"), ("model.onnx", b"a model")):
            path = store().root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content + str(job.number).encode())
            blob = store().put(path, name=name)
            Artifact.objects.create(
                job=job,
                name=name,
                key=blob.key,
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                attempt=1,
                created_at=timezone.now(),
            )
        return job

    return make


@pytest.fixture
def entry(finished, adam) -> Entry:
    return actions.publish(job=finished(), by=adam, name="digits-int8", summary="Reads a digit.")


@pytest.fixture
def record(team, bob, workload) -> Callable[..., Deployment]:
    """Record a deployment as Bob, a month ago: ``record(entry, since=ago(10))``."""

    def make(served: ModelVersion | Entry, **changes: object) -> Deployment:
        return deploying.record_deployment(
            **{"team": team, "by": bob, "served": served, "workload": workload, "since": ago(30), **changes}
        )  # type: ignore[arg-type]

    return make


@pytest.fixture
def priced(entry: Entry) -> Entry:
    """The worked example: 40 and 16 ms on c6i.xlarge, published as the entry."""
    with report_of(entry) as told:
        told["environment"]["device"] = "c6i-xlarge-1t"
        told["delta"]["speedup"]["1"] = {"value": 2.5, "low": 2.5, "high": 2.5}
        told["baseline"]["service"] = {"workers": 4, "mean_ms": 40, "p95_ms": 46, "cv2": 0.05}
        told["result"]["service"] = {"workers": 4, "mean_ms": 16, "p95_ms": 19, "cv2": 0.05}
    return Entry.objects.get(pk=entry.pk)


@pytest.fixture
def workload(team, vera) -> Workload:
    assumed = starting(slug="retail-camera", author=str(vera), monthly=1e9)
    return estimates.create(team=team, by=vera, assumed=assumed)
