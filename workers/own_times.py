"""The fit of this host's own times: kept beside the step cache, made anew when processor or runtime have changed."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from workers.alone import Alone
from workers.device import host, versions
from workers.errors import Frozen
from workers.events import Calibrated
from workers.facts import Fit
from workers.sandbox import AloneOver, AloneWanted, Child, Nursery, Tick
from workers.ticket import GIB, Limits, Order

log = logging.getLogger(__name__)

FILE = "own-times.json"
NETWORKS = 1  # raise it when the standard networks or the way they are timed change
LIMITS = Limits(memory_bytes=2 * GIB, disk_bytes=GIB, wall_seconds=120)


class Kept(Frozen):
    """A fit and the host it is of."""

    host: str
    fit: Fit


@dataclass(frozen=True)
class OwnTimes:
    """Times the standard networks in a child that is alone on the host, once.

    Args:
        keep: the folder the fit is kept in.
        folder: where the child's scratch folder is made.
    """

    nursery: Nursery
    alone: Alone
    keep: Path
    folder: Path

    def fit(self, *, should_stop: Callable[[], bool]) -> Fit | None:
        """The kept fit where it is of this host as it is now, else a new one; None if the child did not finish.

        A weak one is tried again at every start: something may have disturbed it.
        """
        kept = self._kept()
        if kept is not None and kept.grade == "C":
            return kept
        found = self._measured(should_stop)
        if found is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            draft = self.keep / f"{FILE}.new"
            draft.write_text(Kept(host=fingerprint(), fit=found).model_dump_json(indent=1))
            draft.replace(self.keep / FILE)
        return found or kept

    def _kept(self) -> Fit | None:
        try:
            kept = Kept.model_validate_json((self.keep / FILE).read_text())
        except (OSError, ValidationError):
            return None
        return kept.fit if kept.host == fingerprint() else None

    def _measured(self, should_stop: Callable[[], bool]) -> Fit | None:
        work = self.folder / f"own-times-{time.monotonic_ns()}"
        work.mkdir(parents=True)
        child = self.nursery.take()
        self.alone.enter(child)
        try:
            child.begin(Order(kind="calibrate"), folder=work, readable=[], limits=LIMITS)
            found = self._heard(child, should_stop)
            ended = child.outcome()
        finally:
            self.alone.leave(child)
            child.stop(grace=0)
            shutil.rmtree(work, ignore_errors=True)
        if ended.problem is not None and not should_stop():
            log.warning("This host could not be calibrated: %s", ended.problem.message)
        return found if ended.kind == "done" else None

    def _heard(self, child: Child, should_stop: Callable[[], bool]) -> Fit | None:
        found, waiting = None, False
        for message in child.messages():
            if isinstance(message, AloneWanted):
                waiting = True
            elif isinstance(message, AloneOver):
                self.alone.release(child)
            elif isinstance(message, Calibrated):
                found = message.fit
            if waiting and self.alone.take(child):
                waiting = False
                child.go()
            if isinstance(message, Tick) and should_stop():
                child.stop()
        return found


def fingerprint() -> str:
    """Names the processor, the runtime and the standard networks."""
    here = host()
    said = [here.title, here.arch, here.isa, here.cores, versions(), NETWORKS]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
