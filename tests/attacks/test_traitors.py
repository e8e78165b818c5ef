"""A model that has taken over its process: what it leaves behind or says does not reach past its own folder."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.alone import Alone
from workers.energy import Meter, counters
from workers.events import Event, Finished
from workers.foreman import Foreman
from workers.recipe import from_value
from workers.sandbox import Nursery
from workers.store import FolderStore, StepCache
from workers.ticket import DataOptions, Kind, Ticket

SECRET = "the secret of another team"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery(preload="none", spare=False, perform="tests.attacks.traitors:perform") as made:
        yield made


@pytest.fixture
def foreman(tmp_path: Path, nursery: Nursery) -> Foreman:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    return Foreman(
        store=FolderStore(tmp_path / "store"),
        cache=StepCache(tmp_path / "cache", limit_bytes=1 << 30),
        nursery=nursery,
        alone=Alone(tmp_path),
        folder=jobs,
        threads=1,
        cores=1,
        quick=True,
    )


@pytest.fixture
def carry_out(tmp_path: Path, foreman: Foreman) -> Callable[[str], tuple[Finished, list[Any]]]:
    (tmp_path / "upload").write_bytes(b"an upload")
    jobs, store = foreman.folder, FolderStore(tmp_path / "store")
    uploaded = store.put(tmp_path / "upload", name="m.onnx")

    def run(deed: str) -> tuple[Finished, list[Any]]:
        heard: list[Event] = []
        ticket = Ticket(
            job="j",
            kind=Kind.COMPRESS,
            attempt=1,
            team="t",
            model=uploaded,
            data=uploaded,
            recipe=from_value([{"technique": "tidy"}]),
            options=DataOptions(target=deed),
        )
        try:
            return foreman.carry_out(ticket, emit=heard.append, should_stop=lambda: ""), heard
        finally:
            assert list(jobs.iterdir()) == []  # nothing a child makes may outlive its job

    return run


def stored(tmp_path: Path) -> list[bytes]:
    return [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]


def judged(heard: list[Any]) -> Any:
    return next(event.report for event in heard if event.type == "judged")


def test_a_child_has_no_say_in_the_energy_it_drew(carry_out):
    """This host has no meter, or one of its own: either way the child's figure is not taken."""
    _, heard = carry_out("say_nothing_is_wrong")

    energy = judged(heard).energy
    assert energy is None or energy.meter != "its own word"


def test_a_job_is_metered_from_beginning_to_end_through_counters_that_begin_anew(carry_out, foreman, tmp_path):
    with Drawing(tmp_path / "powercap", watts=7200) as host:
        foreman.meter = Meter(counters(host.root)[0])
        before = time.monotonic()

        _, heard = carry_out("take_a_second")
        longest = time.monotonic() - before

    energy = judged(heard).energy
    assert host.began_anew == 1 and 1.0 <= energy.seconds <= longest
    assert energy.gross_wh == pytest.approx(7200 * energy.seconds / 3600, rel=0.2)


class Drawing:
    """A powercap tree that counts as if the host drew some watts, and begins anew half a second after its start."""

    def __init__(self, root: Path, *, watts: float) -> None:
        self.root, self.began_anew = root, 0
        self._watts, self._range = watts, round(watts * 1000e6)
        self._zone, self._over = root / "intel-rapl:0", threading.Event()
        self._zone.mkdir(parents=True)
        start = self._range - round(0.5e6 * watts)
        for name, value in (("name", "package-0"), ("energy_uj", start), ("max_energy_range_uj", self._range)):
            (self._zone / name).write_text(f"{value}")
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def _draw(self) -> None:
        begin = time.monotonic()
        while not self._over.wait(0.01):
            drawn = self._range + round((time.monotonic() - begin - 0.5) * self._watts * 1e6)
            self.began_anew = drawn // self._range
            draft = self._zone / "draft"
            draft.write_text(str(drawn % self._range))
            draft.replace(self._zone / "energy_uj")

    def __enter__(self) -> "Drawing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_without_treason_the_job_succeeds(carry_out):
    finished, heard = carry_out("say_nothing_is_wrong")

    assert finished.outcome == "succeeded", finished.problem
    assert {event.name for event in heard if event.type == "artifact_stored"} == {
        "model.onnx", "report.json", "sample.npz", "recipe.yaml", "manifest.json", "bundle.zip",
    }  # fmt: skip


@pytest.mark.parametrize("deed", ["link_every_name_the_parent_may_write", "link_the_folder"])
def test_the_parent_writes_through_no_link_of_a_child(carry_out, secret, tmp_path, deed):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("report.json", "sample.npz"):
        shutil.copyfile(secret, folder / name)

    carry_out(f"{deed}={secret if deed != 'link_the_folder' else folder}")

    assert secret.read_text() == SECRET
    assert {path.read_text() for path in folder.iterdir()} == {SECRET}
    assert SECRET.encode() not in b"".join(stored(tmp_path))


@pytest.mark.parametrize("deed", ["link_the_artifact", "link_the_contract", "leave_a_pipe", "name_a_file_badly"])
def test_the_parent_stores_only_plain_files_of_the_job(carry_out, secret, tmp_path, deed):
    finished, _ = carry_out(f"{deed}={secret}")

    assert (finished.outcome, finished.problem.code) == ("failed", "artifact.not-a-file")
    assert SECRET.encode() not in b"".join(stored(tmp_path))


def test_who_made_an_artifact_does_not_judge_it(carry_out):
    with pytest.raises(Exception, match="found it saying judged") as refused:
        carry_out("judge_itself")

    assert refused.value.code == "child.out-of-turn"


def test_a_step_that_the_recipe_does_not_have_is_not_kept(carry_out, tmp_path):
    carry_out("finish_a_step_before_the_first")

    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.read_bytes() == b"poison"]


def test_folders_nested_beyond_the_stack_are_removed(carry_out):
    finished, _ = carry_out("nest_folders")

    assert finished.outcome in ("failed", "succeeded")  # a quick child may end before anybody looks at its folder
