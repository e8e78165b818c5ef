"""What a child gives up before it touches a file somebody uploaded, and what this host can offer of it."""

import contextlib
import ctypes
import os
import resource
import site
import sys
from collections.abc import Sequence
from pathlib import Path

from workers.facts import SandboxFacts
from workers.sandbox import landlock, seccomp
from workers.ticket import Limits

PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = tuple(
    Path(path)
    for path in (
        *("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime"),
        *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
        *("/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/urandom", "/dev/random", "/dev/zero"),
    )
)
GPU_CONTROL = Path("/dev/nvidiactl")
MOST_OPEN_FILES = 1024
FULL_SINCE_ABI = 3
SIGNALS_SINCE_ABI = 6
CAPABILITY_VERSION = 0x20080522
CAPABILITY_DAC_READ_SEARCH = 1 << 2


def level() -> SandboxFacts:
    """The confinement a child reaches on this host, in words a person can act on."""
    version, filtered = landlock.abi(), seccomp.available()
    says = (_about_files(version), _about_network(filtered), _about_memory())
    whole = version >= FULL_SINCE_ABI and filtered
    word = "full" if whole else "partial" if version or filtered else "minimal"
    return SandboxFacts(level=word, landlock_abi=version, seccomp=filtered, says=says)  # type: ignore[arg-type]


def _about_files(version: int) -> str:
    if not version:
        return "Files: a job could open what this user can open. Linux 5.13 or newer with Landlock closes this."
    if version < FULL_SINCE_ABI:
        return (
            f"Files: closed but for the job's own (Landlock {version}); Linux 6.2 also stops emptying a readable one."
        )
    return f"Files: closed but for the job's own (Landlock {version})."


def _about_network(filtered: bool) -> str:
    if filtered:
        return "Network: no sockets; dangerous system calls are refused (seccomp)."
    return "Network: a job could open connections. Linux on x86-64 or aarch64 with seccomp closes this."


def _about_memory() -> str:
    if sys.platform == "linux":
        return "Memory, disk, processes and time: limited by the kernel and watched twice a second."
    return "Memory, disk, processes and time: watched twice a second, not enforced by this system itself."


def _limit(kind: int, value: int) -> None:
    """Lower one limit; never above what the process was given."""
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
        resource.setrlimit(kind, (value, value))


def _limit_everything(limits: Limits) -> None:
    # RLIMIT_AS would count address space that CUDA and thread pools reserve and never use.
    _limit(resource.RLIMIT_DATA, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.disk_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    _limit(resource.RLIMIT_CPU, limits.wall_seconds * (os.cpu_count() or 1) + 1)


def _die_first() -> None:
    """If memory runs out on the host, the kernel takes this process before any other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _drop_capabilities() -> None:
    """Give up what root may do, but for reading through closed folders to the interpreter's own files."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    words = (ctypes.c_uint32 * 6)()
    if libc.capget(header, words):
        return
    kept = words[1] & CAPABILITY_DAC_READ_SEARCH
    libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))


def _code() -> list[Path]:
    """Where Python and its packages live, without the folder that holds ``workers``: that may be a checkout."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages(), *sys.path}
    return [PACKAGE, *(Path(path) for path in found if path and Path(path).resolve() != PACKAGE.parent)]


def _devices() -> list[Path]:
    devices = [Path("/dev/null")]
    if GPU_CONTROL.exists():
        devices += [*Path("/dev").glob("nvidia*"), Path("/dev/shm"), Path("/proc/driver/nvidia")]
    return devices


def confine(*, folder: Path, readable: Sequence[Path], limits: Limits) -> tuple[str, ...]:
    """Give up everything this work does not need. There is no way back for this process.

    Call it with one thread: Landlock binds the calling thread and those it starts.

    Args:
        folder: the work's own folder, to read and to fill. Inputs belong elsewhere: rules only add, so
            nothing below it can be made read-only.
        readable: further files or folders, to read only.
        limits: memory, disk and time.

    Returns:
        What could not be closed on this host, one sentence each; empty where all could.

    Raises:
        OSError: if the kernel offers a protection and refuses to apply it.
    """
    _limit_everything(limits)
    _die_first()
    loose = landlock.threads() - 1
    version = landlock.restrict(readable=[*SYSTEM, *_code(), *readable], writable=[folder, *_devices()])
    _drop_capabilities()
    seccomp.restrict(guard_signals=version < SIGNALS_SINCE_ABI)
    return _shortcomings(loose)


def _shortcomings(loose: int) -> tuple[str, ...]:
    reached = level()
    said = () if reached.level == "full" else reached.says
    if loose and reached.landlock_abi:
        said += (f"{loose} threads were started before the rules about files and are not bound by them.",)
    return said
