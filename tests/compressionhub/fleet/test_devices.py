from datetime import timedelta

import pytest
from django.utils import timezone

from compressionhub.fleet import devices
from compressionhub.fleet.models import Node
from compressionhub.library import fitting
from workers import device
from workers.facts import NodeFacts, SandboxFacts


def node(name: str, *, isa: tuple[str, ...], ago: timedelta = timedelta()) -> Node:
    facts = NodeFacts(
        name=name,
        queues=("cpu",),
        slots=1,
        cores=4,
        memory_bytes=8 << 30,
        device="host-1t",
        arch="x86_64",
        isa=isa,
        cpu=f"Processor of {name}",
        sandbox=SandboxFacts(level="full"),
    )
    beat = timezone.now() - ago
    values = {"start": "s", "facts": facts.model_dump(mode="json"), "first_beat_at": beat, "last_beat_at": beat}
    return Node.objects.create(name=name, **values)


@pytest.mark.django_db
def test_the_host_is_that_of_a_living_worker_not_of_the_web_server():
    node("old", isa=("avx512_vnni",), ago=timedelta(minutes=5))
    node("young", isa=("avx2",))

    host = devices.profile("host-1t")

    assert host.title == "Processor of young, 1 thread"
    assert not host.has_int8_dot_product


@pytest.mark.django_db
def test_without_a_worker_it_is_this_machine():
    assert devices.profiles()["host-1t"] == device.host()


@pytest.mark.django_db
def test_the_page_of_a_model_judges_techniques_for_the_worker(version, dataset):
    node("plain", isa=("avx2",))
    words = {row.technique.technique: row.fit.reason for row in fitting.rows(version, dataset)}

    Node.objects.all().delete()
    node("modern", isa=("avx2", "avx512_vnni"))
    changed = {row.technique.technique: row.fit.reason for row in fitting.rows(version, dataset)}

    assert words["static-int8"] != changed["static-int8"]


@pytest.mark.django_db
def test_only_a_worker_that_emulates_offers_other_devices():
    node("plain", isa=("avx2",))

    assert [one.key for one in devices.offered()] == ["host-1t"]
