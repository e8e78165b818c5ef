"""All of Celery and Redis: takes tickets from the queues, lets the foreman carry them out, tells the hub.

Each ticket is one run with an id of its own. A run's events are stamped here, never by the child, and
go into the stream ``hub:events``. Wishes to stop are keys that are read twice a second while a child works.
"""

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import redis
from celery import Celery, signals
from celery.exceptions import SecurityWarning
from pydantic import ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers import node
from workers.alone import Alone
from workers.errors import EngineError, Problem
from workers.events import STREAM, Beat, Finished, Message, Started, stop_job_key, stop_run_key
from workers.foreman import Foreman, StopReason
from workers.outbox import Outbox, RunVoice
from workers.own_times import OwnTimes
from workers.recipe import first_fault
from workers.remote_store import HubStore
from workers.sandbox import Nursery, describe
from workers.store import FolderStore, StepCache
from workers.ticket import Ticket

log = logging.getLogger(__name__)

TASK = "workers.run_ticket"
# Without a bound a cut cable blocks for ever; redis-py's own default is shorter than some of our reads.
STREAM_SECONDS = 10.0
WISH_SECONDS = 1.0
WISH_PAUSE_SECONDS = 1.0
FLUSH_SECONDS = 3.0
LEAVE_WITHIN_SECONDS = 5.0


def client(url: str, *, seconds: float) -> redis.Redis:
    """A connection that fails after ``seconds`` instead of trying again by itself: the callers know better."""
    bounds = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "health_check_interval": 30}
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **bounds)


def celery_app(url: str) -> Celery:
    """JSON only, no results, early acknowledgement, nothing fetched ahead: the hub sends again what is lost."""
    app = Celery("workers", broker=url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_timeout": 30, "socket_connect_timeout": 5, "health_check_interval": 25},
    )
    return app


class Wishes:
    """Reads the keys that say a run should stop. A server that is away wishes nothing."""

    def __init__(self, redis_client: redis.Redis) -> None:
        self._redis = redis_client
        self._not_before = 0.0

    def of(self, voice: RunVoice) -> StopReason:
        if time.monotonic() < self._not_before:
            return ""
        try:
            job, run = self._redis.mget(stop_job_key(voice.job, voice.attempt), stop_run_key(voice.run))
        except (redis.RedisError, OSError):
            self._not_before = time.monotonic() + WISH_PAUSE_SECONDS
            return ""
        return "cancel" if job else "superseded" if run else ""


