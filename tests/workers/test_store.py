"""Files by content, and finished steps by key."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from workers.store import BadKey, FolderStore, NoSuchBlob, StepCache, safe_name
from workers.ticket import Blob

KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(8)]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(b"a network" * 1000)
    return path


def step(folder: Path, size: int = 1000) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"m" * size)
    return folder


def test_a_stored_file_lies_under_the_hash_of_its_bytes(store, upload):
    blob = store.put(upload, name="net.onnx")

    assert blob.sha256 == hashlib.sha256(b"a network" * 1000).hexdigest()
    assert blob.key.endswith(blob.sha256)
    assert (blob.name, blob.size_bytes) == ("net.onnx", 9000)
    assert store.path(blob.key).read_bytes() == upload.read_bytes()


def test_the_same_bytes_are_stored_once(store, upload):
    first, second = store.put(upload, name="a"), store.put(upload, name="b")

    assert first.key == second.key
    assert sum(path.is_file() for path in store.root.rglob("*")) == 1


def test_an_upload_is_moved_in_without_being_copied(store, upload):
    inode = upload.stat().st_ino

    blob = store.adopt(upload, name="net.onnx")

    assert not upload.exists()
    assert store.path(blob.key).stat().st_ino == inode
    assert (blob.sha256, blob.size_bytes) == ("", 9000)


def test_a_fetched_blob_has_its_name_and_is_read_only(store, upload, tmp_path):
    blob = store.put(upload, name="net.onnx")

    path = store.fetch(blob, tmp_path)

    assert path == tmp_path / "net.onnx"
    assert path.read_bytes() == upload.read_bytes()
    assert path.stat().st_mode & 0o222 == 0


def test_two_blobs_of_one_name_do_not_overwrite_each_other(store, upload, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"a dataset")
    model, data = store.put(upload, name="a.zip"), store.put(other, name="a.zip")
    (tmp_path / "in").mkdir()

    paths = [store.fetch(blob, tmp_path / "in") for blob in (model, data)]

    assert [path.read_bytes()[:9] for path in paths] == [b"a network", b"a dataset"]
    assert store.path(model.key).read_bytes() == upload.read_bytes()


def test_a_file_is_copied_where_it_cannot_be_linked(store, upload, tmp_path, monkeypatch):
    blob = store.put(upload, name="net.onnx")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "other file system")))

    path = store.fetch(blob, tmp_path)

    assert path.read_bytes() == upload.read_bytes()
    assert path.stat().st_ino != store.path(blob.key).stat().st_ino


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "sha256/../../x",
        "incoming/..",
        "",
        "incoming/a\nb",
        "sha256/ab/" + "a" * 63,
        "partial/x",
    ],
)
def test_a_key_cannot_name_a_file_outside(store, key):
    with pytest.raises(BadKey):
        store.path(key)


def test_a_missing_blob_says_what_would_help(store, tmp_path):
    with pytest.raises(NoSuchBlob) as caught:
        store.fetch(Blob(key=f"sha256/ab/{KEYS[0]}", name="x", sha256=KEYS[0], size_bytes=1), tmp_path)

    assert "HUB_STORE" in caught.value.hint


def test_deleting_twice_is_deleting_once(store, upload):
    blob = store.put(upload, name="x")

    store.delete(blob.key)
    store.delete(blob.key)

    assert not store.exists(blob.key)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../x.onnx", "x.onnx"),
        ("C:\\nets\\a.onnx", "a.onnx"),
        ("größe 1.onnx", "gr_e_1.onnx"),
        (".hidden", "hidden"),
        ("a\r\nb.npz", "a_b.npz"),
        ("\u202e", "_"),
    ],
)
def test_a_file_name_keeps_its_ending_and_nothing_dangerous(given, safe):
    assert safe_name(given) == safe


def test_many_writers_of_one_file_leave_one_whole_file(store, upload):
    blobs: list[Blob] = []
    threads = [threading.Thread(target=lambda: blobs.append(store.put(upload, name="x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({blob.key for blob in blobs}) == 1
    assert store.path(blobs[0].key).read_bytes() == upload.read_bytes()
    assert not list((store.root / "partial").iterdir())


def test_a_finished_step_comes_back(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=10_000)
    cache.put(KEYS[0], step(tmp_path / "made"))

    found = cache.get(KEYS[0], tmp_path / "again")

    assert found
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["model.onnx"]


def test_an_unknown_step_leaves_nothing_behind(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=10_000)

    assert not cache.get(KEYS[0], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_what_came_from_the_cache_can_be_changed_without_changing_the_cache(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=10_000)
    cache.put(KEYS[0], step(tmp_path / "made"))
    cache.get(KEYS[0], tmp_path / "first")
    (tmp_path / "first" / "model.onnx").write_bytes(b"changed")

    cache.get(KEYS[0], tmp_path / "second")

    assert (tmp_path / "second" / "model.onnx").read_bytes() == b"m" * 1000


def test_the_least_recently_used_step_goes_first(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=3_500)
    for age, key in zip((30, 20, 10), KEYS, strict=False):
        cache.put(key, step(tmp_path / key))
        os.utime(cache.path(key) / ".used", (1_000_000 - age, 1_000_000 - age))
    cache.get(KEYS[0], tmp_path / "used again")

    cache.put(KEYS[3], step(tmp_path / KEYS[3]))

    assert [cache.path(key).exists() for key in KEYS[:4]] == [True, False, True, True]


def test_a_step_larger_than_the_limit_is_kept_for_the_job_that_made_it(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=100)

    cache.put(KEYS[0], step(tmp_path / "made"))

    assert cache.get(KEYS[0], tmp_path / "again")


def test_a_link_a_child_left_in_its_step_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    made = step(tmp_path / "made")
    (made / "link").symlink_to(tmp_path / "secret")
    (made / "folder").symlink_to(tmp_path)
    os.mkfifo(made / "pipe")
    cache = StepCache(tmp_path / "cache", limit_bytes=10_000)

    cache.put(KEYS[0], made)
    cache.get(KEYS[0], tmp_path / "again")

    assert [path.name for path in (tmp_path / "again").iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("key", ["../x", "ab", KEYS[0].upper(), "/etc"])
def test_a_step_key_cannot_name_another_folder(tmp_path, key):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        StepCache(tmp_path / "cache", limit_bytes=1).get(key, tmp_path / "x")


def test_steps_are_kept_and_dropped_by_many_writers_at_once(tmp_path):
    cache = StepCache(tmp_path / "cache", limit_bytes=2_500)
    for number in range(len(KEYS)):
        step(tmp_path / f"made{number}")

    def work(number: int) -> None:
        for turn in range(6):
            key = KEYS[(number + turn) % len(KEYS)]
            cache.put(key, tmp_path / f"made{number}")
            into = tmp_path / f"got-{number}-{turn}"
            if cache.get(key, into):
                assert (into / "model.onnx").stat().st_size == 1000

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(path.is_dir() for path in cache.root.glob("??/*")) <= 3
