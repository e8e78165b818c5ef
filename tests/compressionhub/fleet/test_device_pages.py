"""Devices that are not here: what is known of them, and a team's own times from them."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import escape

from compressionhub.accounts.models import AuditEntry
from compressionhub.fleet import about_devices
from compressionhub.fleet.devices import KINDS, profiles
from compressionhub.fleet.models import DeviceTime
from compressionhub.jobs.tickets import ticket
from tests.compressionhub.zoo.conftest import finished  # noqa: F401 a fixture
from tests.workers.emulation.test_latency_file import LAYER, a_file
from workers.facts import KindOfWork

pytestmark = pytest.mark.django_db


def upload(client, content: bytes, key: str = "rpi5", name: str = "out.json"):
    file = SimpleUploadedFile(name, content, content_type="application/json")
    return client.post(reverse("fleet:upload-time", args=[key]), {"file": file})


def page(client, key: str = "rpi5") -> str:
    return client.get(reverse("fleet:device", args=[key])).content.decode()


@pytest.fixture
def worked(version):
    """Alice's model with the layers of the latency file, and its hash."""
    work = (KindOfWork.model_validate(LAYER),)
    version.facts = version.facts.model_copy(update={"work": work})
    version.sha256 = "a" * 64
    version.save()
    return version


def test_every_kind_of_profile_has_a_word():
    assert {one.kind for one in profiles().values()} <= set(KINDS)


def test_the_list_names_every_profile_but_the_workers_own_host(client, vera):
    client.force_login(vera)

    said = client.get(reverse("fleet:devices")).content.decode()

    for key in about_devices.elsewhere():
        assert reverse("fleet:device", args=[key]) in said
    assert reverse("fleet:device", args=["host-1t"]) not in said
    assert "nothing: upload a latency file" in said


def test_a_page_shows_every_figure_with_its_source_and_marks_what_is_unverified(client, vera):
    client.force_login(vera)

    said = page(client)

    for source in profiles()["rpi5"].sources.values():
        assert escape(source) in said
    assert said.count("unverified</span>") == len(profiles()["rpi5"].unverified)


def test_an_instance_shows_what_an_hour_of_it_costs_and_where_that_stands(client, vera):
    client.force_login(vera)

    said = page(client, "c6i-xlarge-1t")

    assert "$0.170" in said
    assert "us-east-1, 20 Jul 2026" in said
    assert "$0.170 an hour" in client.get(reverse("fleet:devices")).content.decode()


def test_a_profile_without_a_fit_says_so_and_offers_the_upload(client, bob, worked):
    client.force_login(bob)

    said = page(client, "t4")

    assert "nothing is predicted from a graph" in said
    assert "Upload a latency file" in said
    assert "not known" in said


def test_an_uploaded_time_is_the_answer_for_its_network_and_is_written_into_the_audit(client, bob, worked):
    client.force_login(bob)
    before = page(client)

    answer = upload(client, a_file(p50_ms=7.77, p95_ms=8, p99_ms=9, low_ms=7.7, high_ms=7.8))
    after = page(client)

    assert answer.status_code == 302
    assert "7.77 ms" not in before
    assert "measured on this device" in after.lower()
    assert after.count("7.77 ms") == 2
    assert AuditEntry.objects.filter(verb="device-time.upload", by=bob, team=worked.model.team).exists()


def test_a_ticket_carries_the_teams_times_on_its_device_and_no_other(client, bob, finished, other_team):  # noqa: F811
    client.force_login(bob)
    upload(client, a_file())
    DeviceTime.objects.create(
        team=other_team, device="rpi5", name="theirs", sha256="f" * 64, body_json=json.loads(a_file())
    )
    job = finished()

    job.device = "rpi5"
    there = ticket(job).anchors
    job.device = "rpi4"

    assert [(anchor.p50_ms, anchor.sha256) for anchor in there] == [(2.0, "a" * 64)]
    assert ticket(job).anchors == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "Expected a latency file"), (a_file(device="rpi4"), "times of rpi5"), (a_file(threads=2), "4 threads"),
     (b"x" * 20_000, "KiB")],
)  # fmt: skip
def test_a_file_that_is_refused_is_refused_on_the_page_in_three_parts(client, bob, content, said):
    client.force_login(bob)

    answer = upload(client, content)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert "run.py --bench" in answer.content.decode()
    assert not DeviceTime.objects.exists()


def test_the_same_file_twice_and_no_file_at_all_are_refused(client, bob):
    client.force_login(bob)
    upload(client, a_file())

    assert "already" in upload(client, a_file()).content.decode()
    assert client.post(reverse("fleet:upload-time", args=["rpi5"])).status_code == 422
    assert DeviceTime.objects.count() == 1


def test_a_name_from_outside_is_shown_and_not_run(client, bob):
    client.force_login(bob)
    upload(client, a_file(processor="<script>alert(1)</script>"), name="<img src=x>.json")

    said = page(client)

    assert "<script>alert" not in said
    assert "<img src=x>" not in said


def test_a_viewer_may_look_and_not_upload(client, vera):
    client.force_login(vera)

    assert upload(client, a_file()).status_code == 403
    assert "Engineers of the team can upload one." in page(client)


def test_a_removed_time_anchors_nothing_and_strangers_cannot_remove_it(client, bob, charlie, worked):
    client.force_login(bob)
    upload(client, a_file(), name="board.json")
    time = DeviceTime.objects.get()
    where = reverse("fleet:remove-time", args=[time.pk])

    client.force_login(charlie)
    assert client.post(where).status_code == 404
    assert "board.json" not in page(client)
    client.force_login(bob)
    client.post(where)

    assert about_devices.anchors(worked.model.team, "rpi5") == ()


def test_an_unknown_device_is_not_found(client, bob):
    client.force_login(bob)

    assert client.get(reverse("fleet:device", args=["toaster"])).status_code == 404
    assert upload(client, a_file(), key="host-1t").status_code == 404
