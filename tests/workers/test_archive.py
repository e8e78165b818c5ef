"""Zips from strangers."""

import stat
import struct
import zipfile

import pytest

from tests.material import write_zip
from workers import archive
from workers.errors import YoursToFix


def code_of(path):
    with pytest.raises(YoursToFix) as caught:
        archive.open_zip(path)
    assert caught.value.hint
    return caught.value.code


def test_an_ordinary_zip_opens_and_reads(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a/b.txt": b"hello", "__MACOSX/a/b.txt": b"x", "a/.DS_Store": b"y"})

    with archive.open_zip(path) as opened:
        members = archive.files(opened)
        assert [(member.filename, archive.read(opened, member)) for member in members] == [("a/b.txt", b"hello")]


def test_a_bomb_is_refused_and_the_same_bytes_stored_are_not(tmp_path):
    zeros = {"zeros.bin": bytes(8 << 20)}

    assert code_of(write_zip(tmp_path / "bomb.zip", zeros)) == "archive.bomb"
    archive.open_zip(write_zip(tmp_path / "stored.zip", zeros, method=zipfile.ZIP_STORED)).close()


def test_many_small_members_over_the_same_bytes_are_a_bomb(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"{number}.bin": bytes(900_000) for number in range(20)})

    assert code_of(path) == "archive.bomb"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "..\\evil", "a\\b"])
def test_names_that_leave_the_folder_are_refused(name, tmp_path):
    assert code_of(write_zip(tmp_path / "a.zip", {name: b"x"})) == "archive.name-leaves-folder"


@pytest.mark.parametrize("name", ["a\nb.txt", "a\x1b[31m.txt", "a" * 2000])
def test_names_nobody_can_read_are_refused(name, tmp_path):
    assert code_of(write_zip(tmp_path / "a.zip", {name: b"x"})) == "archive.name-invalid"


def test_a_nul_byte_in_a_name_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"good_txt.exe": b"x"})
    path.write_bytes(path.read_bytes().replace(b"good_txt", b"good\x00txt"))

    assert code_of(path) == "archive.name-leaves-folder"


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(mode, tmp_path):
    member = zipfile.ZipInfo("link")
    member.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(member, "/etc/passwd")

    assert code_of(tmp_path / "a.zip") == "archive.link"


def test_an_encrypted_member_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))

    assert code_of(path) == "archive.encrypted"


@pytest.mark.parametrize("other", ["A/PICTURE.png", "a/picture.png"])
def test_names_that_collide_on_other_systems_are_refused(other, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("a/picture.png", b"x")
        with pytest.warns(UserWarning) if other == "a/picture.png" else _nothing():
            opened.writestr(other, b"y")

    assert code_of(tmp_path / "a.zip") == "archive.names-collide"


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_a_directory_of_a_million_members_is_refused_before_it_is_read(tmp_path):
    members = 1_000_000
    entry = b"PK\x01\x02" + struct.pack("<4B4HL2L5H2L", 20, 0, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * members
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, len(directory), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "a.zip").write_bytes(directory + end64 + locator + end)

    assert code_of(tmp_path / "a.zip") == "archive.too-many-files"


@pytest.mark.parametrize("kept", [10, 100, -30])
def test_a_zip_cut_short_is_refused(kept, tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"hello" * 100}, method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes()[:kept])

    assert code_of(path) == "archive.invalid"


def test_a_member_whose_bytes_were_changed_is_damaged(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"hello" * 100}, method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"hello", b"jello", 1))

    with archive.open_zip(path) as opened, pytest.raises(YoursToFix) as caught:
        archive.read(opened, opened.infolist()[0])

    assert caught.value.code == "archive.damaged"
