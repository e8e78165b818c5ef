"""A zoo of invented variants for figures about many of them; nothing of it was ever measured."""

from __future__ import annotations

import random
from typing import Any

FAMILIES = ("quantization", "pruning", "distillation", "lowrank", "recovery")
TECHNIQUES = {
    "quantization": "static-int8", "pruning": "magnitude-pruning", "distillation": "distillation",
    "lowrank": "low-rank", "recovery": "fine-tune",
}  # fmt: skip
DEVICE = "c6i-xlarge-1t"


def fill(*, variants: int, models: int, seed: int = 0) -> None:
    """Put variants of some models into the first team's zoo, and a workload they are compared under."""
    from compressionhub.estimates import actions
    from compressionhub.estimates.forms import starting
    from compressionhub.zoo.demo import first_team
    from compressionhub.zoo.models import Entry

    team, owner = first_team()
    chance = random.Random(seed)
    Entry.objects.bulk_create(
        [_entry(team, chance, f"model-{at % models}", f"variant-{at}") for at in range(variants)], batch_size=200
    )
    assumed = starting(slug="retail-camera", author=str(owner), monthly=1e9)
    actions.create(team=team, by=owner, assumed=assumed)


def _entry(team: Any, chance: random.Random, model: str, name: str) -> Any:
    from compressionhub.zoo.models import Entry

    before_ms, speedup, drop = chance.uniform(20, 45), chance.uniform(0.8, 5), max(0.0, chance.gauss(0.4, 0.4))
    family = chance.choice(FAMILIES)
    record = _record(chance, model, family, before_ms, speedup, drop)
    verdict = record["report"]["verdict"]["word"]
    size = record["report"]["result"]["size_bytes"]
    return Entry(
        team=team, name=name, record_json=record, task="classification", families=[family], device="invented",
        verdict=verdict, drop_points=drop, speedup=speedup, size_ratio=45_000_000 / size, size_bytes=size,
    )  # fmt: skip


def _record(
    chance: random.Random, model: str, family: str, before_ms: float, speedup: float, drop: float
) -> dict[str, Any]:
    from compressionhub.jobs.gate import Gate
    from compressionhub.zoo.record import FileRecord, Origin, Record, StepRecord
    from workers.contract import Contract, InputSpec, OutputSpec, Task

    report = _report(chance, family, before_ms, speedup, drop)
    gate = Gate(max_drop_points=5)
    technique = TECHNIQUES[family]
    contract = Contract(
        task=Task.CLASSIFICATION, inputs=(InputSpec(name="x", shape=(3, 32, 32)),),
        outputs=(OutputSpec(name="y", meaning="logits"),), classes=("a", "b"),
    )  # fmt: skip
    origin = Origin(
        model=model, version=1, dataset="invented", job=1, submitted_by="", baseline_sha256=model, data_sha256="",
        test_rows=10_000,
    )  # fmt: skip
    record = Record(
        report=report, recipe={"steps": [{"technique": technique}]}, recipe_yaml="", contract=contract, gate=gate,
        steps=(StepRecord(technique=technique, title=technique, family=family, summary="defaults"),),
        gate_result=gate.judge(report), origin=origin,
        files=(FileRecord(name="bundle.zip", key="none", sha256="0" * 64, size_bytes=1),),
    )  # fmt: skip
    return record.model_dump(mode="json")


def _report(chance: random.Random, family: str, before_ms: float, speedup: float, drop: float) -> Any:
    from workers.report import Delta, Environment, MetricDelta, Ratio, Report

    wide = chance.uniform(0.001, 0.004)
    change = MetricDelta(
        value=-drop / 100, low=-drop / 100 - wide, high=-drop / 100 + wide, distinguishable=drop / 100 > wide
    )
    ratios = {batch: _around(Ratio, speedup * by) for batch, by in (("1", 1.0), ("32", chance.uniform(0.7, 1.2)))}
    word = "faster" if speedup > 1.1 else "slower" if speedup < 0.9 else "smaller-only"
    batches = {
        batch: "faster" if each.low > 1.05 else "slower" if each.high < 0.95 else "not-faster"
        for batch, each in ratios.items()
    }
    return Report.model_validate(
        {
            "baseline": _measured(before_ms, 45_000_000, 0.92),
            "result": _measured(before_ms / speedup, int(45_000_000 / chance.uniform(1, 8)), 0.92 - drop / 100),
            "delta": Delta(metrics={"accuracy": change}, speedup=ratios),
            "verdict": {"word": word, "batches": batches, "reasons": ("Invented.",)},
            "steps": (),
            "environment": Environment(
                device=DEVICE, cpu="invented", isa=("avx512_vnni",), cores=4, threads=1, seed=0, platform="invented",
                provider="CPUExecutionProvider", versions={"onnxruntime": "1"}, noise={"1": 1.0},
                started_at="2026-11-22T04:00:00",
            ),
        }
    )  # fmt: skip


def _around(ratio: Any, value: float) -> Any:
    return ratio(value=value, low=value * 0.97, high=value * 1.03)


def _measured(mean_ms: float, size_bytes: int, accuracy: float) -> dict[str, Any]:
    timed = {"p50_ms": mean_ms, "p95_ms": mean_ms * 1.1, "p99_ms": mean_ms * 1.2}
    return {
        "size_bytes": size_bytes, "zip_bytes": int(size_bytes * 0.9), "params": 1_000_000, "macs": 50_000_000,
        "peak_memory_bytes": 80_000_000,
        "metrics": {"accuracy": {"value": accuracy, "low": accuracy - 0.005, "high": accuracy + 0.005, "n": 10_000}},
        "latency": {"1": timed, "32": {name: value * 20 for name, value in timed.items()}},
        "service": {"workers": 4, "mean_ms": mean_ms, "p95_ms": mean_ms * 1.15, "cv2": 0.05},
    }  # fmt: skip
