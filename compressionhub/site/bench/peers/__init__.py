"""``python3 manage.py bench peers``: works that peers do, done by them and by recipes of ours, side by side.

One file per network. Slow, an hour or more for all, so that ``bench`` without names leaves it out.
"""

import argparse
import importlib
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from compressionhub.site.bench.peers.line import Line
from compressionhub.site.bench.peers.material import Absent

CASES = ("cnn", "minilm", "smollm", "speech", "tabular")
HEAD = ("work", "peer", "ours", "reach", "verdict", "note")
PREAMBLE = """# What peers do, and what the same work gives here

Written by `python3 manage.py bench peers --table docs/peers.md`; the recipes are in `examples/recipes`, what peers do
is in `examples/peers`. Sizes and speeds are ratios to the float network, timed in turn in one process on one thread;
two speeds are for batches of 1 and 32. Metrics are on test rows, which no decision of a recipe has seen.
"""


def main(argv: list[str]) -> int:
    """Measure the named networks, or all of them.

    Returns:
        0 if every row reaches what it should; networks whose material is absent do not count.
    """
    parser = argparse.ArgumentParser(prog="manage.py bench peers", description="Compare with what peers do.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one or more of: {', '.join(CASES)}")
    parser.add_argument("--cnn", type=Path, metavar="FILE", help="a trained network in ONNX for the case cnn")
    parser.add_argument("--folder", type=Path, help="keep what is made here; finished steps are not done again")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table as Markdown as well")
    options = parser.parse_args(argv)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"expected cases among {', '.join(CASES)}, found {', '.join(sorted(unknown))}")
    print(conditions(), flush=True)
    with tempfile.TemporaryDirectory(prefix="hub-peers-") as made:
        folder = (options.folder or Path(made)).resolve()
        found = {case: _measured(case, folder / case, options.cnn) for case in options.cases or CASES}
    if options.table:
        options.table.write_text(table(found))
    return 0 if all(line.good for lines in found.values() for line in lines) else 1


def conditions() -> str:
    """The machine and the day."""
    from workers.device import host

    here, versions = host(), [_version(name) for name in ("onnxruntime", "torch")]
    kind = (
        f"{platform.system()} {platform.machine()}, {'VNNI' if here.has_int8_dot_product else 'no 8-bit dot product'}"
    )
    return f"{kind}, {len(os.sched_getaffinity(0))} cores, {', '.join(versions)}, {datetime.now(UTC):%Y-%m-%d}"


def table(found: dict[str, list[Line]]) -> str:
    """All rows as Markdown."""
    rows = [PREAMBLE, conditions() + ".", "", _row(*HEAD), _row(*("---" for _ in HEAD))]
    for case, lines in found.items():
        title = _module(case).TITLE
        rows += [_row(f"{title}: {line.work}", *_cells(line)[1:]) for line in lines]
        rows += [] if lines else [_row(title, "", "", "", "skipped or broken", "")]
    return "\n".join(rows) + "\n"


def _measured(case: str, folder: Path, cnn: Path | None) -> list[Line]:
    module, began = _module(case), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lines: list[Line] = module.measure(folder, cnn)
    except Absent as missing:
        print(f"SKIPPED {module.TITLE}: this machine lacks its material. Install it with: {missing}", flush=True)
        return []
    except Exception as error:  # one network that fails must not hide the others
        print(f"BROKEN {module.TITLE}: {type(error).__name__}: {error}", flush=True)
        return [Line("all", "", f"{type(error).__name__}", "", good=False)]
    for line in lines:
        print(f"{module.TITLE}: " + " | ".join(_cells(line)), flush=True)
    print(f"  {case} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return lines


def _module(case: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{case}")


def _cells(line: Line) -> tuple[str, ...]:
    return line.work, line.peer, line.ours, line.reach, line.verdict, line.note


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _version(name: str) -> str:
    from importlib.metadata import version

    return f"{name} {version(name)}"
