"""The tables behind estimates: prices, grid factors, machines. Dated files; nothing is fetched at run time.

An uploaded table replaces the packaged one of its kind. ``version`` tells two sets of tables apart, so that an
old estimate can say which it used.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from workers.errors import Frozen, YoursToFix
from workers.estimate import Grade

FOLDER = Path(__file__).parent.parent / "estimates" / "data"
MOST_ROWS = 100_000
LIFE_MONTHS = 72.0  # six years, over which embodied carbon is spread

Row = TypeVar("Row", bound="TableRow")
Kind = Literal["prices", "grid"]


class TableRow(Frozen):
    """One line of a table, with where it comes from."""

    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any) -> Any:
        return None if value == "" else value


class Price(TableRow):
    provider: str
    region: str
    instance: str
    usd_per_hour: float = Field(gt=0, lt=10_000, allow_inf_nan=False)
    tenancy: str = "on-demand Linux"
    as_of: date


class GridFactor(TableRow):
    """``year`` is None where the source does not state one."""

    zone: str
    name: str
    gco2e_per_kwh: float = Field(ge=0, lt=3000, allow_inf_nan=False)
    basis: str
    year: int | None = None

    @field_validator("year", mode="before")
    @classmethod
    def _only_a_stated_year(cls, value: Any) -> Any:
        return value if isinstance(value, int) or str(value).isdigit() else None


class Region(TableRow):
    """Which grid zones stand for a region: the central one, and others that span the band."""

    provider: str
    region: str
    title: str
    central: str
    others: str | None = None

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.central, *(self.others or "").split())


class Cpu(TableRow):
    """A processor generation in a data centre: watts per vCPU, the host it sits in, and what the host took to make."""

    cpu: str
    title: str
    idle_w_per_vcpu: float = Field(ge=0)
    full_w_per_vcpu: float = Field(gt=0)
    host_threads: int = Field(gt=0)
    host_sockets: int = Field(gt=0)
    host_tdp_w: float = Field(gt=0)
    embodied_kg_low: float
    embodied_kg: float
    embodied_kg_high: float
    host_grade: Grade
    profile: str | None = None
    as_of: date | None = None


class Gpu(TableRow):
    gpu: str
    title: str
    memory_gb: float
    idle_w: float
    active_w_low: float
    active_w: float
    active_w_high: float
    embodied_kg_low: float
    embodied_kg: float
    embodied_kg_high: float
    profile: str | None = None
    grade: Grade


class Instance(TableRow):
    """``profile``: the device profile that is this very instance; its processor's may be another size's."""

    provider: str
    instance: str
    vcpu: int = Field(gt=0)
    memory_gb: float = Field(gt=0)
    cpu: str
    gpu: str | None = None
    gpus: int = 0
    profile: str | None = None


class Pue(TableRow):
    provider: str
    low: float = Field(ge=1)
    central: float = Field(ge=1)
    high: float = Field(ge=1)
    year: int | None = None
    grade: Grade

    @model_validator(mode="after")
    def _ordered(self) -> Pue:
        if not self.low <= self.central <= self.high:
            raise ValueError("expected low <= central <= high")
        return self


class Serverless(TableRow):
    provider: str
    region: str
    usd_per_gb_s: float = Field(gt=0)
    usd_per_request: float = Field(ge=0)
    as_of: date | None = None


@dataclass(frozen=True)
class Tables:
    """One set of tables, by key. Prices and serverless rates: (provider, region, …); instances: (provider, name)."""

    prices: dict[tuple[str, str, str], Price]
    grid: dict[str, GridFactor]
    regions: dict[tuple[str, str], Region]
    instances: dict[tuple[str, str], Instance]
    cpus: dict[str, Cpu]
    gpus: dict[str, Gpu]
    pue: dict[str, Pue]
    serverless: dict[tuple[str, str], Serverless]
    version: str

    def replaced(self, kind: Kind, text: str) -> Tables:
        """These tables with one of them taken from an uploaded CSV file.

        Raises:
            YoursToFix: if the file is not such a table; names the line.
        """
        version = hashlib.sha256(f"{self.version}{kind}{text}".encode()).hexdigest()[:12]
        if kind == "prices":
            return replace(self, prices=_prices(rows(text, Price)), version=version)
        return replace(self, grid=_grid(rows(text, GridFactor)), version=version)

    def priced(self, provider: str, region: str) -> tuple[Instance, ...]:
        """The instances with a price in a region, by name."""
        names = sorted(each for owner, place, each in self.prices if (owner, place) == (provider, region))
        return tuple(self.instances[provider, name] for name in names if (provider, name) in self.instances)


@cache
def tables() -> Tables:
    """The packaged tables."""
    texts = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.csv"))}
    grid = [row for name, text in texts.items() if name.startswith("grid_") for row in rows(text, GridFactor)]
    return Tables(
        prices=_prices(rows(texts["prices.csv"], Price)),
        grid=_grid(grid),
        regions={(row.provider, row.region): row for row in rows(texts["regions.csv"], Region)},
        instances={(row.provider, row.instance): row for row in rows(texts["instances.csv"], Instance)},
        cpus={row.cpu: row for row in rows(texts["cpus.csv"], Cpu)},
        gpus={row.gpu: row for row in rows(texts["gpus.csv"], Gpu)},
        pue={row.provider: row for row in rows(texts["pue.csv"], Pue)},
        serverless={(row.provider, row.region): row for row in rows(texts["serverless.csv"], Serverless)},
        version=hashlib.sha256("".join(texts.values()).encode()).hexdigest()[:12],
    )


def rows(text: str, kind: type[Row]) -> list[Row]:
    """Read a CSV table, line by line.

    Raises:
        YoursToFix: with the line and the column at fault.
    """
    found: list[Row] = []
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    for row in _lines(reader, kind):
        if len(found) >= MOST_ROWS:
            raise _refusal(kind, reader.line_num, f"more than {MOST_ROWS} rows")
        if None in row:
            raise _refusal(kind, reader.line_num, "more columns than the header")
        try:
            found.append(kind.model_validate(row))
        except ValidationError as fault:
            first = fault.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the row"
            raise _refusal(kind, reader.line_num, f"{where}: {first['msg']}") from None
    if not found:
        raise _refusal(kind, 1, "no rows")
    return found


def _lines(reader: csv.DictReader[str], kind: type[TableRow]) -> Iterator[dict[str | Any, str | Any]]:
    try:
        yield from reader
    except csv.Error as fault:
        raise _refusal(kind, reader.line_num, str(fault)) from None


def _refusal(kind: type[TableRow], line: int, found: str) -> YoursToFix:
    columns = ", ".join(name for name in kind.model_fields)
    return YoursToFix(
        f"Expected a CSV table of {kind.__name__.lower()} rows, found in line {line}: {found}.",
        hint=f"The columns are {columns}.",
        code="tables.invalid",
    )


def _prices(found: list[Price]) -> dict[tuple[str, str, str], Price]:
    keyed = {(row.provider, row.region, row.instance): row for row in found}
    _refuse_doubles(Price, len(found), len(keyed))
    return keyed


def _grid(found: list[GridFactor]) -> dict[str, GridFactor]:
    keyed = {row.zone: row for row in found}
    _refuse_doubles(GridFactor, len(found), len(keyed))
    return keyed


def _refuse_doubles(kind: type[TableRow], rows_found: int, keys: int) -> None:
    if rows_found != keys:
        raise YoursToFix(
            f"Expected one row for each key, found {rows_found - keys} doubled.",
            hint="Keep one source for each grid zone, and one price for each instance and region.",
            code="tables.doubled",
        )
