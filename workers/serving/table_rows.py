"""The rows of the tables behind estimates, and how a CSV file of them is read: line by line, with limits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeVar, get_args

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from workers.errors import Frozen, YoursToFix
from workers.estimate import Grade

MOST_ROWS = 20_000
MOST_BYTES = 2 << 20
LONGEST_CELL = 2000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Row = TypeVar("Row", bound="TableRow")
Kind = Literal["prices", "grid", "regions", "instances", "cpus", "gpus", "pue", "serverless"]


class TableRow(Frozen):
    """One line of a table, with where it comes from."""

    model_config = ConfigDict(allow_inf_nan=False)

    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from the other rows of its table."""
        raise NotImplementedError


class Price(TableRow):
    provider: str
    region: str
    instance: str
    usd_per_hour: float = Field(gt=0, lt=10_000, allow_inf_nan=False)
    tenancy: str = "on-demand Linux"
    as_of: date

    @property
    def key(self) -> tuple[str, ...]:
        return (self.provider, self.region, self.instance)


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

    @property
    def key(self) -> tuple[str, ...]:
        return (self.zone,)


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

    @property
    def key(self) -> tuple[str, ...]:
        return (self.provider, self.region)


class Cpu(TableRow):
    """A processor generation in a data centre: watts per vCPU, the host it sits in, and what the host took to make."""

    cpu: str
    title: str
    idle_w_per_vcpu: float = Field(ge=0)
    full_w_per_vcpu: float = Field(gt=0)
    host_threads: int = Field(gt=0)
    host_sockets: int = Field(gt=0)
    host_tdp_w: float = Field(gt=0)
    embodied_kg_low: float = Field(ge=0)
    embodied_kg: float = Field(ge=0)
    embodied_kg_high: float = Field(ge=0)
    host_grade: Grade
    profile: str | None = None
    as_of: date | None = None

    @model_validator(mode="after")
    def _bands_in_order(self) -> Cpu:
        _in_order(self.embodied_kg_low, self.embodied_kg, self.embodied_kg_high)
        if self.full_w_per_vcpu < self.idle_w_per_vcpu:
            raise ValueError("expected idle <= full watts")
        return self

    @property
    def key(self) -> tuple[str, ...]:
        return (self.cpu,)


class Gpu(TableRow):
    gpu: str
    title: str
    memory_gb: float = Field(gt=0)
    idle_w: float = Field(ge=0)
    active_w_low: float = Field(ge=0)
    active_w: float = Field(gt=0)
    active_w_high: float = Field(gt=0)
    embodied_kg_low: float = Field(ge=0)
    embodied_kg: float = Field(ge=0)
    embodied_kg_high: float = Field(ge=0)
    profile: str | None = None
    grade: Grade

    @model_validator(mode="after")
    def _bands_in_order(self) -> Gpu:
        _in_order(self.embodied_kg_low, self.embodied_kg, self.embodied_kg_high)
        _in_order(self.active_w_low, self.active_w, self.active_w_high)
        return self

    @property
    def key(self) -> tuple[str, ...]:
        return (self.gpu,)


class Instance(TableRow):
    """``profile``: the device profile that is this very instance; its processor's may be another size's."""

    provider: str
    instance: str
    vcpu: int = Field(gt=0)
    memory_gb: float = Field(gt=0)
    cpu: str
    gpu: str | None = None
    gpus: int = Field(default=0, ge=0)
    profile: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (self.provider, self.instance)


class Pue(TableRow):
    provider: str
    low: float = Field(ge=1)
    central: float = Field(ge=1)
    high: float = Field(ge=1)
    year: int | None = None
    grade: Grade

    @model_validator(mode="after")
    def _ordered(self) -> Pue:
        _in_order(self.low, self.central, self.high)
        return self

    @property
    def key(self) -> tuple[str, ...]:
        return (self.provider,)


class Serverless(TableRow):
    provider: str
    region: str
    usd_per_gb_s: float = Field(gt=0)
    usd_per_request: float = Field(ge=0)
    as_of: date | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (self.provider, self.region)


def _in_order(low: float, central: float, high: float) -> None:
    if not low <= central <= high:
        raise ValueError(f"expected low <= central <= high, found {low:g}, {central:g}, {high:g}")


@dataclass(frozen=True)
class About:
    """One of the tables: its rows, what it is called, and the column that says of when a row is."""

    row: type[TableRow]
    title: str
    dated: str = ""


TABLES: dict[Kind, About] = {
    "prices": About(Price, "Prices of instances", "as_of"),
    "grid": About(GridFactor, "Grid carbon intensity", "year"),
    "regions": About(Region, "Grid zones of regions"),
    "instances": About(Instance, "Instances"),
    "cpus": About(Cpu, "Processors and their hosts", "as_of"),
    "gpus": About(Gpu, "Graphics processors"),
    "pue": About(Pue, "Power usage effectiveness", "year"),
    "serverless": About(Serverless, "Serverless prices", "as_of"),
}
KINDS: tuple[Kind, ...] = get_args(Kind)


def keyed(found: list[Row], kind: type[Row]) -> dict[tuple[str, ...], Row]:
    """Rows by what tells them apart.

    Raises:
        YoursToFix: if two rows have one key.
    """
    made = {row.key: row for row in found}
    if len(made) != len(found):
        raise YoursToFix(
            f"Expected one row for each key, found {len(found) - len(made)} doubled.",
            hint="Keep one source for each grid zone, and one price for each instance and region.",
            code="tables.doubled",
        )
    return made


def rows(text: str, kind: type[Row], *, check: Callable[[Row], str] = lambda row: "") -> list[Row]:
    """Read a CSV table, line by line.

    Args:
        check: what is wrong with a row beyond its columns, in words; empty where nothing is.

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
            made = kind.model_validate(row)
        except ValidationError as fault:
            first = fault.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the row"
            raise _refusal(kind, reader.line_num, f"{where}: {first['msg']}") from None
        if wrong := check(made):
            raise _refusal(kind, reader.line_num, wrong)
        found.append(made)
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
