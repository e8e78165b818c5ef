"""Resumable uploads: what the protocol promises, and what strangers try."""

import base64
import hashlib
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from compressionhub.accounts.actions import create_token
from compressionhub.accounts.models import AuditEntry, Membership, Scope
from compressionhub.library import actions, partial
from compressionhub.library.models import Dataset, ModelVersion, TrainedModel, Upload
from compressionhub.library.signals import file_arrived
from compressionhub.library.store import arriving, store

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = "application/offset+octet-stream"


def said(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def announce(client, size: int | str, **values: str):
    headers = {
        **TUS,
        "Upload-Length": str(size),
        "Upload-Metadata": said(**{"kind": "model", "filename": "net.onnx", **values}),
    }
    return client.post("/uploads/", headers=headers)


def send(client, address: str, offset: int, body: bytes, **headers: str):
    return client.patch(
        address, data=body, content_type=CHUNK, headers={**TUS, "Upload-Offset": str(offset), **headers}
    )


def ask(client, address: str):
    return client.head(address, headers=TUS)


@pytest.fixture
def bob_client(client, bob):
    client.force_login(bob)
    return client


def test_a_file_sent_in_two_chunks_becomes_a_version_with_the_same_bytes(
    bob_client, django_capture_on_commit_callbacks
):
    body = os.urandom(100_000)
    arrived = []
    file_arrived.connect(lambda instance, **_: arrived.append(instance), weak=False, dispatch_uid="test")
    address = announce(bob_client, len(body), name="digits").headers["Location"]

    first = send(bob_client, address, 0, body[:60_000])
    with django_capture_on_commit_callbacks(execute=True):
        second = send(bob_client, address, 60_000, body[60_000:])
    file_arrived.disconnect(dispatch_uid="test")

    version = ModelVersion.objects.get()
    assert (first.headers["Upload-Offset"], second.headers["Upload-Offset"]) == ("60000", "100000")
    assert store().path(version.store_key).read_bytes() == body
    assert second.headers["Content-Location"] == version.get_absolute_url()
    assert (version.model.name, version.is_verifying, version.size_bytes) == ("digits", True, 100_000)
    assert arrived == [version]
    assert list(arriving().iterdir()) == []


@pytest.fixture
def by_token(bob, team):
    """A program with a token of Bob's and no cookies, held to every check a browser would be."""

    def make(scope: Scope) -> Client:
        _, secret = create_token(user=bob, team=team, name="nightly", scope=scope)
        return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {secret}"})

    return make


def test_a_program_uploads_with_a_token_that_may_write(by_token, team, bob):
    program = by_token(Scope.WRITE)

    address = announce(program, 3).headers["Location"]
    answer = send(program, address, 0, b"abc")

    assert answer.status_code == 204
    assert (ModelVersion.objects.get().team, ModelVersion.objects.get().uploaded_by) == (team, bob)


@pytest.mark.parametrize("headers", [None, {"authorization": "Bearer chub_wrong"}])
def test_a_token_that_only_reads_or_is_none_uploads_nothing(by_token, headers, db):
    program = by_token(Scope.READ) if headers is None else Client(headers=headers)

    assert announce(program, 3).status_code == (403 if headers is None else 401)
    assert not Upload.objects.exists()


def test_a_dataset_keeps_its_target_column(bob_client):
    address = announce(bob_client, 3, kind="dataset", filename="t.csv", target="price").headers["Location"]

    send(bob_client, address, 0, b"a,b")

    assert Dataset.objects.get().options.target == "price"


def test_a_new_version_joins_its_model(bob_client, version):
    address = announce(bob_client, 4, model=str(version.model_id)).headers["Location"]

    send(bob_client, address, 0, b"onnx")

    assert [one.number for one in version.model.versions.order_by("number")] == [1, 2]


def test_an_upload_says_how_far_it_is_and_until_when_it_may_be_resumed(bob_client):
    address = announce(bob_client, 10).headers["Location"]
    send(bob_client, address, 0, b"1234")

    answer = ask(bob_client, address)

    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("4", "10")
    assert answer.headers["Upload-Expires"].endswith("GMT")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_file_whose_last_answer_was_lost_is_taken_in_when_its_sender_asks(bob_client):
    address = announce(bob_client, 4).headers["Location"]
    upload = Upload.objects.get()
    partial.path_of(upload.pk).write_bytes(b"onnx")  # the bytes came, then the hub was killed

    answer = ask(bob_client, address)

    assert answer.headers["Upload-Offset"] == "4"
    assert answer.headers["Content-Location"] == ModelVersion.objects.get().get_absolute_url()


def test_the_server_says_what_it_can_do(client):
    answer = client.options("/uploads/")

    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "expiration", "checksum", "termination"}


