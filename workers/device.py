"""A device profile: where a network runs, and how. One TOML file each, or read from this machine."""

import os
import platform
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

from workers.errors import Frozen, YoursToFix
from workers.facts import Fit as Fit

FOLDER = Path(__file__).parent / "devices"
VERSIONS_OF = ("onnx", "onnxruntime", "numpy")
INT8_DOT_PRODUCT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "dotprod", "i8mm"})
ARM = frozenset({"aarch64", "arm64"})
COMPUTERS = ARM | {"x86_64"}


class DeviceProfile(Frozen):
    """Device, runtime, version, threads and precision, under one short key.

    ``sources`` cites each figure by field name; a field named in ``unverified`` rests on one
    vendor sheet or less. ``usual_batch`` is the batch size its verdict is given for. Power is at full load, with
    its range; without a ``fit`` nothing is predicted for this profile.
    """

    key: str
    title: str
    kind: str = "host"
    runtime: str = "onnxruntime"
    runtime_version: str = ""
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    precision: str = "float32"
    arch: str = ""
    isa: tuple[str, ...] = ()
    cores: int = 1
    memory_bytes: int = 0
    usual_batch: int = 1
    power_w: float | None = None
    power_low_w: float | None = None
    power_high_w: float | None = None
    idle_w: float | None = None
    battery_wh: float | None = None
    price_usd: float | None = None
    sources: dict[str, str] = {}
    unverified: tuple[str, ...] = ()
    fit: Fit | None = None

    @property
    def runs_onnxruntime(self) -> bool:
        """Whether a process of ONNX Runtime on a CPU stands for this device; one for another runtime's table does."""
        return self.arch in COMPUTERS and self.provider in ("CPUExecutionProvider", "CPU")

    @property
    def has_int8_dot_product(self) -> bool:
        """Whether int8 products are summed in 32 bits by one instruction, so that U8S8 cannot saturate."""
        return bool(INT8_DOT_PRODUCT & set(self.isa))


def _cpu_lines() -> dict[str, str]:
    """The first processor of /proc/cpuinfo, or nothing where there is none (macOS)."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


def _total_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def host() -> DeviceProfile:
    """The profile of this machine, read from the machine: one thread of ONNX Runtime on its CPU."""
    cpu = _cpu_lines()
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    arch = platform.machine()
    if platform.system() == "Darwin" and arch == "arm64":
        flags = ["asimd", "asimddp"]  # every Apple M-series core has the dot-product instructions
    known = (
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx_vnni",
        "amx_int8",
        "amx_bf16",
        "avx512_fp16",
        "asimd",
        "asimddp",
        "i8mm",
    )
    isa = tuple(flag for flag in known if flag in flags)
    name = cpu.get("model name") or platform.processor() or arch
    try:
        version = metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:
        version = ""
    return DeviceProfile(
        key="host-1t",
        title=f"{name}, 1 thread",
        arch=arch,
        isa=isa,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_total_memory_bytes(),
        runtime_version=version,
    )


@cache
def profiles() -> dict[str, DeviceProfile]:
    """Every known profile by key: those in the folder, and this host."""
    found = {"host-1t": host()}
    for path in sorted(FOLDER.glob("*.toml")):
        profile = DeviceProfile.model_validate(tomllib.loads(path.read_text()))
        if profile.key in found:
            raise ValueError(f"two device profiles are called {profile.key!r}")
        found[profile.key] = profile
    return found


def profile(key: str) -> DeviceProfile:
    """Look a profile up.

    Raises:
        YoursToFix: if no profile has this key.
    """
    try:
        return profiles()[key]
    except KeyError:
        raise YoursToFix(
            f"Expected the key of a device profile, found {key!r}.",
            hint=f"Known keys: {', '.join(profiles())}.",
            code="device.unknown",
        ) from None


@cache
def versions() -> dict[str, str]:
    """The versions a result depends on: part of every report and of every cache key."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in VERSIONS_OF}}
