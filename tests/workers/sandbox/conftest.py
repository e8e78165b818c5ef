"""A child that does one deed of ``sandbox_orders`` in a folder beside the secret of another job."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workers.sandbox.world import LIMITS, ORDERS, Ran
from workers.sandbox import Child
from workers.ticket import Limits, Order


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model").write_text("the model")
    (tmp_path / "secret").write_text("the secret of another job")
    (tmp_path / "work" / "out").mkdir(parents=True)
    return tmp_path / "work"


@pytest.fixture
def begin(work: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(
        deed: str, path: Path | str = "", *, limits: Limits = LIMITS, preload: str = "none", perform: str = ORDERS
    ) -> Child:
        child = Child.spawn(preload=preload, perform=perform)  # type: ignore[arg-type]
        children.append(child)
        order = Order(kind="inspect", device=deed, model=str(path))
        child.begin(order, folder=work, readable=[work.parent / "in"], limits=limits)
        return child

    yield start
    for child in children:
        child.close()


@pytest.fixture
def run(begin: Callable[..., Child]) -> Callable[..., Ran]:
    def to_the_end(*args: object, **kwargs: object) -> Ran:
        started = time.monotonic()
        child = begin(*args, **kwargs)
        said = list(child.messages(tick=0.1))
        return Ran(said, child.outcome(), time.monotonic() - started, child.pid)

    return to_the_end
