"""Makes ``.venv`` and installs into it what the requirement files name. Standard library only.

A stamp in ``.venv`` holds the hash of the requirement files: while it matches, a start costs nothing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from compressionhub.site.ground import CannotStart, require_room, require_writable

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "hub-stamp.json"
SITE = ROOT / "requirements.txt"
TESTS = ROOT / "tests" / "requirements.txt"
GIB = 1 << 30
CPU_BUILD = (550 << 20, 2 * GIB)  # download and space of everything, measured on Linux x86-64
FEW = (350 << 20, GIB)  # everything but torch
CUDA_BUILD = (3 * GIB, 9 * GIB)  # the same with torch's CUDA build and the libraries it brings


def enter(argv: list[str], *, install: bool, tests: bool) -> None:
    """Go on in ``.venv``: returns if this is its Python, else starts the command again there.

    Args:
        argv: the whole command line.
        install: whether to make ``.venv`` and install what is missing.
        tests: whether that includes what tests and checks need.
    """
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    wanted = [SITE, TESTS] if tests else [SITE]
    if not install:
        if not inside and PYTHON.exists():
            _again(argv)
        if find_spec("django") is None:
            sys.exit("Nothing is installed yet. Run python3 manage.py up first.")
        return
    if not inside and not PYTHON.exists() and satisfied(wanted):
        return  # an image or an environment of one's own that already holds every pinned version
    try:
        _install(wanted)
    except CannotStart as problem:
        sys.exit(str(problem))
    if not inside:
        _again(argv)


def _again(argv: list[str]) -> NoReturn:
    sys.stdout.flush()
    os.execv(PYTHON, [str(PYTHON), str(ROOT / "manage.py"), *argv[1:]])


def _install(wanted: list[Path]) -> None:
    if _stamped(wanted):
        return
    if not PYTHON.exists():
        require_writable(ROOT)
        _make_venv()
    if lacking := _missing_inside(wanted):
        require_writable(VENV)
        _announce(lacking)
        _pip(wanted)
    _stamp(wanted)


def digest(files: Iterable[Path]) -> str:
    """The hash of requirement files and of those they name by ``-r``."""
    total = hashlib.sha256()
    for path in files:
        for line in path.read_text().splitlines():
            name, _, rest = line.strip().partition(" ")
            total.update(digest([path.parent / rest.strip()]).encode() if name == "-r" else line.encode())
    return total.hexdigest()


def _stamps() -> dict[str, str]:
    try:
        found = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stamped(wanted: list[Path]) -> bool:
    stamps = _stamps()
    return PYTHON.exists() and all(stamps.get(_name(path)) == digest([path]) for path in wanted)


def _stamp(wanted: list[Path]) -> None:
    STAMP.write_text(json.dumps({**_stamps(), **{_name(path): digest([path]) for path in wanted}}))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def pins(files: Iterable[Path]) -> dict[str, str]:
    """Every ``name==version`` of requirement files and of those they name, extras left out."""
    found: dict[str, str] = {}
    for path in files:
        for line in path.read_text().splitlines():
            text = line.partition("#")[0].strip()
            if text.startswith("-r "):
                found |= pins([path.parent / text[3:].strip()])
            elif "==" in text:
                name, _, version = text.partition("==")
                found[name.partition("[")[0].strip()] = version.strip()
    return found


def satisfied(files: Iterable[Path]) -> bool:
    """Whether this Python has every pinned version; ``2.13.0+cpu`` counts as 2.13.0."""
    return not missing(files)


def missing(files: Iterable[Path]) -> list[str]:
    """What of the pinned versions this Python does not have."""
    return [name for name, version in pins(files).items() if not _has(name, version)]


def _has(name: str, version: str) -> bool:
    try:
        return metadata.version(name).partition("+")[0] == version
    except metadata.PackageNotFoundError:
        return False


def _missing_inside(wanted: list[Path]) -> list[str]:
    script = (
        "import json, sys; from pathlib import Path; from compressionhub.site.bootstrap import missing; "
        "print(json.dumps(missing(map(Path, sys.argv[1:]))))"
    )
    said = subprocess.run(
        [str(PYTHON), "-c", script, *map(str, wanted)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if said.returncode != 0:
        raise CannotStart(f"Expected a working Python in {VENV}, found a broken one: delete that folder and try again.")
    found: list[str] = json.loads(said.stdout)
    return found


def _make_venv() -> None:
    if find_spec("ensurepip") is None:
        raise CannotStart(
            "Expected Python with its venv module, found one without: install the package python3-venv and try again."
        )
    shared = _has("torch", pins([SITE])["torch"])
    print(f"Making {VENV}{' on top of the torch that is installed' if shared else ''} ...", flush=True)
    venv.create(VENV, with_pip=True, clear=True, symlinks=True, system_site_packages=shared)


def _announce(lacking: list[str]) -> None:
    if "torch" not in lacking:
        require_room(ROOT, FEW[1])
        print(f"Fetching {len(lacking)} packages, at most {_size(FEW[0])}: {', '.join(lacking)}.", flush=True)
        return
    build, where = _which_torch()
    download, space = CUDA_BUILD if build == "CUDA" else CPU_BUILD
    require_room(ROOT, space)
    print(f"Fetching about {_size(download)}, {_size(space)} on disk; most of it is torch, {where}.", flush=True)
    if build == "CUDA":
        print(
            "Without an NVIDIA GPU the CPU build does and is far smaller: "
            "stop with Ctrl-C and see 'A smaller torch' in README.md.",
            flush=True,
        )


def _which_torch() -> tuple[str, str]:
    """Ask pip which build of torch its configuration leads to: ``CPU`` or ``CUDA``, and where it comes from."""
    version = pins([SITE])["torch"]
    ask = f"-m pip install --quiet --dry-run --no-deps --report - torch=={version}".split()
    said = subprocess.run([str(PYTHON), *ask], capture_output=True, text=True, check=False)
    try:
        found = json.loads(said.stdout)["install"]
    except (ValueError, KeyError):
        found = []
    if not found:
        return "CPU", "which pip will look for"
    url = str(found[0]["download_info"]["url"])
    plain_linux = sysconfig.get_platform() == "linux-x86_64" and "cpu" not in url.rpartition("/")[2]
    build = "CUDA" if plain_linux else "CPU"
    return build, f"{build} build from {url.partition('://')[2].partition('/')[0] or 'this machine'}"


def _pip(wanted: list[Path]) -> None:
    files = [part for path in wanted for part in ("-r", str(path))]
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *files]
    if subprocess.run(command, check=False).returncode != 0:
        free = _size(shutil.disk_usage(ROOT).free)
        raise CannotStart(
            f"Installing stopped; pip says why above ({free} are free on this disk). "
            "Put it right and run the command again: it goes on from here."
        )


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GB" if count >= GIB else f"{count >> 20} MB"
