"""The machine a workload runs on, with every figure about it that an estimate needs, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from workers.errors import YoursToFix
from workers.estimate import Grade, InputFact, NotKnown, worst
from workers.serving.power import CloudPower, OwnedPower, exactly, fact
from workers.serving.table_rows import Cpu, Gpu, Instance, Serverless
from workers.serving.tables import LIFE_MONTHS, Tables
from workers.serving.workload import HOURS, HOURS_A_YEAR, TITLES, OnPremises, OverrideName, Workload


@dataclass(frozen=True)
class Machine:
    """A machine type in a place. What is missing raises ``NotKnown`` with the reason when it is asked for.

    ``profile`` is the device profile that is this very machine, ``processor_profile`` one with its processor in
    another size; both are empty where there is none.
    """

    name: str
    workers: int
    memory_gb: float
    profile: str
    processor_profile: str
    power: CloudPower | OwnedPower
    on_premises: OnPremises | None = None
    known: dict[str, InputFact] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def need(self, name: str) -> InputFact:
        """An input by name.

        Raises:
            NotKnown: with the reason why it is missing.
        """
        if name in self.known:
            return self.known[name]
        raise NotKnown(self.missing.get(name, f"{name} is not known for {self.name}."))

    def power_facts(self) -> tuple[InputFact, ...]:
        return self.power.facts()


def machine(workload: Workload, tables: Tables, *, instance: str | None = None) -> Machine:
    """The machine of a workload, or another one in its place.

    Raises:
        YoursToFix: if there is no such instance in the tables.
    """
    if workload.on_premises is not None:
        return _owned(workload, workload.on_premises, tables)
    return _rented(workload, tables, instance or workload.instance)


def _rented(workload: Workload, tables: Tables, name: str) -> Machine:
    provider = workload.provider
    try:
        row = tables.instances[provider, name]
    except KeyError:
        known = ", ".join(sorted(each for owner, each in tables.instances if owner == provider)) or "none"
        raise YoursToFix(
            f"Expected an instance of {provider or 'a provider'}, found {name!r}.", hint=f"Known there: {known}.",
            code="estimate.instance",
        ) from None  # fmt: skip
    cpu, gpu = tables.cpus[row.cpu], tables.gpus[row.gpu] if row.gpu else None
    found = _Found(workload)
    found.take("price_usd_per_hour", _price(workload, tables, name), _no_price(workload, name))
    found.take("pue", _pue(tables, provider), f"No power usage effectiveness of {provider} is known. Type one in.")
    found.take("grid_g_per_kwh", _grid(tables, provider, workload.region), _no_grid(workload.region))
    found.take("embodied_kg_per_month", _embodied(row, cpu, gpu), "")
    _rates(found, tables, provider, workload.region)
    workers = workload.workers_per_instance or (row.gpus if gpu else row.vcpu)
    processor = (gpu.profile if gpu else cpu.profile) or ""
    power = CloudPower(row.vcpu, row.memory_gb, cpu, gpu, row.gpus)
    return Machine(name, workers, row.memory_gb, row.profile or "", processor, power, None, found.known, found.missing)


def _owned(workload: Workload, owned: OnPremises, tables: Tables) -> Machine:
    found = _Found(workload)
    found.missing["price_usd_per_hour"] = "An owned machine is not rented by the hour."
    found.take("pue", _pue(tables, "on-premises"), "")
    found.take("usd_per_kwh", None, "The price of electricity is not known. There is no default: type in $/kWh.")
    row = tables.grid.get(owned.grid_zone)
    found.take("grid_g_per_kwh", _grid_fact(tables, (owned.grid_zone,)) if row else None, _no_grid(owned.grid_zone))
    found.take("embodied_kg_per_month", _owned_embodied(workload, owned), "What the machine took to make is not known.")
    _rates(found, tables, "", "")
    power = OwnedPower(owned, workload.author)
    return Machine(
        owned.title,
        owned.workers,
        owned.memory_gb,
        owned.device,
        owned.device,
        power,
        owned,
        found.known,
        found.missing,
    )


class _Found:
    """Inputs as they are found: what somebody typed in goes before a table's."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.known: dict[str, InputFact] = {}
        self.missing: dict[str, str] = {}

    def take(self, name: OverrideName, table: InputFact | None, why_not: str) -> None:
        typed = self.workload.override(name)
        if (chosen := typed or table) is not None:
            self.known[name] = chosen
        else:
            self.missing[name] = why_not


