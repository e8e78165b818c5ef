"""A real server, real sockets, and connections that break: what arrives is what was sent."""

import base64
import hashlib
import http.client
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.conf import settings
from django.test import Client

from compressionhub.asgi import application
from compressionhub.library.models import ModelVersion
from compressionhub.library.store import store

CHUNK_BYTES = 1 << 20
CUTS = 10


@pytest.fixture
def port(transactional_db) -> Iterator[int]:
    """A hub served by uvicorn, as ``up`` serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(timeout=10)


class Sender:
    """A tus client whose connection can be cut at any byte."""

    def __init__(self, port: int, user) -> None:
        self.port = port
        signed_in = Client()
        signed_in.force_login(user)
        session = signed_in.cookies[settings.SESSION_COOKIE_NAME].value
        token = "a" * 32
        self.headers = {
            "Tus-Resumable": "1.0.0",
            "Cookie": f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={token}",
            "X-CSRFToken": token,
        }

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {**self.headers, **headers})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    def announce(self, size: int) -> str:
        metadata = ",".join(
            f"{key} {base64.b64encode(value).decode()}"
            for key, value in (("kind", b"model"), ("filename", b"net.onnx"))
        )
        response = self.request("POST", "/uploads/", **{"Upload-Length": str(size), "Upload-Metadata": metadata})
        assert response.status == 201
        return response.headers["Location"]

    def offset(self, address: str) -> int:
        return int(self.request("HEAD", address).headers["Upload-Offset"])

    def patch(self, address: str, offset: int, body: bytes) -> http.client.HTTPResponse:
        kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        return self.request("PATCH", address, body, **kind)

    def patch_and_cut(self, address: str, offset: int, body: bytes, sent: int) -> None:
        """Send the head and ``sent`` bytes of the body, then break off without a goodbye."""
        lines = [
            f"PATCH {address} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Length: {len(body)}",
            f"Upload-Offset: {offset}",
        ]
        lines += [
            "Content-Type: application/offset+octet-stream",
            *(f"{key}: {value}" for key, value in self.headers.items()),
        ]
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body[:sent])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize("seed", [1, 2])
def test_an_upload_cut_ten_times_at_random_bytes_arrives_byte_identical(port, bob, seed):
    chance = random.Random(seed)
    body = chance.randbytes(20 * CHUNK_BYTES + 12_345)
    sender = Sender(port, bob)
    address = sender.announce(len(body))
    cuts = 0

    while (offset := sender.offset(address)) < len(body):
        chunk = body[offset : offset + CHUNK_BYTES]
        if cuts < CUTS and chance.random() < 0.7:
            sender.patch_and_cut(address, offset, chunk, sent=chance.randrange(len(chunk)))
            cuts += 1
            continue
        answer = sender.patch(address, offset, chunk)
        assert answer.status in (204, 409, 423)  # a cut request may still be on its way to disk

    stored = store().path(ModelVersion.objects.get().store_key)
    assert cuts == CUTS
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(body).digest()


def test_bytes_that_came_before_a_cut_are_not_sent_again(port, bob):
    sender = Sender(port, bob)
    address = sender.announce(CHUNK_BYTES)

    sender.patch_and_cut(address, 0, bytes(CHUNK_BYTES), sent=300_000)
    until = time.monotonic() + 10
    while (offset := sender.offset(address)) == 0 and time.monotonic() < until:
        time.sleep(0.05)

    assert 0 < offset <= 300_000  # a reset may swallow what lay in the socket's buffer


def test_eight_senders_of_one_chunk_write_it_once(port, bob):
    body = random.Random(3).randbytes(CHUNK_BYTES)
    sender = Sender(port, bob)
    address = sender.announce(len(body) * 2)
    answers: list[int] = []

    def send() -> None:
        answers.append(sender.patch(address, 0, body).status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers)[0] == 204
    assert set(answers[1:]) <= {204, 409, 423} and answers.count(204) == 1
    assert sender.offset(address) == len(body)


def test_the_hash_of_a_file_is_not_computed_while_its_sender_waits(port, bob):
    sender = Sender(port, bob)
    address = sender.announce(4)

    sender.patch(address, 0, b"onnx")

    version = ModelVersion.objects.get()
    assert version.sha256 == ""
    assert Path(store().path(version.store_key)).stat().st_mode & 0o222 == 0
