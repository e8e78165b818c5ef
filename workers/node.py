"""Which host this worker is: its name, its room for jobs, what it can do, and its own folders."""

import argparse
import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from workers import energy
from workers.device import host, profile, versions
from workers.emulation import emulator, limits
from workers.errors import YoursToFix
from workers.facts import EdgeFacts, NodeFacts
from workers.sandbox import level
from workers.ticket import GIB

QUEUES = ("cpu", "gpu", "edge")
MEMORY_PER_JOB = 4 * GIB
MEMORY_FOR_A_SPARE_TORCH = 6 * GIB
CACHE_BYTES = 20 * GIB
GPUS = Path("/proc/driver/nvidia/gpus")
SCRATCH_LOCK = ".lock"
NO_GROUP = (
    "Memory of a device: held by RLIMIT_DATA, a crash guard that counts what a process reserves, not what it uses. "
    "A memory control group that this worker may write to (systemd: Delegate=memory) measures it exactly."
)


@dataclass(frozen=True)
class Settings:
    """What a worker is told by its environment and its command line.

    With ``hub_url`` files come from the hub and go to it; without, the worker shares the folder ``store``.
    """

    redis_url: str
    store: Path
    cache: Path
    cache_bytes: int
    node: str
    queues: tuple[str, ...]
    slots: int
    threads: int
    aarch64: Path | None = None
    profile: str = ""
    calibrates: bool = True
    hub_url: str = ""
    token: str = ""

    @property
    def scratch(self) -> Path:
        """Beside the cache, so that it lies on the same disk as the store and inputs can be linked."""
        return self.cache.parent / "scratch"


