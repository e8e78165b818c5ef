"""Files by the hash of their bytes, in a folder; and finished steps by what they depend on.

Several processes may use one folder at once: a file appears whole under its name or not at all, and
what lies under a key never changes.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from workers.errors import OursToFix, YoursToFix
from workers.ticket import Blob

A_KEY = re.compile(r"(?:sha256/[0-9a-f]{2}/[0-9a-f]{64}|incoming/[0-9a-f-]{36})")
A_STEP_KEY = re.compile(r"[0-9a-f]{64}")
READ_ONLY = 0o444
PIECE_BYTES = 1 << 20
USED = ".used"
LEFTOVERS_SECONDS = 24 * 3600


class NoSuchBlob(OursToFix):
    code = "store.missing"

    def __init__(self, key: str) -> None:
        super().__init__(
            "Expected a stored file, found none under its key.",
            hint="It was deleted, or this worker does not share the hub's store (HUB_STORE).",
        )
        self.key = key


class BadKey(YoursToFix):
    code = "store.bad-key"

    def __init__(self, key: str) -> None:
        super().__init__(f"Expected the key of a stored file, found {key[:80]!r}.", hint="Use one the store gave out.")


class FolderStore:
    """Blobs below one folder: ``sha256/ab/abcd...`` by content, ``incoming/<uuid>`` before anybody hashed them.

    Args:
        root: made if missing. Stored files are read-only for everybody.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        for name in ("sha256", "incoming", "partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where a blob lies; it need not exist.

        Raises:
            BadKey: if the key is none this store gives out, so that no key can name a file elsewhere.
        """
        if not A_KEY.fullmatch(key):
            raise BadKey(key)
        return self.root / key

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is removed already."""
        self.path(key).unlink(missing_ok=True)

    def put(self, path: Path, *, name: str) -> Blob:
        """Copy a file in and hash it on the way; the original stays.

        Args:
            name: the file's name for people; it plays no part in where the bytes lie.
        """
        with path.open("rb") as file:
            return self.put_pieces(iter(lambda: file.read(PIECE_BYTES), b""), name=name)

    def put_pieces(self, pieces: Iterable[bytes], *, name: str, expected_key: str = "") -> Blob:
        """Write what arrives piece by piece, and hash it on the way.

        Args:
            expected_key: where the sender says it belongs; "" where nobody says.

        Raises:
            BadKey: if it belongs elsewhere; then nothing is kept.
        """
        with self._partial() as partial:
            digest = _write_and_hash(pieces, partial)
            if expected_key and content_key(digest) != expected_key:
                raise BadKey(expected_key)
            return self._settle(partial, digest, name)

    def keep(self, path: Path, *, name: str) -> Blob:
        """The same as ``put``: what the foreman calls it."""
        return self.put(path, name=name)

    def adopt(self, path: Path, *, name: str) -> Blob:
        """Move an upload in without reading it; its hash stays empty until a worker has read it.

        The move is a rename where both lie on one file system, whatever the size.
        """
        key = f"incoming/{uuid4()}"
        size = path.stat().st_size
        with self._partial() as partial:
            shutil.move(path, partial)
            _settle_file(partial, self.path(key))
        return Blob(key=key, name=name, sha256="", size_bytes=size)

    def fetch(self, blob: Blob, into: Path) -> Path:
        """Make a blob readable in a folder, under its own name: a link where possible, else a copy.

        The result must not be written to: it may share its bytes with the store.

        Raises:
            NoSuchBlob: if there is nothing under its key.
        """
        source = self.path(blob.key)
        if not source.is_file():
            raise NoSuchBlob(blob.key)
        target = _free_name(into, safe_name(blob.name))
        try:
            _link_or_copy(source, target)
        except FileNotFoundError:  # deleted meanwhile
            raise NoSuchBlob(blob.key) from None
        return target

    @contextlib.contextmanager
    def _partial(self) -> Iterator[Path]:
        """A name for a file that is not whole yet, on the same file system; gone afterwards."""
        path = self.root / "partial" / uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _settle(self, partial: Path, digest: str, name: str) -> Blob:
        key = content_key(digest)
        size = partial.stat().st_size
        if not self.exists(key):
            _settle_file(partial, self.path(key))
        return Blob(key=key, name=name, sha256=digest, size_bytes=size)


def content_key(sha256: str) -> str:
    """The key of a file whose bytes have this hash."""
    return f"sha256/{sha256[:2]}/{sha256}"


def safe_name(name: str) -> str:
    """A file name from what somebody called their upload: its last part, plain characters, its ending kept."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".")
    return plain[-100:] or "file"


def _write_and_hash(pieces: Iterable[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("xb") as writing:
        for piece in pieces:
            digest.update(piece)
            writing.write(piece)
    return digest.hexdigest()


def _settle_file(partial: Path, target: Path) -> None:
    """Give a whole file its name, so that it is there after a power cut, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.chmod(READ_ONLY)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_name(folder: Path, name: str) -> Path:
    """A path nothing lies at. Writing to one that is taken would write through its link into the store."""
    target = folder / name
    if target.exists():
        target = folder / uuid4().hex[:8] / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard link, or copy across file systems and past the limit of links."""
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


class StepCache:
    """Folders of finished steps by key; the least recently used go first when they take too much room.

    Args:
        root: made if missing; nothing else may live there.
        limit_bytes: what all steps together may take.
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self.root = root.resolve()
        self.limit_bytes = limit_bytes
        self.root.mkdir(parents=True, exist_ok=True)
        self._forget_leftovers()

    def path(self, key: str) -> Path:
        """Where a step lies; it need not exist.

        Raises:
            ValueError: if the key is not 64 hexadecimal digits.
        """
        if not A_STEP_KEY.fullmatch(key):
            raise ValueError(f"a step's key is 64 hexadecimal digits, got {key[:80]!r}")
        return self.root / key[:2] / key

    def get(self, key: str, into: Path) -> bool:
        """Copy a finished step into a new folder; says whether there was one.

        It is a copy, not a link, because the child that works there may write to it.
        """
        source = self.path(key)
        if not source.is_dir():
            return False
        try:
            inner = shutil.ignore_patterns(USED)
            shutil.copytree(source, into, ignore=inner, copy_function=shutil.copyfile, dirs_exist_ok=True)
            (source / USED).touch()
        except (FileNotFoundError, shutil.Error):  # dropped while it was read
            shutil.rmtree(into, ignore_errors=True)
            return False
        return True

    def put(self, key: str, folder: Path) -> None:
        """Keep a copy of a finished step; a key that is there already keeps what it has."""
        target = self.path(key)
        if target.exists():
            return
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self.root))
        try:
            _copy_plain_files(folder, partial)
            (partial / USED).touch()
            target.parent.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):  # another worker was faster; both made the same
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._make_room(spare=target)

    def _make_room(self, *, spare: Path) -> None:
        """Drop the least recently used steps until the rest fits; one process at a time."""
        with self._lock():
            steps = sorted((path for path in self.root.glob("??/*") if path.is_dir()), key=_last_used, reverse=True)
            room = self.limit_bytes
            for path in steps:
                room -= _folder_bytes(path)
                if room < 0 and path != spare:
                    self._drop(path)

    def _drop(self, path: Path) -> None:
        doomed = self.root / f"partial-{uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _forget_leftovers(self) -> None:
        """Remove what a worker that was killed while writing left behind."""
        for path in self.root.glob("partial-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LEFTOVERS_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def _copy_plain_files(source: Path, target: Path) -> None:
    """Copy files and folders, and nothing a child could have put there besides: links, pipes and devices stay out."""
    for path in sorted(source.rglob("*")):
        if path.is_symlink():
            continue
        copied = target / path.relative_to(source)
        if path.is_dir():
            copied.mkdir(exist_ok=True)
        elif path.is_file() and copied.parent.is_dir():
            _copy_without_following(path, copied)


def _copy_without_following(source: Path, target: Path) -> None:
    """Copy one file, refusing a link that took its place meanwhile."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())


def _last_used(path: Path) -> float:
    try:
        return (path / USED).stat().st_mtime
    except OSError:
        return 0.0


def _folder_bytes(path: Path) -> int:
    total = 0
    for item in path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += item.stat().st_size
    return total
