"""The devices as the hub sees them: the profiles on file, and the host of a worker instead of the hub's own."""

from __future__ import annotations

from django.utils import timezone

from compressionhub.fleet.models import Node
from compressionhub.fleet.routing import Queue
from workers import device
from workers.device import DeviceProfile
from workers.facts import NodeFacts

HOST = "host-1t"
KINDS = {
    "host": "This worker",
    "cloud-cpu": "Servers",
    "cloud-gpu": "Server graphics cards",
    "sbc-cpu": "Small boards",
    "edge-gpu": "Small boards, graphics",
    "phone-cpu": "Phones",
    "phone-gpu": "Phones, graphics",
    "phone-npu": "Phones, neural processor",
    "laptop-cpu": "Laptops",
    "desktop-gpu": "Desktop graphics cards",
    "edge-npu": "Edge accelerators",
    "mcu": "Microcontrollers",
}


def profiles() -> dict[str, DeviceProfile]:
    """Every profile by key. The one of the host is that of a worker: the web server may have another processor."""
    return {**device.profiles(), HOST: worker_host()}


def offered() -> list[DeviceProfile]:
    """Those a job can be sent to now: a worker's host, and the others once some worker emulates devices."""
    found = profiles()
    edge = Node.objects.alive(timezone.now()).serving(Queue.EDGE)
    return [one for one in found.values() if one.kind == "host" or edge]


def offered_by_kind() -> list[tuple[str, list[DeviceProfile]]]:
    """Those offered, under the word for their kind."""
    found = offered()
    return [(word, of_kind) for kind, word in KINDS.items() if (of_kind := [one for one in found if one.kind == kind])]


def profile(key: str) -> DeviceProfile:
    """Look a profile up.

    Raises:
        YoursToFix: if no profile has this key.
    """
    return worker_host() if key == HOST else device.profile(key)


def worker_host() -> DeviceProfile:
    """The host of a living CPU worker, the first by name; this machine where none is alive."""
    nodes = Node.objects.alive(timezone.now()).serving(Queue.CPU)
    return _as_profile(nodes[0].about) if nodes else device.host()


def _as_profile(facts: NodeFacts) -> DeviceProfile:
    return DeviceProfile(
        key=HOST,
        title=f"{facts.cpu}, 1 thread",
        arch=facts.arch,
        isa=facts.isa,
        cores=facts.cores,
        memory_bytes=facts.memory_bytes,
        runtime_version=facts.versions.get("onnxruntime", ""),
    )