def settings(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read ``--queues``, ``--slots`` and ``--profile`` and the variables of a worker.

    Raises:
        YoursToFix: if one is missing or makes no sense.
    """
    options = _parser().parse_args(argv)
    if not environment.get("REDIS_URL"):
        raise YoursToFix(
            "Expected the address of the hub's Redis or Valkey in REDIS_URL, found none.",
            hint="Set it to redis://:password@host:6379/0; where 'up' runs, it stands in var/valkey/url.",
            code="worker.no-broker",
        )
    store = Path(environment.get("HUB_STORE") or "var/store").resolve()
    slots = _number(options.slots or environment.get("HUB_SLOTS"), "HUB_SLOTS") or usual_slots()
    return Settings(
        redis_url=environment["REDIS_URL"],
        store=store,
        cache=Path(environment.get("HUB_CACHE") or store.parent / "steps").resolve(),
        cache_bytes=_number(environment.get("HUB_STEP_CACHE_BYTES"), "HUB_STEP_CACHE_BYTES") or CACHE_BYTES,
        node=environment.get("HUB_NODE", ""),
        queues=_queues(options.queues or environment.get("HUB_QUEUES") or ""),
        slots=slots,
        threads=max(1, host().cores // slots),
        aarch64=emulator.prepared(environment),
        profile=_profile(options.profile or environment.get("HUB_PROFILE") or ""),
        calibrates=environment.get("HUB_CALIBRATE", "1") != "0",
        **_hub(environment),
    )


def _hub(environment: Mapping[str, str]) -> dict[str, str]:
    """The hub's address and this worker's token, where files do not come from a shared folder."""
    address, token = environment.get("HUB_URL", ""), environment.get("HUB_WORKER_TOKEN", "")
    if bool(address) != bool(token) or (address and not address.startswith(("http://", "https://"))):
        raise YoursToFix(
            "Expected both HUB_URL (http:// or https://) and HUB_WORKER_TOKEN, or neither.",
            hint="On the hub, python3 manage.py worker_token NAME prints both; a worker beside the hub needs none.",
            code="worker.bad-setting",
        )
    return {"hub_url": address, "token": token}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers work", description="Take jobs from the hub's queues.")
    parser.add_argument("--queues", help="which queues to serve, for example: cpu,edge")
    parser.add_argument("--slots", help="how many jobs at once; by default what memory and cores allow")
    parser.add_argument(
        "--profile", metavar="KEY", help="which device profile this host is, for example: c6i-xlarge-1t; see 'devices'"
    )
    return parser


def _profile(key: str) -> str:
    """The key of the profile on file that this host declares to be, or nothing.

    Raises:
        YoursToFix: if there is no such profile, or it is plainly another processor.
    """
    if not key:
        return ""
    declared = profile(key)
    if declared.arch and declared.arch != host().arch:
        raise YoursToFix(
            f"Expected the profile of a host with {host().arch}, found {key!r}, which is {declared.arch}.",
            hint="Leave HUB_PROFILE out where no profile is this host: it then times itself.",
            code="worker.bad-setting",
        )
    return declared.key


def _number(text: str | None, name: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or not int(text):
        raise YoursToFix(
            f"Expected a whole number above zero in {name}, found {text!r}.",
            hint="Leave it out for the default.",
            code="worker.bad-setting",
        )
    return int(text)


def _queues(text: str) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))
    unknown = set(named) - set(QUEUES)
    if unknown:
        raise YoursToFix(
            f"Expected queues among {', '.join(QUEUES)}, found {', '.join(sorted(unknown))}.",
            hint="For example: --queues cpu,edge",
            code="worker.bad-setting",
        )
    usual = ("cpu", "gpu") if gpu() else ("cpu",)
    return named or usual


def usual_slots() -> int:
    """Two cores and four GiB for each job."""
    return max(1, min(host().cores // 2, host().memory_bytes // MEMORY_PER_JOB))


def can_keep_torch_ready() -> bool:
    """Whether a process that waits with torch loaded, some 300 MB, is worth its memory here."""
    return importlib.util.find_spec("torch") is not None and host().memory_bytes >= MEMORY_FOR_A_SPARE_TORCH


def gpu() -> str:
    """The name of the first CUDA device, empty if there is none."""
    for path in sorted(GPUS.glob("*/information")):
        with contextlib.suppress(OSError):
            found = re.search(r"^Model:\s*(.+)$", path.read_text(), re.MULTILINE)
            return found[1].strip() if found else "CUDA device"
    return ""


def facts(node: str, chosen: Settings) -> NodeFacts:
    """What this host is and can do, for the Fleet page and for routing."""
    device = host()
    meters, lacks = energy.counters()
    return NodeFacts(
        name=node,
        queues=chosen.queues,
        slots=chosen.slots,
        cores=device.cores,
        memory_bytes=device.memory_bytes,
        device=device.key,
        arch=device.arch,
        isa=device.isa,
        cpu=device.title.removesuffix(", 1 thread"),
        gpu=gpu(),
        abilities=_abilities(),
        versions=versions(),
        profile=chosen.profile,
        meters=tuple(each.name for each in meters),
        meters_lack=lacks,
        sandbox=level(),
        edge=_edge(chosen) if "edge" in chosen.queues else None,
    )


def _edge(chosen: Settings) -> EdgeFacts:
    """How this host stands in for other devices."""
    held = limits.means()
    lacks = emulator.shortcomings(chosen.aarch64)
    if held == "RLIMIT_DATA":
        lacks = (NO_GROUP, *lacks)
    return EdgeFacts(memory_cap=held, answers=emulator.abilities(chosen.aarch64), lacks=lacks)


def _abilities() -> tuple[str, ...]:
    libraries = {"onnxruntime": "onnxruntime", "torch": "torch", "transformers": "transformers"}
    found = [ability for ability, module in libraries.items() if importlib.util.find_spec(module)]
    return (*found, "cuda") if gpu() else tuple(found)


class Claim:
    """A name or a folder that belongs to this process until it ends, however it ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a")

    def take(self) -> bool:
        """Whether it is ours now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            return False
        return True


def claim_name(chosen: Settings) -> tuple[str, Claim]:
    """This worker's name on the Fleet page: what it was told, else the host's, numbered where several run.

    Raises:
        YoursToFix: if another worker of this host already uses the name it was told.
    """
    names = [chosen.node] if chosen.node else [_host_name(), *(f"{_host_name()}-{number}" for number in range(2, 100))]
    for name in names:
        claim = Claim(chosen.scratch / "names" / re.sub(r"[^\w.-]", "_", name))
        if claim.take():
            return name, claim
    raise YoursToFix(
        f"Expected a name of its own in HUB_NODE, found {names[0]!r}, which another worker on this host uses.",
        hint="Choose another name, or leave it out.",
        code="worker.name-taken",
    )


def _host_name() -> str:
    return socket.gethostname().split(".")[0] or "worker"


def own_folder(chosen: Settings) -> tuple[Path, Claim]:
    """A scratch folder for this process; those of workers that are gone are removed."""
    jobs = chosen.scratch / "jobs"
    jobs.mkdir(parents=True, exist_ok=True)
    for path in jobs.iterdir():
        if path.is_dir() and Claim(path / SCRATCH_LOCK).take():
            shutil.rmtree(path, ignore_errors=True)
    folder = jobs / uuid4().hex
    claim = Claim(folder / SCRATCH_LOCK)
    claim.take()
    os.chmod(folder, 0o700)
    return folder, claim
