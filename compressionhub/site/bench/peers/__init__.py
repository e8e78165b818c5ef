"""``python3 manage.py bench peers``: works that peers do, done by them and by recipes of ours, side by side.

One file per network. Slow, an hour or more for all, so that ``bench`` without names leaves it out.
"""

import argparse
import importlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.material import Absent

CASES = ("cnn", "minilm", "smollm", "speech", "tabular")
HEAD = ("work", "peer", "ours", "reach", "verdict", "time of our recipe")
PREAMBLE = """# What peers do, and what the same work gives here

Written by `python3 manage.py bench peers --table docs/peers.md`; the recipes are in `examples/recipes`, what peers do
is in `examples/peers`. Sizes and speeds are ratios to the float network, timed in turn in one process on one thread;
two speeds are for batches of 1 and 32. Metrics are on test rows, which no decision of a recipe has seen.
"""
Work = Callable[[Path, Options], Line]


def main(argv: list[str]) -> int:
    """Measure the named works, or all of them.

    Returns:
        0 if every work reaches what it should; those whose material is absent do not count.
    """
    known = works()
    parser = argparse.ArgumentParser(prog="manage.py bench peers", description="Compare with what peers do.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"a network or one of {', '.join(known)}")
    parser.add_argument("--cnn", type=Path, metavar="FILE", help="a trained network in ONNX for the case cnn")
    parser.add_argument("--published", action="store_true", help="quote peers that train, and do not run them")
    parser.add_argument("--folder", type=Path, help="keep what is made here; what was made before is not made again")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write all that was measured in the folder")
    options = parser.parse_args(argv)
    wanted = options.cases or list(CASES)
    if unknown := [name for name in wanted if name not in (*CASES, *known)]:
        parser.error(f"expected cases among {', '.join((*CASES, *known))}, found {', '.join(unknown)}")
    print(conditions(), flush=True)
    with tempfile.TemporaryDirectory(prefix="hub-peers-") as made:
        folder = (options.folder or Path(made)).resolve()
        chosen = [name for name in known if name in wanted or name.partition("/")[0] in wanted]
        good = [_measured(name, known[name], folder, Options(options.cnn, options.published)) for name in chosen]
        if options.table:
            options.table.write_text(table(folder))
    return 0 if all(good) else 1


def works() -> dict[str, Work]:
    """Every work, under the name of its network and its own."""
    return {f"{case}/{name}": work for case in CASES for name, work in _module(case).WORKS.items()}


def conditions() -> str:
    """The machine and the day."""
    from workers.device import host

    here, versions = host(), [f"{name} {version(name)}" for name in ("onnxruntime", "torch")]
    kind = "8-bit dot product (VNNI)" if here.has_int8_dot_product else "no 8-bit dot product"
    system = f"{platform.system()} {platform.machine()}, {kind}, {here.cores} cores"
    return f"{system}, {', '.join(versions)}, {datetime.now(UTC):%Y-%m-%d}"


def table(folder: Path) -> str:
    """Every work as Markdown, with what was measured of it in this folder."""
    rows = [PREAMBLE, conditions() + ".", "", _row(*HEAD), _row(*("---" for _ in HEAD))]
    for name in works():
        title, kept = _module(name.partition("/")[0]).TITLE, _kept(folder, name)
        line = Line(**json.loads(kept.read_text())) if kept.exists() else None
        cells = _cells(line) if line else (name.partition("/")[2], "", "", "", "not measured", "")
        rows.append(_row(f"{title}: {cells[0]}", *cells[1:]))
    return "\n".join(rows) + "\n"


def _measured(name: str, work: Work, folder: Path, options: Options) -> bool:
    """Measure one work, keep and print its line; whether nothing speaks against it."""
    case, began = name.partition("/")[0], time.monotonic()
    title = _module(case).TITLE
    (folder / case).mkdir(parents=True, exist_ok=True)
    try:
        line = work(folder / case, options)
    except Absent as missing:
        print(f"SKIPPED {name}: this machine lacks its material. Install it with: {missing}", flush=True)
        return True
    except Exception as error:  # one work that fails must not hide the others
        print(f"BROKEN {name}: {type(error).__name__}: {error}", flush=True)
        return False
    _kept(folder, name).write_text(json.dumps(asdict(line)))
    print(f"{title}: " + " | ".join(_cells(line)), flush=True)
    print(f"  {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return line.good


def _kept(folder: Path, name: str) -> Path:
    case, _, work = name.partition("/")
    return folder / case / f"{work}.line.json"


def _module(case: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{case}")


def _cells(line: Line) -> tuple[str, ...]:
    return line.work, line.peer, line.ours, line.reach, line.verdict, line.note


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
