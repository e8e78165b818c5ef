"""One clear sentence each for what keeps a site from starting."""

import errno
import runpy
import socket
from pathlib import Path

import pytest

from compressionhub.site import ground
from compressionhub.site.ground import CannotStart

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("version", "fine"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 4), True), ((3, 14, 0), False)]
)
def test_only_tried_versions_of_python_are_taken(version, fine):
    wrong_python = runpy.run_path(str(ROOT / "manage.py"))["wrong_python"]

    said = wrong_python(version)

    assert (said == "") is fine
    if not fine:
        assert f"found {version[0]}.{version[1]}" in said


def test_a_taken_port_is_named_with_a_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(CannotStart, match=rf"port {port} .*--port {port + 1}"):
            ground.listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(CannotStart, match=r"found '192\.0\.2\.1'"):
        ground.listen("192.0.2.1", 0)


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "var").write_text("")

    with pytest.raises(CannotStart, match="found a file"):
        ground.require_writable(tmp_path / "var")


def test_a_full_disk_is_told_from_a_missing_permission(tmp_path, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ground.tempfile, "TemporaryFile", full)

    with pytest.raises(CannotStart, match="full disk"):
        ground.require_writable(tmp_path)


def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    def refused(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(ground.tempfile, "TemporaryFile", refused)

    with pytest.raises(CannotStart, match=f"allowed to write in {tmp_path}"):
        ground.require_writable(tmp_path)


def test_too_little_room_says_how_much_there_is(tmp_path):
    with pytest.raises(CannotStart, match=r"Expected 1,073,741,824 MB free .* found [\d,]+ MB"):
        ground.require_room(tmp_path, 1 << 50)