@pytest.mark.parametrize(
    ("length", "status"),
    [("-1", 400), ("0", 422), ("1e3", 400), ("", 400), ("\uff19", 400), ("9" * 30, 400), (str(2**52), 422)],
)
def test_lengths_that_are_none_are_refused(bob_client, length, status):
    assert announce(bob_client, length).status_code == status
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("offset", "body", "status"),
    [("3", b"x", 409), ("-1", b"x", 400), ("0", b"x" * 11, 413), ("9" * 19, b"x", 400), ("", b"x", 400)],
)
def test_chunks_that_do_not_belong_change_nothing(bob_client, offset, body, status):
    address = announce(bob_client, 10).headers["Location"]

    answer = send(bob_client, address, offset, body)

    assert answer.status_code == status
    assert ask(bob_client, address).headers["Upload-Offset"] == "0"


def test_a_chunk_of_another_type_is_refused(bob_client):
    address = announce(bob_client, 10).headers["Location"]

    answer = bob_client.patch(address, data=b"x", content_type="text/plain", headers={**TUS, "Upload-Offset": "0"})

    assert answer.status_code == 415


def test_another_version_of_the_protocol_is_refused(bob_client):
    answer = bob_client.post("/uploads/", headers={"Tus-Resumable": "0.2.2", "Upload-Length": "1"})

    assert answer.status_code == 412


@pytest.mark.parametrize("metadata", ["kind not-base64!", "kind //79", "filename \u00e9"])
def test_metadata_that_is_not_base64_is_refused(bob_client, metadata):
    answer = bob_client.post("/uploads/", headers={**TUS, "Upload-Length": "1", "Upload-Metadata": metadata})

    assert answer.status_code == 400


def test_a_chunk_that_was_damaged_leaves_no_trace(bob_client):
    address = announce(bob_client, 10).headers["Location"]
    right = base64.b64encode(hashlib.sha256(b"12345").digest()).decode()

    damaged = send(bob_client, address, 0, b"12x45", **{"Upload-Checksum": f"sha256 {right}"})
    whole = send(bob_client, address, 0, b"12345", **{"Upload-Checksum": f"sha256 {right}"})
    unknown = send(bob_client, address, 5, b"67890", **{"Upload-Checksum": "md5 abcd"})

    assert (damaged.status_code, whole.status_code, unknown.status_code) == (460, 204, 400)
    assert ask(bob_client, address).headers["Upload-Offset"] == "5"


def test_two_requests_never_write_to_one_upload_at_once(bob_client):
    address = announce(bob_client, 10).headers["Location"]

    with partial.alone(Upload.objects.get().pk):
        answer = send(bob_client, address, 0, b"12345")

    assert answer.status_code == 423
    assert ask(bob_client, address).headers["Upload-Offset"] == "0"


def test_a_chunk_after_the_end_is_refused(bob_client):
    address = announce(bob_client, 4).headers["Location"]
    send(bob_client, address, 0, b"onnx")

    answer = bob_client.patch(address, headers={**TUS, "Content-Type": CHUNK, "Upload-Offset": "4"})

    assert answer.status_code == 422
    assert ModelVersion.objects.count() == 1


@pytest.mark.parametrize("who", ["alice", "charlie"])
def test_somebody_elses_upload_does_not_seem_to_exist(client, bob, cast, who):
    client.force_login(bob)
    address = announce(client, 10).headers["Location"]
    client.force_login(cast[who])

    answers = [ask(client, address), send(client, address, 0, b"x"), client.delete(address, headers=TUS)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Upload.objects.count() == 1


def test_nobody_and_viewers_cannot_upload(client, vera):
    nobody = announce(client, 10)
    client.force_login(vera)
    viewer = announce(client, 10)

    assert (nobody.status_code, viewer.status_code) == (401, 403)


def test_a_stranger_cannot_add_a_version_to_a_foreign_model(client, charlie, version):
    client.force_login(charlie)

    answer = announce(client, 10, model=str(version.model_id))

    assert answer.status_code == 404


def test_somebody_who_left_the_team_cannot_finish(bob_client, bob, team):
    address = announce(bob_client, 4).headers["Location"]
    Membership.objects.filter(user=bob).update(role="viewer")

    answer = send(bob_client, address, 0, b"onnx")

    assert answer.status_code == 403
    assert not ModelVersion.objects.exists()


def test_uploads_need_the_csrf_token_of_the_session(bob):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(bob)

    assert announce(strict, 10).status_code == 403
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\net.onnx", "net.onnx"),
        ("a\r\nSet-Cookie: x=1.onnx", "a Set-Cookie: x=1.onnx"),
        ("gpj\u202exnno.exe", "gpj xnno.exe"),
        ("\U0001f600 модель.onnx", "\U0001f600 модель.onnx"),
        (".hidden", "hidden"),
        ("", "file"),
        ("x\x00y.onnx", "x y.onnx"),
        ("n" * 5000, "n" * 120),
    ],
)
def test_file_names_survive_as_names_only(bob_client, filename, shown):
    address = announce(bob_client, 4, filename=filename).headers["Location"]

    send(bob_client, address, 0, b"onnx")

    version = ModelVersion.objects.get()
    assert version.filename == shown
    assert store().path(version.store_key).is_relative_to(store().root)


