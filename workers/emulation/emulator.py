"""Other processors on this host: which of them QEMU's user mode can stand in for, and what is missing for the rest.

QEMU runs the same instructions on the same numbers, so answers are those of the other processor, bit for bit. It
is slower by a factor that says nothing about any device (float32 720 to 1545 times, int8 137 to 277 times on an
AVX512 host): its time is never kept.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from workers.device import DeviceProfile, host
from workers.errors import Frozen

VARIABLE = "HUB_AARCH64"
PREPARE = "docs/edge-emulation.md in the hub's folder says how to prepare it"
X86_WITHOUT_VNNI = "Haswell"  # QEMU 7.2 and newer translate AVX2; none translates AVX512
ARM_WITH_DOT_PRODUCT, ARM_WITHOUT = "cortex-a76", "cortex-a72"
CPUINFO = "proc/cpuinfo"  # ONNX Runtime chooses its kernels by it, and must be told the processor that QEMU plays


class Emulator(Frozen):
    """How to run Python as another processor: what stands before the script, and what has to be readable for it."""

    title: str
    command: tuple[str, ...]
    packages: str = ""
    readable: tuple[Path, ...] = ()


def prepared(environment: Mapping[str, str]) -> Path | None:
    """The folder an operator prepared for aarch64, as ``HUB_AARCH64`` names it."""
    named = environment.get(VARIABLE, "")
    return Path(named).resolve() if named else None


def emulator(there: DeviceProfile, aarch64: Path | None) -> Emulator | str:
    """The emulator for a profile, or the reason why its answers cannot be compared here.

    Args:
        aarch64: the folder an operator prepared, with ``root`` (a Debian arm64 tree with Python), ``site`` (numpy and
            onnxruntime for aarch64), and for each processor a folder of its name that leads to ``root`` and has its
            own ``proc/cpuinfo``.
    """
    if not there.runs_onnxruntime:
        return f"ONNX Runtime's CPU kernels do not run on {there.title}: nothing here computes as it does."
    here = host()
    if there.arch == here.arch and there.has_int8_dot_product == here.has_int8_dot_product:
        return "Not needed: this worker has the same kind of instructions, and the answers were measured on it."
    return _x86(there) if there.arch == "x86_64" else _arm(there, aarch64)


def _x86(there: DeviceProfile) -> Emulator | str:
    if there.has_int8_dot_product:
        return "QEMU cannot stand in for VNNI instructions; a worker on such a processor can tell."
    qemu = shutil.which("qemu-x86_64")
    if qemu is None or host().arch != "x86_64":
        return "This worker has no qemu-x86_64 on an x86-64 host. Install qemu-user 7.2 or newer and start it again."
    return Emulator(
        title=f"qemu-x86_64 as {X86_WITHOUT_VNNI} (AVX2, no VNNI)",
        command=(qemu, "-cpu", X86_WITHOUT_VNNI, sys.executable, "-P"),
    )


def _arm(there: DeviceProfile, aarch64: Path | None) -> Emulator | str:
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        return f"This worker has no qemu-aarch64. Install qemu-user and set {VARIABLE}; {PREPARE}."
    python = _python(aarch64)
    if aarch64 is None or python is None:
        return f"This worker has no Python for aarch64. Set {VARIABLE} to a prepared folder; {PREPARE}."
    processor = ARM_WITH_DOT_PRODUCT if there.has_int8_dot_product else ARM_WITHOUT
    if not (aarch64 / processor / CPUINFO).is_file():
        return f"The folder in {VARIABLE} is not prepared for {processor}; {PREPARE}."
    return Emulator(
        title=f"qemu-aarch64 as {processor}",
        command=(qemu, "-cpu", processor, "-L", str(aarch64 / processor), str(python), "-P"),
        packages=str(aarch64 / "site"),
        readable=(aarch64,),
    )


def _python(folder: Path | None) -> Path | None:
    """The interpreter of a prepared folder that is whole."""
    if folder is None or not (folder / "site" / "onnxruntime").is_dir():
        return None
    return next(iter(sorted((folder / "root" / "usr" / "bin").glob("python3.*[0-9]"))), None)


def abilities(aarch64: Path | None) -> tuple[str, ...]:
    """Which other processors this host can stand in for, as words for the Fleet page."""
    found = []
    if shutil.which("qemu-x86_64") and host().arch == "x86_64":
        found.append("answers as x86 without VNNI")
    if shutil.which("qemu-aarch64") and _python(aarch64):
        found.append("answers as aarch64")
    return tuple(found)


def shortcomings(aarch64: Path | None) -> tuple[str, ...]:
    """What this host cannot compare, with what would enable it; empty where it can all."""
    said = []
    if host().arch == "x86_64" and not shutil.which("qemu-x86_64"):
        said.append("Answers as x86 without VNNI: not here. Install qemu-user 7.2 or newer.")
    if not shutil.which("qemu-aarch64"):
        said.append(f"Answers as aarch64: not here. Install qemu-user and set {VARIABLE}; {PREPARE}.")
    elif _python(aarch64) is None:
        said.append(f"Answers as aarch64: not here. Set {VARIABLE} to a folder with Python for aarch64; {PREPARE}.")
    return tuple(said)