def _rates(found: _Found, tables: Tables, provider: str, region: str) -> None:
    row = tables.serverless.get((provider, region))
    why_not = f"No serverless price in {region or 'this place'} is known. Type one in."
    seconds = None if row is None else _rate(row, "serverless_usd_per_gb_s", row.usd_per_gb_s)
    found.take("serverless_usd_per_gb_s", seconds, why_not)
    request = None if row is None else _rate(row, "serverless_usd_per_request", row.usd_per_request)
    found.take("serverless_usd_per_request", request, why_not)
    found.take("market_g_per_kwh", None, "No contract's carbon intensity was typed in.")
    found.take("storage_usd_per_gb_month", None, "The storage rate is not known. Type in $/GB-month.")
    found.take("transfer_usd_per_gb", None, "The transfer rate is not known. Type in $/GB.")


def _rate(row: Serverless, name: OverrideName, value: float) -> InputFact:
    title, unit = TITLES[name]
    return fact(
        name, title, unit, exactly(value), grade=Grade.TABLE, source=row.source, as_of=row.as_of, ages="price",
        region=row.region, licence=row.licence,
    )  # fmt: skip


def _price(workload: Workload, tables: Tables, name: str) -> InputFact | None:
    row = tables.prices.get((workload.provider, workload.region, name))
    if row is None:
        return None
    return fact(
        "price_usd_per_hour", f"Price of {name}, {row.tenancy}", "$/h", exactly(row.usd_per_hour), grade=Grade.TABLE,
        source=row.source, as_of=row.as_of, licence=row.licence, region=workload.region, ages="price",
    )  # fmt: skip


def _no_price(workload: Workload, name: str) -> str:
    place = workload.region or "a place that was not named"
    return f"No price of {name} in {place} is known, and no other region's is taken instead. Type in $/h."


def _pue(tables: Tables, provider: str) -> InputFact | None:
    row = tables.pue.get(provider)
    if row is None:
        return None
    return fact(
        "pue", "Power usage effectiveness", "ratio", (row.low, row.central, row.high), grade=row.grade,
        source=row.source, year=row.year, licence=row.licence, region=provider,
    )  # fmt: skip


def _no_grid(place: str) -> str:
    return f"No grid factor of {place or 'a place that was not named'} is known. Type in g CO2e per kWh."


def _grid(tables: Tables, provider: str, region: str) -> InputFact | None:
    row = tables.regions.get((provider, region))
    if row is None or row.central not in tables.grid:
        return None
    return _grid_fact(tables, tuple(zone for zone in row.zones if zone in tables.grid))


def _grid_fact(tables: Tables, zones: tuple[str, ...]) -> InputFact:
    """Central is the first zone; low and high are the least and most of all of them."""
    factors = [tables.grid[zone] for zone in zones]
    values = [each.gco2e_per_kwh for each in factors]
    years = [each.year for each in factors]
    return fact(
        "grid_g_per_kwh", "Grid carbon intensity, location-based", "g/kWh",
        (min(values), values[0], max(values)),
        grade=Grade.TABLE, year=None if None in years else min(year for year in years if year), ages="grid",
        source="; ".join(f"{each.name} {each.gco2e_per_kwh:g}: {each.basis}, {each.source}" for each in factors),
        licence="; ".join(dict.fromkeys(each.licence for each in factors)), region=", ".join(zones),
    )  # fmt: skip


def _embodied(row: Instance, cpu: Cpu, gpu: Gpu | None) -> InputFact:
    """kg CO2e per instance and month: the host's, shared by threads and spread over six years, and that of its GPUs."""
    share = row.vcpu / cpu.host_threads / LIFE_MONTHS
    host = (cpu.embodied_kg_low, cpu.embodied_kg, cpu.embodied_kg_high)
    cards = (gpu.embodied_kg_low, gpu.embodied_kg, gpu.embodied_kg_high) if gpu else (0.0, 0.0, 0.0)
    low, value, high = (kg * share + card * row.gpus / LIFE_MONTHS for kg, card in zip(host, cards, strict=True))
    grade = worst((cpu.host_grade, gpu.grade if gpu else None)) or Grade.ASSUMED
    return fact(
        "embodied_kg_per_month", "Hardware, embodied, per instance and month", "kg CO2e", (low, value, high),
        grade=grade, source=f"{cpu.source}; six years of life", licence=cpu.licence,
        unverified=grade is Grade.ASSUMED,
    )  # fmt: skip


def _owned_embodied(workload: Workload, owned: OnPremises) -> InputFact | None:
    kg = owned.embodied_kg
    if kg is None:
        return None
    share = HOURS / (owned.life_years * HOURS_A_YEAR)
    return fact(
        "embodied_kg_per_month", "Hardware, embodied, per machine and month", "kg CO2e",
        (kg.low * share, kg.value * share, kg.high * share), grade=Grade.ASSUMED, source="typed in",
        author=workload.author,
    )  # fmt: skip