def test_a_cancelled_upload_leaves_nothing(bob_client, django_capture_on_commit_callbacks):
    address = announce(bob_client, 10).headers["Location"]
    send(bob_client, address, 0, b"12345")

    with django_capture_on_commit_callbacks(execute=True):
        answer = bob_client.delete(address, headers=TUS)

    assert answer.status_code == 204
    assert ask(bob_client, address).status_code == 404
    assert list(arriving().iterdir()) == []
    assert AuditEntry.objects.filter(verb="upload.abandon").exists()


def test_an_upload_that_is_never_finished_expires(bob_client, django_capture_on_commit_callbacks):
    address = announce(bob_client, 10).headers["Location"]
    send(bob_client, address, 0, b"12345")
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with django_capture_on_commit_callbacks(execute=True):
        gone = actions.sweep_uploads()

    assert gone == 1
    assert ask(bob_client, address).status_code == 404
    assert list(arriving().iterdir()) == []


def test_bytes_that_no_upload_knows_are_swept_after_a_day(db):
    stray = arriving() / uuid4().hex
    stray.write_bytes(b"x")
    os.utime(stray, (0, 0))
    fresh = arriving() / uuid4().hex
    fresh.write_bytes(b"x")

    actions.sweep_uploads()

    assert (stray.exists(), fresh.exists()) == (False, True)


def test_unfinished_uploads_count_toward_the_quota(bob_client, settings):
    settings.QUOTA_BYTES = 100

    first, second = announce(bob_client, 60, name="a"), announce(bob_client, 60, name="b")

    assert (first.status_code, second.status_code) == (201, 422)
    assert "HUB_QUOTA_BYTES" in second.json()["detail"]


def test_a_taken_name_is_refused_before_the_first_byte(bob_client, version):
    answer = announce(bob_client, 10, name=version.model.name)

    assert answer.status_code == 422
    assert "already" in answer.json()["title"]


def test_two_uploads_that_race_for_a_name_both_arrive(bob_client):
    addresses = [announce(bob_client, 4, name="net").headers["Location"] for _ in range(2)]

    for address in addresses:
        send(bob_client, address, 0, b"onnx")

    assert set(TrainedModel.objects.values_list("name", flat=True)) == {"net", "net (2)"}


def test_a_full_disk_keeps_what_arrived_and_says_so(bob_client, monkeypatch):
    address = announce(bob_client, 10).headers["Location"]
    send(bob_client, address, 0, b"12345")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(partial, "_write_all", full)
    answer = send(bob_client, address, 5, b"67890")

    assert answer.status_code == 507
    assert "full" in answer.json()["title"]
    assert ask(bob_client, address).headers["Upload-Offset"] == "5"


def test_a_file_is_put_back_if_it_cannot_be_written_down(bob_client, monkeypatch):
    address = announce(bob_client, 4).headers["Location"]

    def broken(*_):
        raise RuntimeError("the database went away")

    monkeypatch.setattr("compressionhub.library.actions.uploads._record_arrival", broken)
    with pytest.raises(RuntimeError):
        send(bob_client, address, 0, b"onnx")
    monkeypatch.undo()

    assert ask(bob_client, address).headers["Upload-Offset"] == "4"
    assert ModelVersion.objects.count() == 1


def test_a_chunk_for_an_upload_thrown_away_at_the_same_moment_leaves_no_file(bob_client, monkeypatch):
    address = announce(bob_client, 10, name="digits").headers["Location"]
    key, really_alone = Upload.objects.get().pk, partial.alone

    def after_it_is_gone(upload):
        Upload.objects.filter(pk=upload).delete()
        return really_alone(upload)

    monkeypatch.setattr(partial, "alone", after_it_is_gone)

    assert send(bob_client, address, 0, b"12345").status_code == 404
    assert not partial.path_of(key).exists()
