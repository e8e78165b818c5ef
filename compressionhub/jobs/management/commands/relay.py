from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from compressionhub.fleet import valkey
from compressionhub.jobs.relay.loop import Relay


class Command(BaseCommand):
    """Start the relay. A second one may run anywhere: it waits until the first is gone."""

    requires_system_checks: list[str] = []  # `up` has checked; the relay should be back at once after a crash
    help = "Apply the workers' events to the database and tell open pages. One relay is active at a time."

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay(valkey.client())
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: relay.stop())
        relay.run()
