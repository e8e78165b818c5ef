"""Children that a hostile model has taken over: ``order.options.target`` names what the first half does."""

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from workers.events import Event, Judged, StepFinished
from workers.report import Checkpoint, Delta, Environment, Measured, Metering, Report, Service, Verdict
from workers.ticket import CONTRACT_FILE, MODEL_FILE, SAMPLE_FILE, Order

POINT = Checkpoint(size_bytes=1, zip_bytes=1, params=1, macs=1)
MEASURED = Measured(
    size_bytes=1, zip_bytes=1, params=1, macs=1, peak_memory_bytes=1, metrics={}, latency={},
    service=Service(workers=1, mean_ms=1, p95_ms=1, cv2=0),
)  # fmt: skip
REPORT = Report(
    baseline=MEASURED,
    result=MEASURED,
    delta=Delta(metrics={}, speedup={}),
    verdict=Verdict(word=None, batches={}, reasons=()),
    steps=(),
    environment=Environment(
        device="x", cpu="x", isa=(), cores=1, threads=1, provider="x", seed=0, versions={}, platform="x", noise={},
        started_at="",
    ),
)  # fmt: skip


LIE = Metering(meter="its own word", gross_wh=0, net_wh=0, seconds=1e6, shared=False)


def perform(
    order: Order,
    *,
    emit: Callable[[Event], None],
    alone: Callable[[], AbstractContextManager[None]],
    should_stop: Callable[[], bool],
) -> None:
    """The first half plants something; the second judges as if nothing were wrong."""
    if order.kind == "judge":
        emit(Judged(report=REPORT.model_copy(update={"energy": LIE})))
        return
    leave_what_is_expected()
    deed, _, target = order.options.target.partition("=")
    DEEDS[deed](emit, target)


def leave_what_is_expected() -> None:
    folder = Path("steps/0")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(b"a network")
    Path("out", SAMPLE_FILE).write_bytes(b"a sample")
    Path("out", CONTRACT_FILE).write_text(
        json.dumps({"task": "classification", "inputs": [{"name": "x", "shape": [1]}], "outputs": []})
    )


def link_every_name_the_parent_may_write(emit: Callable[[Event], None], target: str) -> None:
    for name in ("report.json", "recipe.yaml", "manifest.json", "bundle.zip"):
        os.symlink(target, Path("out", name))


def link_the_folder(emit: Callable[[Event], None], target: str) -> None:
    os.rename("out", "moved")
    os.symlink(target, "out")


def link_the_artifact(emit: Callable[[Event], None], target: str) -> None:
    Path("steps/0", MODEL_FILE).unlink()
    os.symlink(target, Path("steps/0", MODEL_FILE))


def link_the_contract(emit: Callable[[Event], None], target: str) -> None:
    Path("out", CONTRACT_FILE).unlink()
    os.symlink(target, Path("out", CONTRACT_FILE))


def leave_a_pipe(emit: Callable[[Event], None], target: str) -> None:
    Path("out", SAMPLE_FILE).unlink()
    os.mkfifo(Path("out", SAMPLE_FILE))


def name_a_file_badly(emit: Callable[[Event], None], target: str) -> None:
    Path("steps/0", f"{MODEL_FILE}\r\nX: y").write_text("x")


def judge_itself(emit: Callable[[Event], None], target: str) -> None:
    emit(Judged(report=REPORT))


def finish_a_step_before_the_first(emit: Callable[[Event], None], target: str) -> None:
    Path("steps/-1").mkdir()
    Path("steps/-1", MODEL_FILE).write_bytes(b"poison")
    emit(StepFinished(step=-1, technique="tidy", seconds=0, checkpoint=POINT))
    emit(StepFinished(step=2**62, technique="tidy", seconds=0, checkpoint=POINT))


def nest_folders(emit: Callable[[Event], None], target: str) -> None:
    here = os.getcwd()
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(here)


def say_nothing_is_wrong(emit: Callable[[Event], None], target: str) -> None:
    """Everything as it should be: what the other deeds are measured against."""


def take_a_second(emit: Callable[[Event], None], target: str) -> None:
    time.sleep(1.0)


DEEDS: dict[str, Callable[[Callable[[Event], None], str], None]] = {
    deed.__name__: deed
    for deed in (
        link_every_name_the_parent_may_write,
        link_the_folder,
        link_the_artifact,
        link_the_contract,
        leave_a_pipe,
        name_a_file_badly,
        judge_itself,
        finish_a_step_before_the_first,
        nest_folders,
        say_nothing_is_wrong,
        take_a_second,
    )
}
