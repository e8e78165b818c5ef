"""A question in figures: traffic, one machine and some service times, as JSON; every figure comes back as an amount.

What is left out of the machine is taken from the tables; what is given stands in its place, class D.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, ValidationError

from workers.errors import Frozen, YoursToFix
from workers.estimate import Grade, InputFact, estimates
from workers.estimates.battery import Battery, BatteryUse
from workers.estimates.right_sizing import RightSizing, Sizing
from workers.serving import power
from workers.serving.candidates import Candidate
from workers.serving.figures import Figures, figures
from workers.serving.jobs import JobRun
from workers.serving.service import ServiceTime
from workers.serving.shown import as_hours, headline
from workers.serving.table_rows import Cpu, Instance
from workers.serving.tables import Tables, tables
from workers.serving.workload import HOURS, SHOP_DAY, Billing, OnPremises, Override, OverrideName, Triple, Workload

AUTHOR = "the question"
PROVIDER = "aws"


def _ordered(band: tuple[float, float, float]) -> tuple[float, float, float]:
    if not 0 <= band[0] <= band[1] <= band[2]:
        raise ValueError("expected low, central, high in this order")
    return band


def _only(method: float) -> Callable[[float], float]:
    """A constant of the method may be told, as the reference does, but not changed."""

    def check(told: float) -> float:
        if told != method:
            raise ValueError(f"this is a part of the method and always {method:g}")
        return told

    return check


Band = Annotated[tuple[float, float, float], AfterValidator(_ordered)]


class Given(Frozen):
    """A part of a question: finite numbers only."""

    model_config = ConfigDict(allow_inf_nan=False)


class Host(Given):
    """The server an instance is a part of."""

    threads: int = Field(gt=0)
    sockets: int = Field(gt=0)
    tdp_w: float = Field(gt=0)


class InstanceGiven(Given):
    """A machine by name, or in figures. ``workers`` is how many requests it answers at a time."""

    name: str
    provider: str = PROVIDER
    region: str = "us-east-1"
    usd_per_hour: float | None = Field(default=None, gt=0)
    vcpu: int | None = Field(default=None, gt=0)
    workers: int | None = Field(default=None, ge=1)
    memory_gb: float | None = Field(default=None, gt=0)
    watts_per_vcpu_idle_full: tuple[float, float] | None = None
    host: Host | None = None
    ram_w_per_gb: Annotated[float, AfterValidator(_only(power.RAM_W_PER_GB))] = power.RAM_W_PER_GB
    other_parts_factor: Annotated[float, AfterValidator(_only(power.OTHER_PARTS))] = power.OTHER_PARTS
    embodied_kg_per_instance_month_low_central_high: Band | None = None


class ServerlessGiven(Given):
    usd_per_gb_s: float | None = Field(default=None, gt=0)
    usd_per_request: float | None = Field(default=None, ge=0)
    memory_mb: float = 1769


class ServiceGiven(Given):
    """Seconds a request takes while all workers are busy: mean, 95th percentile, squared coefficient of variation."""

    service_s: float = Field(gt=0)
    service_p95_s: float = Field(gt=0)
    cs2: float = Field(ge=0)
    size_bytes: int = 0
    peak_memory_bytes: int = 0

    def on(self, device: str, *, workers: int) -> ServiceTime:
        return ServiceTime(
            mean_s=self.service_s, p95_s=self.service_p95_s, cs2=self.cs2, workers=workers, device=device,
            source=AUTHOR, size_bytes=self.size_bytes, peak_memory_bytes=self.peak_memory_bytes,
        )  # fmt: skip


class BatteryGiven(Given):
    """A device and its feature; bands are low, central, high."""

    capacity_wh: float = Field(gt=0)
    usable: float = Field(default=0.8, gt=0, le=1)
    base_w: float = Field(gt=0)
    rate_per_s: float = Field(ge=0)
    before_j: float | Band
    after_j: float | Band

    def use(self) -> BatteryUse:
        units = {"capacity_wh": "Wh", "usable": "share", "base_w": "W", "rate_per_s": "1/s", "before_j": "J",
                 "after_j": "J"}  # fmt: skip
        return BatteryUse.model_validate({name: _fact(name, getattr(self, name), unit) for name, unit in units.items()})


def _fact(name: str, given: float | Band, unit: str) -> InputFact:
    low, value, high = given if isinstance(given, tuple) else (given, given, given)
    return InputFact(
        name=name, title=name.replace("_", " "), low=low, value=value, high=high, unit=unit, grade=Grade.ASSUMED,
        author=AUTHOR, source="typed in",
    )  # fmt: skip


class JobGiven(Given):
    """What making the variants took, once for each."""

    hours: float = Field(ge=0, validation_alias=AliasChoices("hours", "gpu_hours"))
    watts: float | None = Field(default=None, ge=0)
    usd_per_hour: float | None = Field(default=None, ge=0)


class Question(Given):
    """Traffic, a machine, and service times by name: the first one is the baseline.

    ``candidates`` are other instances of the place for the last variant, None where nobody knows its time there.
    """

    predictions_per_month: float | None = Field(default=None, ge=0)
    requests_per_day: float | None = Field(default=None, ge=0)
    hours_per_month: Annotated[float, AfterValidator(_only(HOURS))] = HOURS
    peak_factor: float = 3.0
    target_utilisation: float = 0.6
    ha_floor: int = 2
    sla_p95_s: float | None = None
    billing: Billing = "autoscaled"
    horizon_months: float = 12
    instance: InstanceGiven
    pue_low_central_high: Band | None = None
    grid_g_per_kwh_low_central_high: Band | None = None
    serverless: ServerlessGiven = ServerlessGiven()
    hourly_shape_before_rescaling: tuple[float, ...] = SHOP_DAY
    variants: dict[str, ServiceGiven] = Field(min_length=1, max_length=10_000)
    compression_job: JobGiven | None = None
    overrides: dict[OverrideName, float] = {}
    on_premises: OnPremises | None = None
    stored_copies: float = 0
    downloads_per_month: float = 0
    candidates: dict[str, ServiceGiven | None] = Field(default={}, max_length=1000)
    battery: BatteryGiven | None = None

    def workload(self) -> Workload:
        asked = self.instance
        limit = None if self.sla_p95_s is None else self.sla_p95_s * 1000
        return Workload(
            name="question", author=AUTHOR, predictions_per_month=self.predictions_per_month,
            requests_per_day=self.requests_per_day, shape=self.hourly_shape_before_rescaling,
            peak_factor=self.peak_factor, target_utilisation=self.target_utilisation, ha_floor=self.ha_floor,
            sla_p95_ms=limit, provider=asked.provider, region=asked.region, instance=asked.name,
            workers_per_instance=asked.workers, billing=self.billing, horizon_months=self.horizon_months,
            serverless_memory_mb=self.serverless.memory_mb, overrides=tuple(self._overrides()),
            on_premises=self.on_premises, stored_copies=self.stored_copies,
            downloads_per_month=self.downloads_per_month,
        )  # fmt: skip

    def _overrides(self) -> list[Override]:
        asked = self.instance
        price, rates = asked.usd_per_hour, self.serverless
        given: dict[OverrideName, float | Band | None] = {
            "price_usd_per_hour": price, "pue": self.pue_low_central_high,
            "grid_g_per_kwh": self.grid_g_per_kwh_low_central_high,
            "embodied_kg_per_month": asked.embodied_kg_per_instance_month_low_central_high,
            "serverless_usd_per_gb_s": rates.usd_per_gb_s, "serverless_usd_per_request": rates.usd_per_request,
            **self.overrides,
        }  # fmt: skip
        return [_override(name, value) for name, value in given.items() if value is not None]

    def tables(self, packaged: Tables) -> Tables:
        """The packaged tables, with the machine in figures in the place of the one of its name.

        Raises:
            YoursToFix: if the machine is in no table and its figures are not all given.
        """
        asked, key = self.instance, (self.instance.provider, self.instance.name)
        known = packaged.instances.get(key)
        given = (asked.vcpu, asked.memory_gb, asked.watts_per_vcpu_idle_full, asked.host)
        if known is not None and all(each is None for each in given):
            return packaged
        if known is None and None in (*given, asked.embodied_kg_per_instance_month_low_central_high):
            raise YoursToFix(
                f"Expected an instance of the tables or a machine in figures, "
                f"found {asked.name!r} of {asked.provider}.",
                hint="Give vcpu, memory_gb, watts_per_vcpu_idle_full, host and its embodied carbon.",
                code="estimate.instance",
            )  # fmt: skip
        cpu = self._cpu(packaged.cpus[known.cpu] if known else None)
        figures_told = {"vcpu": asked.vcpu, "memory_gb": asked.memory_gb}
        told = {name: value for name, value in figures_told.items() if value is not None}
        row = {"provider": asked.provider, "instance": asked.name, **(known.model_dump() if known else {}), **told}
        made = Instance.model_validate({**row, "cpu": cpu.cpu, "source": AUTHOR, "licence": "own work"})
        return replace(
            packaged, instances={**packaged.instances, key: made}, cpus={**packaged.cpus, cpu.cpu: cpu},
            version=f"{packaged.version}+given",
        )  # fmt: skip

    def _cpu(self, known: Cpu | None) -> Cpu:
        """A processor of no table has no embodied carbon of its own: that of the instance is given, and goes before."""
        nothing = {"embodied_kg_low": 0.0, "embodied_kg": 0.0, "embodied_kg_high": 0.0}
        asked, fields = self.instance, known.model_dump() if known else nothing
        if asked.watts_per_vcpu_idle_full is not None:
            fields["idle_w_per_vcpu"], fields["full_w_per_vcpu"] = asked.watts_per_vcpu_idle_full
        if asked.host is not None:
            fields |= {f"host_{name}": value for name, value in asked.host.model_dump().items()}
        given = {"cpu": "given", "title": f"the processor of {asked.name}", "host_grade": Grade.ASSUMED}
        return Cpu.model_validate({**fields, **given, "source": AUTHOR, "licence": "own work", "as_of": None})

    def services(self) -> list[ServiceTime]:
        workers = self.instance.workers or 1
        return [each.on(self.instance.name, workers=workers) for each in self.variants.values()]

    def sized(self, work: Workload, data: Tables) -> Sizing:
        """The right one of the candidates."""
        there = {name: None if each is None else each.on(name, workers=1) for name, each in self.candidates.items()}
        asked = [Candidate(instance=name, service=service) for name, service in there.items()]
        return RightSizing.choose(work, asked, data=data)

    def job(self) -> JobRun | None:
        job = self.compression_job
        if job is None:
            return None
        watts = None if job.watts is None else Triple(low=job.watts, value=job.watts, high=job.watts)
        return JobRun(title="the job", hours=job.hours, watts=watts, usd_per_hour=job.usd_per_hour, author=AUTHOR)


def _override(name: OverrideName, value: float | Band) -> Override:
    low, middle, high = (None, value, None) if isinstance(value, float | int) else value
    return Override(name=name, value=middle, low=low, high=high, author=AUTHOR)


def read_question(text: str | bytes) -> Question:
    """Read a question, also one that lies under ``inputs``.

    Raises:
        YoursToFix: naming the first place that is not as expected.
    """
    try:
        found = json.loads(text)
        return Question.model_validate(found.get("inputs", found) if isinstance(found, dict) else found)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise _unreadable(f"{where}: {first['msg']}") from None
    except ValueError as fault:
        raise _unreadable(str(fault)) from None


def _unreadable(found: str) -> YoursToFix:
    return YoursToFix(
        f"Expected a workload as JSON, found {found}.",
        hint="'estimate --example' prints one that can be changed.", code="estimate.question",
    )  # fmt: skip


def answer(question: Question) -> dict[str, Any]:
    """Every figure of every network, and of all but the first what it saves against that one."""
    try:
        work = question.workload()
    except ValidationError as fault:
        raise _unreadable(fault.errors(include_url=False, include_input=False)[0]["msg"]) from None
    first, *others = question.services()
    data = question.tables(tables())
    found = figures(work, first, others, data=data, jobs=[question.job()] * len(others))
    names = list(question.variants)
    more: dict[str, Any] = {}
    if question.candidates:
        more["sizing"] = question.sized(work, data).model_dump(mode="json")
    if question.battery is not None:
        more["battery"] = Battery.lasts(question.battery.use()).model_dump(mode="json")
    return {
        "tables_version": found.tables_version,
        "baseline": names[0],
        "figures": {name: _plain(found, at) for at, name in enumerate(names)},
        "savings": {name: _saved(found, at, work) for at, name in enumerate(names) if at},
        **more,
    }


def _plain(found: Figures, at: int) -> dict[str, Any]:
    return {slug: found.amount(slug, at).model_dump(mode="json") for slug in found.slugs}


def _saved(found: Figures, at: int, work: Workload) -> dict[str, Any]:
    said: dict[str, Any] = {"sentence": headline(found, at)}
    for slug in (each for each in found.slugs if estimates()[each].about.compares):
        said[slug] = {
            "saving": found.saving_amount(slug, at).model_dump(mode="json"),
            "relative": found.relative_saving_amount(slug, at).model_dump(mode="json"),
        }
    for slug in ("payback-cost", "payback-carbon"):
        said[f"{slug}-hours"] = as_hours(found.amount(slug, at), work).model_dump(mode="json")
    return said


def example() -> str:
    """The worked example as a question, on a machine of the tables."""
    asked = {
        "predictions_per_month": 1e9, "peak_factor": 3, "target_utilisation": 0.6, "ha_floor": 2, "sla_p95_s": 0.1,
        "instance": {"name": "c6i.xlarge", "provider": "aws", "region": "us-east-1", "workers": 4},
        "variants": {
            "fp32": {"service_s": 0.04, "service_p95_s": 0.046, "cs2": 0.05},
            "int8": {"service_s": 0.016, "service_p95_s": 0.019, "cs2": 0.05},
        },
        "compression_job": {"hours": 2, "watts": 300, "usd_per_hour": 1.006},
    }  # fmt: skip
    return json.dumps(asked, indent=1)
