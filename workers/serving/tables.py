"""The tables behind estimates: prices, grid factors, machines. Dated files; nothing is fetched at run time.

An uploaded table replaces the packaged one of its kind. ``version`` tells two sets of tables apart, so that an
old estimate can say which it used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from workers.errors import YoursToFix
from workers.serving.table_rows import (
    KINDS,
    TABLES,
    Cpu,
    Gpu,
    GridFactor,
    Instance,
    Kind,
    Price,
    Pue,
    Region,
    Serverless,
    keyed,
    rows,
)

FOLDER = Path(__file__).parent.parent / "estimates" / "data"
LIFE_MONTHS = 72.0  # six years, over which embodied carbon is spread


@dataclass(frozen=True)
class Tables:
    """One set of tables, by key. Prices and serverless rates: (provider, region, …); instances: (provider, name).

    ``texts`` are the CSV files they were read from.
    """

    prices: dict[tuple[str, str, str], Price]
    grid: dict[str, GridFactor]
    regions: dict[tuple[str, str], Region]
    instances: dict[tuple[str, str], Instance]
    cpus: dict[str, Cpu]
    gpus: dict[str, Gpu]
    pue: dict[str, Pue]
    serverless: dict[tuple[str, str], Serverless]
    version: str
    texts: Mapping[Kind, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, texts: Mapping[Kind, str]) -> Tables:
        """A set of tables from their CSV files.

        Raises:
            YoursToFix: if a file is not such a table (names the line), or an instance has a processor of no table.
        """
        found = {kind: keyed(rows(texts[kind], TABLES[kind].row), TABLES[kind].row) for kind in KINDS}
        plain = {
            kind: {key[0] if len(key) == 1 else key: row for key, row in table.items()} for kind, table in found.items()
        }
        content = "".join(f"{kind}\n{texts[kind]}" for kind in KINDS)
        made = cls(**plain, version=hashlib.sha256(content.encode()).hexdigest()[:12], texts=dict(texts))  # type: ignore[arg-type]
        made.see_that_all_is_there()
        return made

    def replaced(self, kind: Kind, text: str) -> Tables:
        """These tables with one of them taken from an uploaded CSV file.

        Raises:
            YoursToFix: if the file is not such a table; names the line.
        """
        return self.read({**self.texts, kind: text})

    def see_that_all_is_there(self) -> None:
        """Raise ``YoursToFix`` if an instance has a processor that no table holds."""
        for row in self.instances.values():
            if row.cpu not in self.cpus or (row.gpu is not None and row.gpu not in self.gpus):
                raise YoursToFix(
                    f"Expected every processor of the instances in the tables, found {row.gpu or row.cpu!r} of "
                    f"{row.instance} in none.",
                    hint="Upload the processors first, then the instances.",
                    code="tables.dangling",
                )

    def priced(self, provider: str, region: str) -> tuple[Instance, ...]:
        """The instances with a price in a region, by name."""
        names = sorted(each for owner, place, each in self.prices if (owner, place) == (provider, region))
        return tuple(self.instances[provider, name] for name in names if (provider, name) in self.instances)


@cache
def tables() -> Tables:
    """The packaged tables."""
    return Tables.read(packaged())


def packaged() -> dict[Kind, str]:
    """The packaged CSV files; the grid's, one for each source, as one."""
    grid = [path.read_text().splitlines(keepends=True) for path in sorted(FOLDER.glob("grid_*.csv"))]
    one_grid = "".join([grid[0][0], *(line for lines in grid for line in lines[1:])])
    others = {kind: (FOLDER / f"{kind}.csv").read_text() for kind in KINDS if kind != "grid"}
    return cast(dict[Kind, str], {**others, "grid": one_grid})
