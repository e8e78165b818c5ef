"""The parent's side of a job: stage the files, reuse finished steps, watch the children, keep what they made.

The child fills its folder and nothing else. Keys, hashes, the store and the cache are the parent's.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from workers import delivery, edge
from workers.alike import OtherModel
from workers.alone import Alone
from workers.delivery import see_it_is_the_childs_own, sha256
from workers.device import profile
from workers.emulation.emulator import emulator
from workers.emulation.limits import Cap
from workers.energy import Meter, Share, counters
from workers.errors import EngineError, OursToFix, Problem
from workers.events import (
    SAID_ONLY_BY,
    ArtifactStored,
    Compared,
    Emulated,
    Event,
    FileHashed,
    Finished,
    Judged,
    Log,
    ModelInspected,
    Resources,
    StepFinished,
    TrialMeasured,
)
from workers.facts import Fit
from workers.report import Emulation, Report
from workers.reuse import Cache, Reuse
from workers.sandbox import AloneOver, AloneWanted, Child, Nursery, Outcome, Tick
from workers.step_keys import step_keys, trial_keys
from workers.technique import Need
from workers.ticket import (
    CONVERTED_FILES,
    MODEL_FILE,
    Blob,
    Kind,
    Limits,
    Order,
    Ticket,
)

StopReason = Literal["", "cancel", "superseded", "shutdown"]
RESOURCES_SECONDS = 2.0
KEYS = {"compress": step_keys, "sensitivity": trial_keys}


class Store(Protocol):
    """Where inputs come from and results go to."""

    def fetch(self, blob: Blob, into: Path) -> Path:
        """Make the blob readable for a child; returns its path, inside ``into`` or elsewhere on this host."""

    def keep(self, path: Path, *, name: str) -> Blob:
        """Hash and store a file."""


@dataclass
class Foreman:
    """Carries out tickets on this host.

    Args:
        folder: where scratch folders are made; emptied after each job.
        threads: what one child may use; ``cores`` is what the whole host has.
        trainers: children that have torch loaded, for jobs that train; without, the usual ones load it themselves.
        aarch64: the folder with which QEMU can answer as an Arm processor, if an operator prepared one.
        profile, fit: what the host says of itself, for reports; the fit comes once it is known.
        meter: the host's energy counters.
    """

    store: Store
    cache: Cache
    nursery: Nursery
    alone: Alone
    folder: Path
    threads: int
    cores: int
    quick: bool = False
    trainers: Nursery | None = None
    aarch64: Path | None = None
    profile: str = ""
    fit: Fit | None = None
    meter: Meter = field(default_factory=lambda: Meter(counters()[0]))

    def carry_out(
        self, ticket: Ticket, *, emit: Callable[[Event], None], should_stop: Callable[[], StopReason]
    ) -> Finished:
        """Do one ticket from beginning to end.

        Returns:
            How it ended. A child's own failure, a crash, a memory or time limit and a flood are ``failed`` with the
            reason; a child killed from outside is ``lost``; a stop wish is ``cancelled`` or ``requeued``.
        """
        folder = self.folder / f"{ticket.job}-{ticket.attempt}-{time.monotonic_ns()}"
        for name in ("in", "work/out", "work/steps"):
            (folder / name).mkdir(parents=True)
        try:
            return Run(self, ticket, folder, emit, should_stop).finish()
        finally:
            remove(folder)


@dataclass
class Run:
    """One ticket being carried out in one folder: ``in`` is read-only for the child, ``work`` is its own.

    ``in`` may hold links into the store, so it must never be writable from inside the sandbox.
    """

    foreman: Foreman
    ticket: Ticket
    folder: Path
    emit: Callable[[Event], None]
    should_stop: Callable[[], StopReason]
    report: Report | None = None
    reuse: Reuse = field(init=False)
    stopped: StopReason = ""
    peak_memory_bytes: int = 0
    share: Share | None = None
    _resources_sent: float = field(default=0.0)
    _held: list[Event] = field(default_factory=list)
    _found: Emulated | Compared | None = None
    _no_emulator: str = ""

    def __post_init__(self) -> None:
        self.reuse = Reuse(self.foreman.cache, self.work / "steps")

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def last_step(self) -> Path:
        """Where the job's result lies, below ``work``."""
        return Path("steps") / str(len(self.reuse.keys) - 1)

    def finish(self) -> Finished:
        with self.foreman.meter.job() as self.share:
            return self._finish()

    def _finish(self) -> Finished:
        order, readable = self._stage()
        for kind in self._kinds():
            if kind in KEYS:
                keys = KEYS[kind](self.ticket, threads=self.foreman.threads)
                self.reuse = replace(self.reuse, keys=keys)
                order = self.reuse.fill(order)
            said = {"profile": self.foreman.profile, "fit": self.foreman.fit}
            ended = self._child(order.model_copy(update={"kind": kind, **said}), readable)
            if ended is not None:
                return ended
        try:
            if self.report is not None and self.report.emulation is not None:
                self._try_elsewhere(self.report.emulation, order, readable)
            if self.report is not None:
                self._keep(self.report)
        except edge.Interrupted as interrupted:
            return self._ended(interrupted.outcome) or Finished(outcome="lost")
        except EngineError as error:
            return Finished(outcome="failed", problem=error.as_problem(), peak_memory_bytes=self.peak_memory_bytes)
        return Finished(outcome="succeeded", peak_memory_bytes=self.peak_memory_bytes)

    def _kinds(self) -> tuple[str, ...]:
        return ("compress", "judge") if self.ticket.kind is Kind.COMPRESS else (self.ticket.kind.value,)

    def _stage(self) -> tuple[Order, list[Path]]:
        """Bring the inputs in, hash those nobody hashed yet, and write the order."""
        paths: dict[str, str] = {}
        readable = [self.folder / "in"]
        for which, blob in (("model", self.ticket.model), ("data", self.ticket.data)):
            if blob is None:
                continue
            path, paths[which] = self._brought_in(blob, readable)
            if not blob.sha256:
                self._tell_hash(which, path)
        others = {name: self._brought_in(blob, readable)[1] for name, blob in self.ticket.others.items()}
        ticket = self.ticket
        order = Order(
            kind="inspect",
            model=paths.get("model"),
            others=others,
            data=paths.get("data"),
            options=ticket.options,
            contract=ticket.contract,
            recipe=ticket.recipe,
            device=ticket.device,
            threads=self.foreman.threads,
            cores=self.foreman.cores,
            seed=ticket.seed,
            quick=self.foreman.quick,
            anchors=ticket.anchors,
        )
        return (self._with_emulator(order, readable) if ticket.kind is Kind.COMPRESS else order), readable

    def _brought_in(self, blob: Blob, readable: list[Path]) -> tuple[Path, str]:
        """Where an input lies, and how a child says it; where that is outside, its folder is added to ``readable``."""
        path = self.foreman.store.fetch(blob, self.folder / "in")
        if path.is_relative_to(self.folder):
            return path, str(Path("..") / path.relative_to(self.folder))
        readable.append(path.parent)
        return path, str(path)

    def _with_emulator(self, order: Order, readable: list[Path]) -> Order:
        """Note how to run as the ticket's processor, where that is another one and QEMU can."""
        found = emulator(profile(order.device), self.foreman.aarch64)
        if isinstance(found, str):
            self._no_emulator = found
            return order
        readable += found.readable
        return order.model_copy(update={"emulator": found})

    def _tell_hash(self, which: str, path: Path) -> None:
        digest = sha256(path)
        blob = getattr(self.ticket, which)
        self.ticket = self.ticket.model_copy(update={which: blob.model_copy(update={"sha256": digest})})
        self.emit(FileHashed(which=which, sha256=digest, size_bytes=path.stat().st_size))  # type: ignore[arg-type]

    def _child(self, order: Order, readable: list[Path]) -> Finished | None:
        """Run one child to its end; nothing if it did its work."""
        return self._ended(self._outcome(order, readable, self.ticket.limits, None))

    def _nursery(self, order: Order) -> Nursery:
        """Where the child for an order comes from: one that trains need not wait until torch is loaded."""
        trains = order.recipe is not None and any(Need.TRAINING in step.about.needs for step in order.recipe.steps)
        wanted = self.foreman.trainers if trains and order.kind == "compress" else None
        return wanted or self.foreman.nursery

    def _outcome(self, order: Order, readable: list[Path], limits: Limits, group: Cap | None) -> Outcome:
        """Run one child to its end, under a device's cap if there is one."""
        nursery = self._nursery(order)
        child = nursery.take() if group is None else nursery.fresh(group.enter)
        with self._watched(child):
            child.begin(order, folder=self.work, readable=readable, limits=limits)
            waiting = False
            for message in child.messages():
                if isinstance(message, AloneWanted):
                    waiting = True
                elif isinstance(message, AloneOver):
                    self.foreman.alone.release(child)
                elif isinstance(message, Tick):
                    self._tick(message)
                else:
                    self._event(message, order)
                if waiting and self.foreman.alone.take(child):
                    waiting = False
                    child.go()
                if not self.stopped and isinstance(message, Tick) and (reason := self.should_stop()):
                    self.stopped = reason
                    child.stop()
            outcome = child.outcome()
        self.peak_memory_bytes = max(self.peak_memory_bytes, outcome.peak_memory_bytes)
        return outcome

    def _try_elsewhere(self, emulation: Emulation, order: Order, readable: list[Path]) -> None:
        """Add to the report what the artifact does as the job's device would; then say what was held back.

        Raises:
            edge.Interrupted: if a child was stopped or killed from outside.
        """

        def run_child(asked: Order, limits: Limits, group: Cap | None) -> edge.Heard:
            self._found = None
            return edge.Heard(self._outcome(asked, readable, limits, group), self._found)

        done = edge.complete(
            emulation,
            order,
            profile(order.device),
            result=str(self.last_step / MODEL_FILE),
            limits=self.ticket.limits,
            run_child=run_child,
            why_not=self._no_emulator,
            say=lambda text: self.emit(Log(text=text)),
        )
        for event in self._held:
            if isinstance(event, Judged):
                self.report = event.report.model_copy(update={"emulation": done})
                event = Judged(report=self.report)
            self.emit(event)

    @contextmanager
    def _watched(self, child: Child) -> Iterator[None]:
        self.foreman.alone.enter(child)
        try:
            yield
        finally:
            self.foreman.alone.leave(child)
            child.stop(grace=0)

    def _tick(self, tick: Tick) -> None:
        now = time.monotonic()
        self.foreman.meter.sample()
        if now - self._resources_sent >= RESOURCES_SECONDS:
            self._resources_sent = now
            self.emit(
                Resources(
                    cpu_percent=tick.cpu_percent,
                    memory_bytes=tick.memory_bytes,
                    peak_memory_bytes=tick.peak_memory_bytes,
                )
            )

    def _event(self, event: Event, order: Order) -> None:
        """Pass an event on. A finished step counts only once it lies in the cache.

        Raises:
            OursToFix: if a child of this kind has no business saying it.
        """
        if SAID_ONLY_BY.get(event.type, order.kind) != order.kind:
            raise OursToFix(
                f"Expected a process that does {order.kind} to keep to that, found it saying {event.type}.",
                hint="Look at the model: reading it has changed what the process does.",
                code="child.out-of-turn",
            )
        if isinstance(event, Emulated | Compared):
            self._found = event
            return
        if isinstance(event, ModelInspected):
            self._keep_converted()
        if isinstance(event, Judged):
            metered = self.foreman.meter.told(self.share) if self.share is not None else None
            others = tuple(
                OtherModel(name=name, file=blob.name, sha256=blob.sha256) for name, blob in self.ticket.others.items()
            )
            self.report = event.report.model_copy(update={"energy": metered, "others": others})
            event = Judged(report=self.report)
        if self.report is not None and self.report.emulation is not None:
            self._held.append(event)  # the report is not whole before the device was tried
            return
        if isinstance(event, StepFinished) and order.kind == "compress" and event.checkpoint is not None:
            self.reuse.keep(event.step, order)
        if isinstance(event, TrialMeasured):
            self.reuse.keep(event.place, order)
        self.emit(event)

    def _keep_converted(self) -> None:
        """Store the ONNX form of a network that came in another one; it is there before anybody hears of it."""
        for name in CONVERTED_FILES:
            path = self.work / "out" / name
            if os.path.lexists(path):
                see_it_is_the_childs_own(path, self.work)
                self._say_kept(self.foreman.store.keep(path, name=name))
                return

    def _say_kept(self, blob: Blob) -> None:
        self.emit(ArtifactStored(name=blob.name, key=blob.key, sha256=blob.sha256, size_bytes=blob.size_bytes))

    def _ended(self, outcome: Outcome) -> Finished | None:
        if outcome.kind == "done":
            return None
        how = {
            "cancel": "cancelled",
            "superseded": "cancelled",
            "shutdown": "requeued",
            "": "lost" if outcome.kind == "killed" else "failed",
        }
        problem = (
            None
            if self.stopped
            else outcome.problem
            or Problem(fault="ours", code="engine.silent", message="The child ended without a reason.")
        )
        return Finished(outcome=how[self.stopped], problem=problem, peak_memory_bytes=self.peak_memory_bytes)  # type: ignore[arg-type]

    def _keep(self, report: Report) -> None:
        """Store the artifact with what makes it run elsewhere, and say so."""
        steps = self.work / self.last_step
        out = self.folder / "kept"
        out.mkdir()
        for blob in delivery.deliver(
            steps, self.work, out, report=report, ticket=self.ticket, keep=self.foreman.store.keep
        ):
            self._say_kept(blob)


def remove(folder: Path) -> None:
    """Remove what a job left, also folders nested deeper than Python's own remover can follow."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False)
