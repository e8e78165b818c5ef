"""What a network has to serve, where, and what somebody assumed: every field is an assumption with an author."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from workers.errors import Frozen
from workers.estimate import Grade, InputFact
from workers.numerics.day import sharpened
from workers.numerics.queueing import Floats

HOURS = 730.0  # a month
HOURS_A_YEAR = 8760.0
DAYS = HOURS / 24
SHOP_DAY = (
    0.35, 0.30, 0.28, 0.28, 0.30, 0.40, 0.60, 0.85, 1.10, 1.30, 1.40, 1.40,
    1.35, 1.30, 1.30, 1.30, 1.35, 1.40, 1.50, 1.60, 1.50, 1.20, 0.80, 0.50,
)  # fmt: skip

OverrideName = Literal[
    "price_usd_per_hour", "pue", "grid_g_per_kwh", "market_g_per_kwh", "usd_per_kwh", "embodied_kg_per_month",
    "storage_usd_per_gb_month", "transfer_usd_per_gb", "serverless_usd_per_gb_s", "serverless_usd_per_request",
]  # fmt: skip
TITLES: dict[OverrideName, tuple[str, str]] = {
    "price_usd_per_hour": ("Price of an instance", "$/h"),
    "pue": ("Power usage effectiveness", "ratio"),
    "grid_g_per_kwh": ("Grid carbon intensity", "g/kWh"),
    "market_g_per_kwh": ("Contract's carbon intensity, market-based", "g/kWh"),
    "usd_per_kwh": ("Price of electricity", "$/kWh"),
    "embodied_kg_per_month": ("Hardware, embodied, per instance and month", "kg CO2e"),
    "storage_usd_per_gb_month": ("Storage rate", "$/GB-month"),
    "transfer_usd_per_gb": ("Transfer rate", "$/GB"),
    "serverless_usd_per_gb_s": ("Serverless compute", "$/GB-s"),
    "serverless_usd_per_request": ("Serverless request", "$"),
}


AGES: dict[OverrideName, Literal["price", "grid"]] = {
    "price_usd_per_hour": "price", "usd_per_kwh": "price", "storage_usd_per_gb_month": "price",
    "transfer_usd_per_gb": "price", "serverless_usd_per_gb_s": "price", "serverless_usd_per_request": "price",
    "grid_g_per_kwh": "grid", "market_g_per_kwh": "grid",
}  # fmt: skip


class Override(Frozen):
    """A figure somebody typed in, in place of a table's or where there is no table.

    With a source it is class C, a bare number is class D.
    """

    name: OverrideName
    value: float = Field(ge=0)
    low: float | None = None
    high: float | None = None
    author: str = Field(min_length=1)
    as_of: date | None = None
    source: str = ""

    @model_validator(mode="after")
    def _band_holds_the_value(self) -> Self:
        if not (self.low is None or 0 <= self.low <= self.value) or not (self.high is None or self.high >= self.value):
            raise ValueError(f"expected low <= value <= high, found {self.low}, {self.value}, {self.high}")
        if self.name == "pue" and (self.value if self.low is None else self.low) < 1:
            raise ValueError("a power usage effectiveness is at least 1: the building draws what its machines draw")
        return self

    def fact(self) -> InputFact:
        title, unit = TITLES[self.name]
        return InputFact(
            name=self.name, title=title, value=self.value, low=self.value if self.low is None else self.low,
            high=self.value if self.high is None else self.high, unit=unit, author=self.author, as_of=self.as_of,
            grade=Grade.TABLE if self.source else Grade.ASSUMED, source=self.source or "typed in",
            ages=AGES.get(self.name, "no") if self.as_of else "no",
        )  # fmt: skip


class Triple(Frozen):
    """A figure with its band, as typed in or read from a table."""

    low: float = Field(ge=0)
    value: float = Field(ge=0)
    high: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"expected low <= value <= high, found {self.low}, {self.value}, {self.high}")
        return self


class OnPremises(Frozen):
    """A machine somebody owns. There is no default price of electricity: it is asked for."""

    title: str
    workers: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    idle_w: Triple
    active_w: Triple
    hardware_usd: float = Field(ge=0)
    life_years: float = Field(gt=0)
    used_share: float = Field(gt=0, le=1, description="Share of its life the machine does paid work, for anybody.")
    operations_usd_per_month: float = Field(ge=0)
    embodied_kg: Triple | None = Field(default=None, description="Embodied carbon of the whole machine.")
    grid_zone: str = ""
    device: str = ""


class Currency(Frozen):
    """What figures in dollars are shown in: a choice, dated and with an author. There is no default rate."""

    code: str = Field(pattern="^[A-Z]{3}$")
    per_usd: float = Field(gt=0)
    as_of: date
    author: str = Field(min_length=1)

    def fact(self) -> InputFact:
        return InputFact(
            name="currency_per_usd", title=f"{self.code} per dollar", value=self.per_usd, low=self.per_usd,
            high=self.per_usd, unit=f"{self.code}/$", grade=None, author=self.author, as_of=self.as_of,
            source="typed in", ages="price",
        )  # fmt: skip


Billing = Literal["autoscaled", "static", "serverless", "on-premises"]


class Workload(Frozen):
    """Traffic, limits and place. Give ``requests_per_day`` or ``predictions_per_month``, not both.

    ``authors`` names who set a field where that is not ``author``.
    """

    name: str = ""
    author: str = Field(min_length=1)
    authors: dict[str, str] = {}
    requests_per_day: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    predictions_per_month: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    shape: tuple[float, ...] = SHOP_DAY
    peak_factor: float = Field(default=3.0, ge=1, le=24)
    target_utilisation: float = Field(default=0.6, gt=0, le=0.95)
    ha_floor: int = Field(default=2, ge=0, le=100_000)
    sla_p95_ms: float | None = Field(default=None, gt=0)
    provider: str = ""
    region: str = ""
    instance: str = ""
    workers_per_instance: int | None = Field(default=None, ge=1, le=1024)
    on_premises: OnPremises | None = None
    billing: Billing = "autoscaled"
    horizon_months: float = Field(default=12, gt=0, le=240)
    serverless_memory_mb: float = Field(default=1769, ge=128, le=10240)
    stored_copies: float = Field(default=0, ge=0)
    downloads_per_month: float = Field(default=0, ge=0)
    currency: Currency | None = None
    overrides: tuple[Override, ...] = ()

    @field_validator("shape")
    @classmethod
    def _a_day(cls, shape: tuple[float, ...]) -> tuple[float, ...]:
        if len(shape) != 24 or min(shape) < 0 or max(shape) <= 0:
            raise ValueError("expected 24 values, one per hour, none negative and one positive at least")
        return shape

    @model_validator(mode="after")
    def _can_be_computed(self) -> Self:
        if (self.requests_per_day is None) == (self.predictions_per_month is None):
            raise ValueError("give either requests a day or predictions a month")
        names = [each.name for each in self.overrides]
        if len(names) != len(set(names)):
            raise ValueError(f"an input is typed in twice: {', '.join(sorted(names))}")
        if (self.billing == "on-premises") != (self.on_premises is not None):
            raise ValueError("an owned machine is billed as on-premises, and only an owned machine")
        sharpened(self.shape, peak=self.peak_factor)
        return self

    @property
    def monthly(self) -> float:
        """V, predictions a month."""
        if self.requests_per_day is not None:
            return self.requests_per_day * DAYS
        return self.predictions_per_month or 0.0

    @property
    def rate_per_s(self) -> float:
        """The mean arrival rate."""
        return self.monthly / (3600 * HOURS)

    def hourly_rates(self) -> Floats:
        """Requests per second in each hour of the day: (24,)."""
        return self.rate_per_s * sharpened(self.shape, peak=self.peak_factor)

    @property
    def sla_p95_s(self) -> float | None:
        return None if self.sla_p95_ms is None else self.sla_p95_ms / 1000

    def override(self, name: OverrideName) -> InputFact | None:
        return next((each.fact() for each in self.overrides if each.name == name), None)

    def choice(self, field: str, title: str, unit: str, *, value: float | None = None) -> InputFact:
        """One of the fields as an input with its author."""
        number = float(getattr(self, field)) if value is None else value
        author = self.authors.get(field, self.author)
        return InputFact(name=field, title=title, value=number, low=number, high=number, unit=unit, author=author)

    def traffic(self) -> tuple[InputFact, ...]:
        """The choices that decide how many requests there are."""
        field = "predictions_per_month" if self.requests_per_day is None else "requests_per_day"
        unit = "predictions/month" if self.requests_per_day is None else "requests/day"
        return (
            self.choice(field, "Traffic", unit),
            self.choice("peak_factor", "Peak to mean", "ratio"),
        )

    def sizing(self) -> tuple[InputFact, ...]:
        """The choices that decide how many instances there are, traffic included."""
        limit = () if self.sla_p95_ms is None else (self.choice("sla_p95_ms", "Limit for the p95", "ms"),)
        return (
            *self.traffic(),
            self.choice("target_utilisation", "Busy at peak, at most", "share"),
            self.choice("ha_floor", "Instances at least", "instances"),
            *limit,
        )
