"""Sends tickets to the workers' queues. The hub runs no task itself."""

from typing import Any

from celery import Celery
from django.conf import settings

TASK = "workers.run_ticket"

app = Celery("compressionhub", broker=settings.REDIS_URL)
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_connect_timeout": 3},
)


def send_ticket(ticket: dict[str, Any], *, queue: str, task_id: str | None = None, priority: int | None = None) -> None:
    """Put a ticket, as plain JSON, into a queue: ``cpu``, ``gpu`` or ``edge``.

    Args:
        task_id: names the attempt, so that a lost ticket can be told from one that waits.
        priority: 0 is taken first, 9 last.

    Raises:
        kombu.exceptions.OperationalError: if the broker cannot be reached.
    """
    app.send_task(TASK, args=[ticket], queue=queue, task_id=task_id, priority=priority, retry=False)
