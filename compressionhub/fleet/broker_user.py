"""What a worker on another host may do in Valkey or Redis: take tickets, add events, read stop wishes, nothing else.

The rules need Redis 7 or Valkey 7.2. The stream is in a selector of its own, so that commands the queues
need (``DEL``, ``RENAME``) cannot touch it: a worker adds events and can neither read, trim nor remove them.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote, urlsplit, urlunsplit

import redis

from compressionhub.fleet.routing import Queue
from compressionhub.fleet.valkey import queue_keys
from workers.events import STREAM, stop_job_key, stop_run_key

# Celery's bookkeeping beside the lists of tickets.
KOMBU_KEYS = ("_kombu.binding*", "unacked*")
# What may be done at all; the keys below bound what it may be done to. Nothing of publishing and subscribing.
COMMANDS = (
    "+@read", "+@write", "+@transaction", "+@scripting", "+@connection", "-@dangerous", "+info",
    "-@pubsub", "-scan", "-randomkey", "-client|list", "-client|kill", "-script|kill", "-script|flush",
)  # fmt: skip


def user_name(node: str) -> str:
    """The name of a worker's user."""
    return "worker-" + re.sub(r"[^A-Za-z0-9_.-]", "_", node)


def rules(password: str) -> list[str]:
    """The user, as ``ACL SETUSER`` takes it."""
    queues = [f"~{key}" for queue in Queue for key in queue_keys(queue.value)]
    wishes = [f"%R~{stop_job_key('*', 0).removesuffix(':0')}", f"%R~{stop_run_key('*')}"]
    keys = [f"~{key}" for key in KOMBU_KEYS]
    return ["reset", "on", f">{password}", *COMMANDS, *queues, *keys, *wishes, f"(+xadd %W~{STREAM})"]


def make(server: redis.Redis, url: str, *, node: str) -> str:
    """Make the worker's user on the server, or give it a new password.

    Args:
        url: the hub's own address of the server.

    Returns:
        The address with which the worker connects.

    Raises:
        redis.ResponseError: if the server knows no such rules or the hub may not make users.
    """
    password = secrets.token_urlsafe(24)
    _acl(server, "SETUSER", user_name(node), *rules(password))
    parts = urlsplit(url)
    place = f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"
    return urlunsplit(parts._replace(netloc=f"{quote(user_name(node))}:{quote(password)}@{place}"))


def keeps(server: redis.Redis) -> bool:
    """Write the users down, so that they outlive a restart; whether the server has a file for them."""
    try:
        _acl(server, "SAVE")
    except redis.ResponseError:
        return False
    return True


def remove(server: redis.Redis, *, node: str) -> None:
    """Remove the worker's user; its connections are closed."""
    _acl(server, "DELUSER", user_name(node))


def _acl(server: redis.Redis, *words: str) -> None:
    server.execute_command("ACL", *words)  # type: ignore[no-untyped-call]
