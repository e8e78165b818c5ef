"""Which queue can run this? Decided from what the recipe needs and what the nodes can do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from compressionhub.errors import Invalid
from compressionhub.fleet.models import Node
from workers.device import DeviceProfile
from workers.errors import Frozen
from workers.recipe import Recipe
from workers.technique import Need


class Queue(StrEnum):
    CPU = "cpu"
    GPU = "gpu"
    EDGE = "edge"


class Route(Frozen):
    """Where a job goes. ``warning`` is set when nobody serves the queue at the moment."""

    queue: Queue
    warning: str = ""


def needed_queue(recipe: Recipe | None, device: DeviceProfile) -> Queue:
    """The queue a job belongs to: ``gpu`` where a step needs one, ``edge`` for an emulated device, else ``cpu``."""
    if recipe is not None and any(Need.GPU in step.about.needs for step in recipe.steps):
        return Queue.GPU
    return Queue.CPU if device.kind == "host" else Queue.EDGE


def route(recipe: Recipe | None, device: DeviceProfile, *, now: datetime) -> Route:
    """Find the queue for a job.

    A CPU job may wait for a worker that is not started yet; GPU and edge hosts are rarer, so one
    must have been seen at least once.

    Raises:
        Invalid: if no node that could ever run it is known, with what would help.
    """
    queue = needed_queue(recipe, device)
    if Node.objects.alive(now).serving(queue):
        return Route(queue=queue)
    if queue is not Queue.CPU and not Node.objects.all().serving(queue):
        raise Invalid(
            f"Expected a worker that serves the queue {queue}, found none.",
            hint=f"Start one with: python -m workers work --queues {queue}. Or choose another device or recipe.",
            code="routing.no-worker",
        )
    return Route(
        queue=queue, warning=f"No worker that serves the queue {queue} is alive; the job waits until one starts."
    )
