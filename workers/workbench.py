"""What a step may use: batches by role, a seed, a scratch folder, progress, and the stop flag.

Roles are rights: a technique sees train, calibration and validation. Test data is not reachable from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workers.contract import Contract, Task
from workers.device import DeviceProfile
from workers.errors import Stopped, YoursToFix
from workers.events import Event, Log, Point, Progress
from workers.facts import DatasetFacts, Role

if TYPE_CHECKING:
    import numpy as np

    from workers.model import LoadedModel

PROGRESS_SECONDS = 0.25
PART_TOTAL = 1000
MOST_CONCLUDED = 300


@dataclass(frozen=True)
class Batch:
    """Ready to feed: one array per input name with the batch axis first, and the labels, if there are any.

    ``next_token``: the labels are the tokens themselves, and answers are read as losses per next token.
    """

    inputs: dict[str, np.ndarray]
    labels: np.ndarray | None
    rows: np.ndarray
    next_token: bool = False

    def __len__(self) -> int:
        return len(self.rows)


class Data(Protocol):
    """A dataset opened under a contract. See ``workers.datasets``."""

    facts: DatasetFacts

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        """The rows of a role, in a fixed order, prepared as the contract says."""


@dataclass
class Workbench:
    """Handed to ``Technique.apply``. ``emit`` sends an event up to the page.

    ``baseline`` is the job's untouched network, for steps that learn from it. ``others`` are the networks that steps
    go on with instead of the one they get, by the recipe's names, with the job's contract and the borders it names.
    ``conclusion`` is what a step brought, in a sentence.
    """

    data: Data | None
    contract: Contract
    device: DeviceProfile
    seed: int
    threads: int
    scratch: Path
    step: int
    emit: Callable[[Event], None]
    should_stop: Callable[[], bool] = lambda: False
    baseline: LoadedModel | None = None
    others: Mapping[str, LoadedModel] = field(default_factory=dict)
    conclusion: str = ""
    _last_sent: float = field(default=0.0, repr=False)

    @property
    def is_supervised(self) -> bool:
        """Whether the rows carry labels that the task has a loss for; text is its own label for a language model."""
        if self.contract.task is Task.CAUSAL_LM:
            return self.data is not None
        if self.is_retrieval:
            return True
        labelled = self.data is not None and self.data.facts.target.kind != "none"
        return labelled and self.contract.task in (Task.CLASSIFICATION, Task.REGRESSION)

    @property
    def is_retrieval(self) -> bool:
        """Whether the network makes vectors and its rows are queries, each followed by its document."""
        return self.contract.task is Task.EMBEDDING and self.data is not None and self.data.facts.are_pairs

    def check(self) -> None:
        """Raise ``Stopped`` if somebody asked the job to stop. Call it between batches."""
        if self.should_stop():
            raise Stopped()

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Say how far the step is; sent at most four times a second, and always at the end."""
        self.check()
        now = time.monotonic()
        if done >= total or now - self._last_sent >= PROGRESS_SECONDS:
            self._last_sent = now
            self.emit(Progress(step=self.step, done=done, total=total, text=text[:200]))

    def part(self, begin: float, end: float) -> Workbench:
        """The same bench for a piece of the step, whose progress fills the shares from ``begin`` to ``end``."""

        def emit(event: Event) -> None:
            if isinstance(event, Progress):
                share = begin + (end - begin) * event.done / max(event.total, 1)
                event = event.model_copy(update={"done": round(PART_TOTAL * share), "total": PART_TOTAL})
            self.emit(event)

        return replace(self, emit=emit)

    def log(self, text: str, level: str = "info") -> None:
        self.emit(Log(text=text[:2000], level=level, step=self.step))  # type: ignore[arg-type]

    def conclude(self, text: str) -> None:
        """Say what the step brought: in the log, beside the step and in the report; once, on the step's own bench."""
        self.conclusion = text[:MOST_CONCLUDED]
        self.log(text)

    def point(self, series: str, x: float, y: float, low: float | None = None, high: float | None = None) -> None:
        """Add a point to a curve on the job's page."""
        self.emit(Point(step=self.step, series=series, x=x, y=y, low=low, high=high))

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        """The rows of a role, checking the stop flag between batches.

        Raises:
            PermissionError: for test data, which only the final evaluation may open.
            YoursToFix: if there is no dataset or the role is empty.
        """
        if role is Role.TEST:
            raise PermissionError("a technique may not see test data")
        if self.data is None or role not in self.data.facts.roles:
            raise YoursToFix(
                f"Expected {role} data, found none.", hint="Choose a dataset that has it.", code="data.role-missing"
            )
        for batch in self.data.batches(role, size=size, limit=limit):
            self.check()
            yield batch
