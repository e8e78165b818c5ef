from __future__ import annotations

from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from compressionhub.fleet import actions, broker_user, valkey

NO_USERS = "(the server makes no users: {}; give the worker an address with as few rights as you can)"


class Command(BaseCommand):
    """Give a worker on another host what it needs, and nothing more; or take it back."""

    help = "Print the variables of a worker that shares no folder with the hub. Asked again, the old ones stop working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("node", help="the worker's name on the Fleet page; it becomes HUB_NODE")
        parser.add_argument("--hub", default="https://your-hub.example", help="the hub's address as the worker sees it")
        parser.add_argument("--revoke", action="store_true", help="take its rights back")

    def handle(self, *args: Any, node: str, hub: str, revoke: bool, **options: Any) -> None:
        if not 1 <= len(node) <= 120 or not node.isprintable():
            raise CommandError("Expected a name of 1 to 120 printable characters.")
        if revoke:
            return self._revoke(node)
        token = actions.give_token(node=node)
        for name, value in {
            "HUB_NODE": node,
            "HUB_URL": hub,
            "HUB_WORKER_TOKEN": token,
            "REDIS_URL": self._address(node),
        }.items():
            self.stdout.write(f"{name}={value}")

    def _revoke(self, node: str) -> None:
        if not actions.revoke_token(node=node):
            raise CommandError(f"Expected a worker with a token, found none called {node!r}.")
        try:
            broker_user.remove(valkey.client(), node=node)
        except redis.RedisError as error:
            self.stderr.write(f"The token is revoked. The user of the broker is not removed: {error}")

    def _address(self, node: str) -> str:
        try:
            address = broker_user.make(valkey.client(), settings.REDIS_URL, node=node)
        except redis.RedisError as error:
            return NO_USERS.format(error)
        if not broker_user.keeps(valkey.client()):
            self.stderr.write("The broker has no aclfile: its users are gone when it restarts; then ask again.")
        return address
