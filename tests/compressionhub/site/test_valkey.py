"""The embedded server: ours alone, private, and it remembers."""

import stat
from pathlib import Path

import pytest
import redis

from compressionhub.site import valkey
from compressionhub.site.valkey import NoValkey, Valkey


def test_it_answers_only_whoever_has_the_password(tmp_path):
    server = Valkey(tmp_path)
    url = server.start()
    try:
        assert redis.Redis.from_url(url).ping()
        stranger = redis.Redis.from_url("redis://" + url.rpartition("@")[2])
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert url.partition("@")[2].startswith("127.0.0.1:")
    finally:
        server.stop()


def test_what_was_written_is_there_after_a_restart(tmp_path):
    first = Valkey(tmp_path)
    redis.Redis.from_url(first.start()).set("kept", "yes")
    first.stop()

    second = Valkey(tmp_path)
    try:
        assert redis.Redis.from_url(second.start()).get("kept") == b"yes"
    finally:
        second.stop()


def test_every_start_has_a_password_of_its_own(tmp_path):
    server = Valkey(tmp_path)

    (_, first), (_, second) = server.configure(), server.configure()

    assert first != second
    assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600


def test_a_server_on_the_path_does_where_the_wheel_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    assert valkey.binary() == Path(program)


def test_without_any_server_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoValkey, match="set REDIS_URL"):
        valkey.binary()


def test_a_server_that_ends_at_once_says_why(tmp_path):
    server = Valkey(tmp_path)
    configure = server.configure

    def broken() -> tuple[int, str]:
        made = configure()
        (tmp_path / "valkey.conf").write_text("no-such-directive yes\n")
        return made

    server.configure = broken  # type: ignore[method-assign]

    with pytest.raises(NoValkey, match="did not start"):
        server.start()
