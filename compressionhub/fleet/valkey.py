"""The hub's own connection to Valkey: queue depths, stop wishes, the event stream."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from kombu.transport.redis import Channel

PRIORITY_STEPS = tuple(int(step) for step in Channel.priority_steps)
SEPARATOR = str(Channel.sep)


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    # A byte that is no UTF-8 must not end its reader: it reads as a question mark, and the entry is set aside.
    return redis.Redis.from_url(
        url, decode_responses=True, encoding_errors="replace", socket_timeout=5, socket_connect_timeout=3
    )


def client() -> redis.Redis:
    """A shared client for the address in the settings. It connects at the first command and reconnects by itself."""
    return _client(settings.REDIS_URL)


def queue_keys(queue: str) -> tuple[str, ...]:
    """The lists in which Celery keeps a queue: one per step of priority."""
    return tuple(queue if step == 0 else f"{queue}{SEPARATOR}{step}" for step in PRIORITY_STEPS)


def depth(queue: str) -> int:
    """How many tickets wait in a queue."""
    found: Any = [client().llen(key) for key in queue_keys(queue)]
    return sum(found)


def waiting_tasks(queue: str) -> dict[str, tuple[str, str]]:
    """The tickets that wait in a queue.

    Returns:
        For each task id, the list it lies in and its raw text there.
    """
    found: dict[str, tuple[str, str]] = {}
    for key in queue_keys(queue):
        lines: Any = client().lrange(key, 0, -1)
        for raw in lines:
            found[_task_id(raw)] = (key, raw)
    return found


def drop_ticket(queue: str, task: str) -> bool:
    """Take a ticket out of its queue; whether it was there."""
    place = waiting_tasks(queue).get(task)
    return place is not None and bool(client().lrem(place[0], 1, place[1]))


def _task_id(raw: str) -> str:
    try:
        return str(json.loads(raw)["headers"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""
