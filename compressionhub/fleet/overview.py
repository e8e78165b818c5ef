"""Everything the Fleet page and ``/metrics`` say, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.utils import timezone

from compressionhub.fleet import valkey
from compressionhub.fleet.models import Node, RelayState, SetAsideEvent
from compressionhub.fleet.routing import Queue
from workers.facts import NodeFacts

RELAY_SILENT_AFTER = timedelta(seconds=15)
FORGOTTEN_AFTER = timedelta(days=7)
SHOWN_EVENTS = 20


@dataclass(frozen=True)
class NodeView:
    """A node as the page shows it. ``busy`` counts the runs its last beat named."""

    name: str
    facts: NodeFacts
    alive: bool
    leaving: bool
    busy: int
    last_beat_at: datetime


@dataclass(frozen=True)
class QueueView:
    """A queue: tickets that wait (none where Valkey does not answer), and the slots that serve it."""

    name: str
    depth: int | None
    slots: int
    nodes: int


@dataclass(frozen=True)
class Overview:
    nodes: tuple[NodeView, ...]
    queues: tuple[QueueView, ...]
    relay: RelayState
    relay_alive: bool
    set_aside: tuple[SetAsideEvent, ...]
    set_aside_count: int
    now: datetime

    @property
    def alive(self) -> int:
        return sum(node.alive for node in self.nodes)

    @property
    def slots(self) -> int:
        return sum(node.facts.slots for node in self.nodes if node.alive)

    @property
    def busy(self) -> int:
        return sum(node.busy for node in self.nodes if node.alive)

    @property
    def waiting(self) -> int:
        return sum(queue.depth or 0 for queue in self.queues)

    @property
    def sentence(self) -> str:
        """The page's answer in one sentence."""
        if not self.alive:
            return "No worker is alive: jobs wait."
        workers = "1 worker is alive" if self.alive == 1 else f"{self.alive} workers are alive"
        waiting = (
            f"{self.waiting} tickets wait"
            if self.waiting > 1
            else "1 ticket waits"
            if self.waiting
            else "nothing waits"
        )
        return f"{workers}, {self.busy} of {self.slots} slots busy; {waiting}."

    @property
    def silent_words(self) -> str:
        silent = len(self.nodes) - self.alive
        return f"{silent} silent or gone" if silent else "none is silent"

    @property
    def slots_words(self) -> str:
        return f"of {self.slots}"

    @property
    def delay_words(self) -> str:
        return str(self.relay.delay_ms) if self.relay_alive else "–"

    @property
    def worst_words(self) -> str:
        return (
            f"at most {self.relay.worst_delay_ms} ms in the last minute" if self.relay_alive else "the relay is silent"
        )

    @property
    def set_aside_words(self) -> str:
        return f"{len(self.set_aside)} of {self.set_aside_count}, newest first"


def overview() -> Overview:
    """The fleet as it is now. A node that has been silent for a week is no longer shown."""
    now = timezone.now()
    nodes = tuple(_node(node, now) for node in Node.objects.filter(last_beat_at__gte=now - FORGOTTEN_AFTER))
    relay = RelayState.current()
    return Overview(
        nodes=tuple(sorted(nodes, key=lambda node: (not node.alive, node.name))),
        queues=tuple(_queue(name, nodes) for name in Queue),
        relay=relay,
        relay_alive=relay.seen_at is not None and now - relay.seen_at < RELAY_SILENT_AFTER,
        set_aside=tuple(SetAsideEvent.objects.all()[:SHOWN_EVENTS]),
        set_aside_count=SetAsideEvent.objects.count(),
        now=now,
    )


def _node(node: Node, now: datetime) -> NodeView:
    return NodeView(
        name=node.name,
        facts=node.about,
        alive=node.is_alive(now),
        leaving=node.leaving,
        busy=len(node.runs),
        last_beat_at=node.last_beat_at,
    )


def _queue(name: str, nodes: tuple[NodeView, ...]) -> QueueView:
    serving = [node for node in nodes if node.alive and name in node.facts.queues]
    try:
        depth: int | None = valkey.depth(name)
    except redis.RedisError:
        depth = None
    return QueueView(name=name, depth=depth, slots=sum(node.facts.slots for node in serving), nodes=len(serving))