class Worker:
    """This process: its foreman, its voice, and the runs it holds.

    Args:
        nursery: where children come from; by default such that do the engine's work.
    """

    def __init__(self, chosen: node.Settings, *, nursery: Nursery | None = None) -> None:
        self.settings = chosen
        self.name, self._name_claim = node.claim_name(chosen)
        self._folder, self._folder_claim = node.own_folder(chosen)
        self.start_id = str(uuid4())
        self.facts = node.facts(self.name, chosen)
        self._stream = client(chosen.redis_url, seconds=STREAM_SECONDS)
        self._wishes = Wishes(client(chosen.redis_url, seconds=WISH_SECONDS))
        self._held: dict[str, RunVoice] = {}
        self._leaving = threading.Event()
        self._left = threading.Event()
        self.outbox = Outbox(self._add, self._beat)
        self.nursery = nursery or Nursery()
        self.trainers = Nursery(preload="torch") if nursery is None and node.can_keep_torch_ready() else None
        self.foreman = Foreman(
            store=HubStore(chosen.hub_url, chosen.token) if chosen.hub_url else FolderStore(chosen.store),
            cache=StepCache(chosen.cache, limit_bytes=chosen.cache_bytes),
            nursery=self.nursery,
            trainers=self.trainers,
            alone=Alone(chosen.scratch),
            folder=self._folder,
            threads=chosen.threads,
            cores=self.facts.cores,
            aarch64=chosen.aarch64,
            profile=chosen.profile,
        )

    def learn_own_times(self) -> None:
        """Find out, beside the work, what this host takes for standard networks; told from the next beat on."""
        own = OwnTimes(self.nursery, self.foreman.alone, keep=self.settings.cache.parent, folder=self._folder)
        fit = own.fit(should_stop=self._leaving.is_set)
        if fit is not None:
            self.foreman.fit = fit
            self.facts = self.facts.model_copy(update={"fit": fit})

    def _add(self, messages: Sequence[Message]) -> None:
        pipe = self._stream.pipeline(transaction=False)
        for message in messages:
            pipe.xadd(STREAM, {"body": message.model_dump_json()})
        pipe.execute()

    def _beat(self) -> Beat:
        self.foreman.meter.sample()
        runs = tuple((voice.job, voice.attempt, voice.run) for voice in list(self._held.values()))
        return Beat(node=self.name, start=self.start_id, facts=self.facts, runs=runs, leaving=self._left.is_set())

    def run_ticket(self, ticket_json: Any) -> None:
        """Carry out one ticket; whatever happens, it ends with ``finished``."""
        voice = self._voice(ticket_json)
        if voice is None:
            log.error("A ticket without a job was dropped: %.200r", ticket_json)
            return
        self._held[voice.run] = voice
        voice.emit(Started(node=self.name, threads=self.settings.threads))
        finished = self._carry_out(ticket_json, voice)
        voice.emit(finished)
        del self._held[voice.run]
        log.info("job %s attempt %s: %s", voice.job, voice.attempt, finished.outcome)

    def _voice(self, ticket_json: Any) -> RunVoice | None:
        """Speaks for the run, as far as a damaged ticket still says which job it is."""
        if not isinstance(ticket_json, dict) or not isinstance(ticket_json.get("job"), str):
            return None
        attempt = ticket_json.get("attempt")
        number = attempt if isinstance(attempt, int) else 1
        return RunVoice(self.outbox.put, node=self.name, job=ticket_json["job"], attempt=number)

    def _carry_out(self, ticket_json: Any, voice: RunVoice) -> Finished:
        if reason := self._should_stop(voice):
            return Finished(outcome="requeued" if reason == "shutdown" else "cancelled")
        try:
            ticket = Ticket.model_validate(ticket_json)
            return self.foreman.carry_out(ticket, emit=voice.emit, should_stop=lambda: self._should_stop(voice))
        except ValidationError as error:
            return Finished(outcome="failed", problem=_unreadable(error))
        except EngineError as error:
            return Finished(outcome="failed", problem=error.as_problem())
        except Exception as error:
            log.exception("job %s", voice.job)
            return Finished(outcome="failed", problem=describe(error))

    def _should_stop(self, voice: RunVoice) -> StopReason:
        return "shutdown" if self._leaving.is_set() else self._wishes.of(voice)

    def leave(self) -> None:
        """Stop what runs and hand it back; if that takes too long, end without it."""
        if not self._leaving.is_set():
            self._leaving.set()
            threading.Thread(target=self._leave_by_force, name="leave", daemon=True).start()

    def _leave_by_force(self) -> None:
        time.sleep(LEAVE_WITHIN_SECONDS)
        for voice in list(self._held.values()):
            voice.emit(Finished(outcome="requeued"))
        self.say_goodbye()
        os._exit(0)

    def say_goodbye(self) -> None:
        """The last thing: every event, then the beat that says it leaves."""
        self._left.set()
        self.outbox.close(FLUSH_SECONDS)
        for nursery in (self.nursery, self.trainers):
            if nursery is not None:
                nursery.close()


def _unreadable(error: ValidationError) -> Problem:
    return Problem(
        fault="ours",
        code="worker.unreadable-ticket",
        message=f"Expected a ticket this worker understands; {first_fault(error)}",
        hint="Let hub and workers run the same version.",
    )


def work(argv: Sequence[str]) -> int:
    """``python -m workers work``: serve the queues until asked to stop.

    Returns:
        0 after a stop that was asked for, 2 if a setting is at fault.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stdout)
    logging.getLogger("celery").setLevel(logging.WARNING)
    # Celery warns of root because of pickle; tickets are JSON, and the children give root's rights up.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    try:
        worker = Worker(node.settings(argv, os.environ))
    except EngineError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 2
    return serve(worker)


def serve(worker: Worker) -> int:
    """Beat, take tickets, and leave in order when asked to."""
    chosen = worker.settings
    app = celery_app(chosen.redis_url)
    app.task(worker.run_ticket, name=TASK)
    signals.worker_shutting_down.connect(lambda **_: worker.leave(), weak=False)
    celery = app.Worker(
        pool="threads", concurrency=chosen.slots, queues=list(chosen.queues), hostname=f"workers@{worker.name}",
        quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True,
    )  # fmt: skip
    worker.outbox.start()
    if chosen.calibrates:
        threading.Thread(target=worker.learn_own_times, name="own-times", daemon=True).start()
    log.info(
        "%s serves %s with %d slots of %d threads", worker.name, ", ".join(chosen.queues), chosen.slots, chosen.threads
    )
    celery.start()
    worker.say_goodbye()
    return 0
