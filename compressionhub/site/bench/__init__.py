"""``python3 manage.py bench``: the figures the product promises, measured here and now, each beside its reach.

One file per figure; a module of this folder with a ``TITLE`` and a ``measure`` is a figure. ``bench peers`` is apart:
it compares with other libraries for an hour, and only when it is named first.
"""

import argparse
import importlib
import os
import pkgutil
import platform
import subprocess
import sys
import time
from types import ModuleType

from compressionhub.env import ROOT
from compressionhub.site.bench import peers
from compressionhub.site.bench.figure import Figure

WIDTHS = (46, 36, 34, 8)


def figures() -> dict[str, ModuleType]:
    """Every figure by the name of its file."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {
        module.__name__.rpartition(".")[2].replace("_", "-"): module for module in modules if hasattr(module, "TITLE")
    }


def main(argv: list[str]) -> int:
    """Measure the named figures, or all, each in a process of its own.

    Returns:
        0 if every figure reaches what it should, else 1.
    """
    if argv[:1] == ["peers"]:
        return peers.main(argv[1:])
    known = figures()
    parser = argparse.ArgumentParser(
        prog="manage.py bench",
        description="Measure what the product promises. 'bench peers' compares with other libraries, which is slow.",
    )
    parser.add_argument("names", nargs="*", metavar="FIGURE", help=f"one or more of: {', '.join(known)}")
    parser.add_argument("--bare", action="store_true", help="measure one figure in this process, without a heading")
    options = parser.parse_args(argv)
    chosen = options.names or list(known)
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"expected figures among {', '.join(known)}, found {', '.join(unknown)}")
    if options.bare:
        reached = [_shown(known[name]) for name in chosen]
        return 0 if all(reached) else 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}")
    print(_row("figure", "measured", "reach", "verdict"), flush=True)
    ended = [subprocess.run([sys.executable, "manage.py", "bench", "--bare", name], cwd=ROOT) for name in chosen]
    return 0 if all(each.returncode == 0 for each in ended) else 1


def _shown(module: ModuleType) -> bool:
    """Measure a figure and print its rows; a site has one database, so two figures share no process."""
    began = time.monotonic()
    try:
        found: list[Figure] = module.measure()
    except Exception as error:
        print(_row(module.TITLE, f"{type(error).__name__}: {error}", "", "broken"), flush=True)
        return False
    for figure in found:
        print(_row(figure.title, figure.measured, figure.reach, "reached" if figure.good else "missed"), flush=True)
    print(f"  took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return all(figure.good for figure in found)


def _row(*cells: str) -> str:
    return " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
