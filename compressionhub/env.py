"""Every environment variable the product reads: its type, its default and what it means.

Nothing else in the hub reads the environment. ``docs/settings.md`` is made from this table.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
GIB = 1 << 30


class BadVariable(ValueError):
    """An environment variable holds something that its type cannot be."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        super().__init__(f"{name}: expected {expected}, found {found!r}. Correct or unset it and start again.")


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[value.strip().lower()]


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _folder(value: str) -> Path:
    return Path(value).expanduser().resolve()


KINDS: dict[Callable[[str], object], str] = {
    _text: "a text",
    _flag: "1 or 0",
    _names: "names with commas between",
    _folder: "a folder",
    int: "a whole number",
}


@dataclass(frozen=True)
class Variable(Generic[T]):
    """One variable. ``default`` is what it means to leave it out, ``shown`` how the documentation says that."""

    name: str
    parse: Callable[[str], T]
    default: Callable[[], T]
    shown: str
    meaning: str

    @property
    def kind(self) -> str:
        """What may stand in it, in words."""
        return KINDS[self.parse]

    def read(self) -> T:
        """The value now.

        Raises:
            BadVariable: if the text cannot be read as this type.
        """
        found = os.environ.get(self.name, "")
        if not found:
            return self.default()
        try:
            return self.parse(found)
        except (ValueError, KeyError):
            raise BadVariable(self.name, found, self.kind) from None


def valkey_url_file() -> Path:
    """Where ``up`` writes the address of the Valkey server it started, readable by its owner alone."""
    return DATA.read() / "valkey" / "url"


def _redis_url() -> str:
    try:
        return valkey_url_file().read_text().strip()
    except OSError:
        return "redis://127.0.0.1:6379/0"


DATA = Variable(
    "HUB_DATA",
    _folder,
    lambda: ROOT / "var",
    "`./var`",
    "Everything the site writes: database, store, keys, logs of Valkey.",
)
STORE = Variable(
    "HUB_STORE", _folder, lambda: DATA.read() / "store", "`HUB_DATA/store`", "Uploaded files and artifacts, by content."
)
CACHE_BYTES = Variable(
    "HUB_STEP_CACHE_BYTES",
    int,
    lambda: 20 * GIB,
    "20 GiB",
    "Most that finished steps kept for reuse may take; the least recently used go first.",
)
UPLOAD_BYTES = Variable("HUB_UPLOAD_BYTES", int, lambda: 20 * GIB, "20 GiB", "The largest file that may be uploaded.")
QUOTA_BYTES = Variable(
    "HUB_QUOTA_BYTES",
    int,
    lambda: 200 * GIB,
    "200 GiB",
    "Most that the models, datasets and unfinished uploads of one team may take.",
)
UPLOAD_HOURS = Variable(
    "HUB_UPLOAD_HOURS", int, lambda: 24, "24", "Hours after which an unfinished upload is thrown away."
)
DATABASE_URL = Variable(
    "DATABASE_URL",
    _text,
    lambda: "",
    "SQLite at `HUB_DATA/hub.sqlite3`",
    "`postgres://user:password@host:5432/name`. SQLite serves one host.",
)
REDIS_URL = Variable(
    "REDIS_URL",
    _text,
    _redis_url,
    "the Valkey that `up` starts",
    "Queue, event stream and live pages: any Redis 6.2 or Valkey 7.2 and newer.",
)
HOSTS = Variable(
    "HUB_HOSTS",
    _names,
    lambda: ("localhost", "127.0.0.1", "[::1]"),
    "this machine",
    "Host names under which the site may be asked for.",
)
HTTPS = Variable(
    "HUB_HTTPS",
    _flag,
    lambda: False,
    "0",
    "1 where a proxy ends TLS in front and sets `X-Forwarded-Proto`: secure cookies, HSTS, redirect.",
)
DEBUG = Variable(
    "HUB_DEBUG",
    _flag,
    lambda: False,
    "0",
    "1 while working on the code: tracebacks in the browser, static files straight from `frontend/`.",
)
SECRET_KEY = Variable(
    "HUB_SECRET_KEY",
    _text,
    lambda: "",
    "random, kept in `HUB_DATA/secret-key`",
    "Signs sessions and links. Give every web process the same one.",
)
LOG_JSON = Variable("HUB_LOG_JSON", _flag, lambda: False, "0", "1 for one JSON object a line instead of text.")
METRICS_TOKEN = Variable(
    "HUB_METRICS_TOKEN",
    _text,
    lambda: "",
    "from this machine only",
    "Bearer token with which `/metrics` may be read from elsewhere.",
)

# Read by the workers themselves, who cannot import this module; named here to be documented with the others.
STEP_CACHE = Variable(
    "HUB_CACHE",
    _folder,
    lambda: STORE.read().parent / "steps",
    "`steps` beside the store",
    "Finished steps kept for reuse, on each worker host.",
)
SLOTS = Variable("HUB_SLOTS", int, lambda: 0, "two cores and 4 GiB a job", "How many jobs a worker does at once.")
QUEUES = Variable(
    "HUB_QUEUES",
    _names,
    lambda: (),
    "cpu, and gpu where there is one; the worker of `up` also edge",
    "Which queues a worker serves: cpu, gpu, edge.",
)
AARCH64 = Variable(
    "HUB_AARCH64",
    _text,
    lambda: "",
    "answers as aarch64 are not compared",
    "Folder with a Python for aarch64 on a worker that serves edge; see `docs/edge-emulation.md`.",
)
PROFILE = Variable(
    "HUB_PROFILE",
    _text,
    lambda: "",
    "none: the host times itself",
    "Which device profile a worker's host is; what it measures then counts as measured there.",
)
CALIBRATE = Variable(
    "HUB_CALIBRATE", _text, lambda: "1", "yes", "`0`: a worker does not time standard networks when it first starts."
)
NODE = Variable(
    "HUB_NODE",
    _text,
    lambda: "",
    "the host's name",
    "What a worker is called on the Fleet page; needed where two share a host.",
)

HUB_URL = Variable(
    "HUB_URL",
    _text,
    lambda: "",
    "the folder `HUB_STORE`",
    "The hub's address, for a worker that shares no folder with it: files then come and go over HTTP.",
)
WORKER_TOKEN = Variable(
    "HUB_WORKER_TOKEN",
    _text,
    lambda: "",
    "none",
    "Goes with `HUB_URL`; `python3 manage.py worker_token NAME` on the hub prints both, and the address of the broker.",
)

VARIABLES: tuple[Variable[object], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Variable)
)
